"""Errors of configuration: all of them at once, each with its place and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aisys.errors.base import AisysError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration.

    Attributes:
        where: `file:line:column`, an environment variable, or a command-line option.
        setting: the dotted path of the setting, or "" when the file as a whole is at fault.
        what: what is wrong.
        remedy: what to do about it.
    """

    where: str
    setting: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.where, self.setting, self.what) if part)
        return f"{text}. {self.remedy}" if self.remedy else text


class ConfigError(AisysError):
    """The configuration cannot be used.

    Attributes:
        problems: everything that was found, not just the first.
    """

    code: ClassVar[str] = "config_error"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
