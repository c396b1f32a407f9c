"""Agent classes by name."""

from __future__ import annotations

import pytest

from aisys import Agent
from aisys.agent import find_class, load_class
from aisys.agent.suggest import did_you_mean
from aisys.errors import ConfigError


class Findable(Agent):
    agent_name = "FindableAgent"


def test_an_imported_class_is_found_by_its_name() -> None:
    """A class is known under its name in the fleet as soon as it is defined."""
    assert find_class("FindableAgent") is Findable
    assert find_class("Findable") is None
    assert load_class("FindableAgent") is Findable


def test_a_class_nobody_has_is_a_configuration_error() -> None:
    """The error says where agents are declared."""
    with pytest.raises(ConfigError, match=r"aisys\.agents"):
        load_class("NoSuchAgentAnywhere")


def test_suggestions_are_close_or_none() -> None:
    """A word near a known one is suggested whatever its case; a far one is not."""
    assert did_you_mean("knowledgebase", ["KnowledgeBase"]) == "; did you mean 'KnowledgeBase'?"
    assert did_you_mean("xyz", ["KnowledgeBase"]) == ""
