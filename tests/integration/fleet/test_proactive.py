"""The assistant speaks first: reminders come back by themselves."""

from __future__ import annotations

import pytest

from support.fleet import Fleet

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


def test_a_reminder_appears_in_the_chat(running_fleet: Fleet) -> None:
    """A reminder "in 2 seconds" is confirmed, and comes back without another question."""
    chat = running_fleet.spawn("chat", "--user", "reminded")
    assert chat.stdin is not None
    assert chat.stdout is not None
    chat.stdin.write("remind me to stretch in 2 seconds\n")
    chat.stdin.flush()
    said = [chat.stdout.readline()]
    while not ("stretch" in said[-1].lower() and len(said) > 1):
        said.append(chat.stdout.readline())
        assert said[-1], f"the chat ended: {said}"
    chat.stdin.write("/quit\n")
    chat.stdin.flush()

    assert chat.wait(timeout=15) == 0
