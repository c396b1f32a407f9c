"""What every command does around its own work: options in, exit code out, one clear line for a mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from aisys import json
from aisys.errors import AisysError, ConfigError, Problem
from aisys.runtime.options import Options

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def run_command(
    command: Callable[[Options], int | None],
    config_dir: Path | None,
    env: str | None,
    overrides: Sequence[str] | None,
) -> None:
    """Run a command and leave the process with its exit code.

    Exit codes: 0 done, 1 failed, 2 usage or configuration error, 130 interrupted.
    """
    try:
        code = command(Options(config_dir, env, parse_overrides(overrides or ())))
    except ConfigError as error:
        for problem in error.problems:
            say(f"aisys: {problem}")
        code = EXIT_USAGE
    except AisysError as error:
        if os.environ.get("AISYS_DEBUG"):
            raise
        say(f"aisys: {error}")
        code = EXIT_FAILED
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does: not an error, but nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        say(f"aisys: {error.strerror or error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    raise typer.Exit(code or 0)


def parse_texts(assignments: Sequence[str], option: str) -> dict[str, str]:
    """`key=value` texts as a mapping.

    Raises:
        ConfigError: one of them has no `=`, or a key is given twice.
    """
    problems: list[Problem] = []
    found: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not key or not equals:
            problems.append(Problem(option, text, "is not of the form key=value", "Write it so."))
        elif key in found:
            problems.append(Problem(option, key, "is given twice", "Give it once."))
        found[key] = value
    if problems:
        raise ConfigError(problems)
    return found


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """`a.b=value` texts as settings, each read as the type that its setting has.

    Raises:
        ConfigError: one of them is not of that form.
    """
    from aisys.config import parse_override

    return dict(parse_override(text) for text in assignments)


def parse_value(text: str) -> Any:
    """JSON if it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def say(text: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(printable(text) + "\n")


def show(text: str) -> None:
    """A line of the answer itself, on standard output."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps_str(value, default=str) + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """The text without control characters, which could drive the terminal; line ends and tabs stay."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
