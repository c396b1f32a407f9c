"""How risky an action is, by cue words in English and Tagalog."""

from __future__ import annotations

import re
from typing import Literal

from aisys_agents.text.cues import plain

__all__ = ["Risk", "grade_risk"]

Risk = Literal["none", "low", "medium", "high"]

# The first that matches grades the action, so the worst come first.
_TABLE: tuple[tuple[Risk, re.Pattern[str]], ...] = (
    (
        "high",
        re.compile(
            r"\b(?:format|wipe|rm -rf|factory reset|delete (?:all|everything|the (?:disk|drive|database|folder))|"
            r"erase (?:all|everything)|drop (?:table|database)|pay|transfer|send money|buy|purchase|order|"
            r"magbayad|bumili|burahin (?:mo )?(?:lahat|ang lahat)|shut ?down|reboot|power off|sudo)\b"
        ),
    ),
    (
        "medium",
        re.compile(
            r"\b(?:delete|remove|erase|forget|overwrite|kill|uninstall|install|send|email|post|publish|"
            r"rename|move|restart|burahin|kalimutan|alisin|ipadala|i-?send|i-?delete|patayin ang kompyuter)\b"
        ),
    ),
    (
        "low",
        re.compile(
            r"\b(?:run|execute|open|close|turn (?:on|off)|start|stop|write|create|change|set|buksan|isara|"
            r"patayin|gawin|palitan)\b"
        ),
    ),
)


def grade_risk(action: str, target: str | None = None) -> Risk:
    """How risky an action is: `high` cannot be undone or costs money, `medium` changes what others see.

    Args:
        action: what is to be done, in words.
        target: what it is done to.
    """
    text = plain(f"{action} {target or ''}").replace("_", " ")
    return next((risk for risk, pattern in _TABLE if pattern.search(text)), "none")
