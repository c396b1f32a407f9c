"""The tools that need no model: exact sums, units and dates."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from aisys_agents.language.patterns import is_about_a_thing
from aisys_agents.text.arithmetic import ArithmeticProblem, evaluate, find_expression
from aisys_agents.text.date_answers import answer_date
from aisys_agents.text.unit_words import looks_like_conversion
from aisys_agents.text.units import UnitProblem, find_conversion

__all__ = ["ToolAnswer", "use_tool", "use_tool_async"]


class ToolAnswer(TypedDict):
    """What a tool found: a sentence, and the details. `ok` is False when it explains why it could not."""

    tool: str
    ok: bool
    text: str
    result: dict[str, Any]


def use_tool(text: str, now: datetime, only: str | None = None) -> ToolAnswer | None:
    """Answer a question with the first tool that fits, or None when none does.

    Args:
        text: the question.
        now: the present moment, with its time zone.
        only: `convert_units`, `date` or `calculate`; all by default.
    """
    if only in {None, "convert_units"}:
        answer = _convert(text)
        if answer is not None:
            return answer
    if only in {None, "date"}:
        dated = answer_date(text, now)
        if dated is not None:
            result = {"kind": dated.kind, "date": dated.date, "days": dated.days}
            ok = dated.kind != "none"
            return ToolAnswer(tool="date", ok=ok, text=dated.text, result=result)
    if only is None and is_about_a_thing(text):
        return None
    return _calculate(text) if only in {None, "calculate"} else None


async def use_tool_async(text: str, now: datetime, only: str | None = None) -> ToolAnswer | None:
    """As `use_tool`, without holding up the event loop while pint is loaded for the first time."""
    if only in {None, "convert_units"} and looks_like_conversion(text):
        return await asyncio.to_thread(use_tool, text, now, only)
    return use_tool(text, now, only)


def _convert(text: str) -> ToolAnswer | None:
    if not looks_like_conversion(text):
        return None
    try:
        found = find_conversion(text)
    except UnitProblem as error:
        return ToolAnswer(tool="convert_units", ok=False, text=f"{error}.", result={})
    if found is None:
        return None
    result = {
        "value": float(found.value),
        "exact": found.exact,
        "rounded": found.rounded,
        "from": found.source,
        "to": found.target,
    }
    return ToolAnswer(tool="convert_units", ok=True, text=f"{found.sentence}.", result=result)


def _calculate(text: str) -> ToolAnswer | None:
    expression = find_expression(text)
    if expression is None:
        return None
    try:
        done = evaluate(expression)
    except ArithmeticProblem as error:
        return ToolAnswer(
            tool="calculate", ok=False, text=f"I cannot work that out: {error}.", result={}
        )
    result = {
        "expression": done.expression,
        "value": done.text,
        "fraction": str(done.value) if len(str(done.value)) < 100 else None,
        "exact": done.exact and not done.rounded,
    }
    return ToolAnswer(tool="calculate", ok=True, text=f"{done.sentence}.", result=result)
