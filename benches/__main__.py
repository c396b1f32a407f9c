"""`python -m benches`: every benchmark beside its peers, as one table of ratios."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import shlex
import sys
import time
from pathlib import Path
from types import ModuleType

import orjson

from aisys.build import build_info
from benches import report as reporting
from benches.live_fleet import end_on_terminate
from benches.ratio import FULL, QUICK, Result, Settings, measure
from benches.report import Report, say

# A row that is noisier than this is measured once more, while there is time left for its file.
DISTURBED = 0.2
FILE_S = 45.0
# In this order: messaging before the files that import numpy, since a process with numpy in it looks
# for arrays in every argument.
NAMES = ("messaging", "queue", "loads", "dumps", "pointers", "frames", "metrics", "fleet")


def main() -> int:
    """Run what the command line names; every benchmark unless it names some."""
    options = _parse()
    unfit = reporting.unfit_build(build_info().profile)
    if unfit is not None:
        say(f"benches: {unfit}")
        return 2
    end_on_terminate()
    settings = QUICK if options.quick else FULL
    report = Report(
        shlex.join(["python", "-m", "benches", *sys.argv[1:]]), reporting.describe_machine()
    )
    if report.machine["load_before"] > 0.5 * report.machine["cpus"]:
        say(
            f"benches: the computer is busy (load {os.getloadavg()[0]:.1f}): look at the noise column"
        )
    gc.collect()
    gc.freeze()
    for name in NAMES:
        if not options.names or name in options.names:
            _run(name, settings, report)
    print("\n".join(reporting.machine_lines(report.machine)))
    print(f"$ {report.command}\n")
    print(reporting.table(report, markdown=options.markdown))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2))
    return 1 if report.problems or (options.gate and report.below()) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    parser.add_argument(
        "--gate", action="store_true", help="end with 1 if a ratio is below what it must be"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    options.names = [name.removeprefix("bench_").removesuffix(".py") for name in options.names]
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
    return options


def _run(name: str, settings: Settings, report: Report) -> None:
    """Measure one file; what cannot be measured is said, and the others still run."""
    began = time.monotonic()
    try:
        module = importlib.import_module(f"benches.bench_{name}")
    except ImportError as error:
        report.problems.append(f"{name}: {error}")
        return
    try:
        _measure(module, name, settings, report)
    finally:
        close = getattr(module, "close", None)
        if close is not None:
            close()
    say(f"{name}: {time.monotonic() - began:.0f} s")


def _measure(module: ModuleType, name: str, settings: Settings, report: Report) -> None:
    results = report.results.setdefault(name, [])
    limit = time.monotonic() + FILE_S
    for group in getattr(module, "groups", list)():
        try:
            result = measure(group, settings)
            if _disturbed(result) and time.monotonic() < limit:
                say(f"{group.name}: disturbed (noise ±{_loudest(result):.0%}), once more")
                result = min(result, measure(group, settings), key=_loudest)
            results.append(result)
        except (OSError, RuntimeError, AttributeError, NotImplementedError) as error:
            report.problems.append(f"{group.name}: {type(error).__name__}: {error}")
    facts = getattr(module, "facts", None)
    if facts is not None:
        try:
            report.facts.extend(facts(settings))
        except (OSError, RuntimeError) as error:
            report.problems.append(f"{name}: {error}")


def _disturbed(result: Result) -> bool:
    """Whether other programs ran in between so much that the figures mean little."""
    return _loudest(result) > DISTURBED


def _loudest(result: Result) -> float:
    return max(result.noise.values(), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
