"""The guide for authors shows code that works."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

from aisys.testing import LocalFleet

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "agents.md"


async def test_the_example_of_the_guide_runs() -> None:
    """The first block of docs/agents.md is an agent that starts, answers, streams and takes tasks."""
    (code, *_) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    module = types.ModuleType("guide_example")
    sys.modules["guide_example"] = module
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)  # noqa: S102 - our own documentation
    tutor = module.TutorAgent
    try:
        async with LocalFleet(module.LibraryAgent, tutor) as fleet:
            assert (await fleet.call("TutorAgent.next_lesson", student="ana")).title == (
                "Lesson 1 for ana, 1 books"
            )
            words = [word async for word in fleet.stream("TutorAgent.explain", topic="a b")]
            assert words == ["a", "b"]
            task_id = await fleet.proxy(tutor).grade_essay.send("essay-7")
            assert (await fleet.tasks.wait(task_id)).result == 1.0
            await fleet.publish("speech.final", {"text": "hi", "user_id": "ana"})
            await fleet.until(lambda: fleet.published("lesson.due") == [{"student": "ana"}])
            assert fleet.errors == []
    finally:
        del sys.modules["guide_example"]
