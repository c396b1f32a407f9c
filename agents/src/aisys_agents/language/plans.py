"""Plans from templates: the steps that a goal of a common sort takes."""

from __future__ import annotations

import re

from typing_extensions import TypedDict

from aisys_agents.text.cues import plain

__all__ = ["PlanStep", "plan_from_lines", "template_plan"]


class PlanStep(TypedDict):
    """One step of a plan, with the numbers of the steps that come before it."""

    step: int
    title: str
    kind: str
    depends_on: list[int]


Template = tuple[tuple[str, str, tuple[int, ...]], ...]

_TEMPLATES: tuple[tuple[re.Pattern[str], Template], ...] = (
    (
        re.compile(r"\b(?:learn|study|exam|course|language|mag-?aral|matuto)\b"),
        (
            ("Say what knowing it would look like: {goal}", "clarify", ()),
            ("Find out what is known already", "question", (1,)),
            ("Collect material and order it by difficulty", "search", (1,)),
            ("Set regular times with reminders", "reminder", (2, 3)),
            ("Work through the material in small parts", "do", (4,)),
            ("Test yourself and repeat what is weak", "check", (5,)),
        ),
    ),
    (
        re.compile(r"\b(?:trip|travel|visit|vacation|holiday|biyahe|bakasyon)\b"),
        (
            ("Fix dates, people and budget: {goal}", "clarify", ()),
            ("Compare ways to get there and places to stay", "search", (1,)),
            ("Add up the cost", "calculate", (2,)),
            ("Book what has to be booked", "do", (3,)),
            ("Set reminders for papers and departure", "reminder", (4,)),
        ),
    ),
    (
        re.compile(r"\b(?:party|meeting|event|wedding|birthday|handaan|kasal|pulong)\b"),
        (
            ("Fix date, place and guests: {goal}", "clarify", ()),
            ("List what is needed and what it costs", "calculate", (1,)),
            ("Invite the guests", "do", (1,)),
            ("Get what is on the list", "do", (2,)),
            ("Set reminders for the day before", "reminder", (3, 4)),
        ),
    ),
    (
        re.compile(r"\b(?:build|make|write|develop|create|program|app|gumawa)\b"),
        (
            ("Say what it must do and when it is good enough: {goal}", "clarify", ()),
            ("Look at how others did it", "search", (1,)),
            ("Make the smallest version that works", "do", (2,)),
            ("Try it and note what is wrong", "check", (3,)),
            ("Improve it and try again", "do", (4,)),
        ),
    ),
)
_GENERAL: Template = (
    ("Say what done looks like: {goal}", "clarify", ()),
    ("Gather what is known and what is missing", "question", (1,)),
    ("Do the first part that others depend on", "do", (2,)),
    ("Do the rest", "do", (3,)),
    ("Check the result against the first step", "check", (4,)),
)


def template_plan(goal: str, max_steps: int) -> list[PlanStep]:
    """The template that fits a goal, cut to a number of steps."""
    flat = plain(goal)
    chosen = next((plan for cue, plan in _TEMPLATES if cue.search(flat)), _GENERAL)
    return [
        PlanStep(step=number, title=title.format(goal=goal), kind=kind, depends_on=list(before))
        for number, (title, kind, before) in enumerate(chosen[:max_steps], start=1)
    ]


def plan_from_lines(text: str, max_steps: int) -> list[PlanStep]:
    """The numbered lines of a model's answer as steps, each after the one before."""
    lines = [re.sub(r"^\s*(?:\d+[.):]|[-*•])\s*", "", line).strip() for line in text.splitlines()]
    titles = [line for line in lines if len(line) > 2][:max_steps]
    return [
        PlanStep(step=n, title=title, kind="do", depends_on=[n - 1] if n > 1 else [])
        for n, title in enumerate(titles, start=1)
    ]
