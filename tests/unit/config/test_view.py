"""An agent's view: `Config.for_agent`."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisys.config import Config
from aisys.errors import ConfigError
from support.config_folder import Folder

EXTRA = """
agents:
  Emil:
    settings:
      name_of_cat: Tom
      ratio: 2
      loud: true
      words: [a, b]
      inner: {depth: 3}
      call_timeout_s: 7
      token: secret:EMIL_TOKEN
"""


def view(folder: Folder) -> Config:
    return Config.for_agent("Emil", fleet=folder.write("dev.yaml", EXTRA).load())


def test_typed_getters(folder: Folder) -> None:
    """Each getter gives its type; whole numbers are numbers."""
    config = view(folder)
    assert config.get_str("name_of_cat") == "Tom"
    assert config.get_int("limit") == 5
    assert config.get_float("ratio") == 2.0
    assert isinstance(config.get_float("ratio"), float)
    assert config.get_bool("loud") is True
    assert config.get_list("words") == ["a", "b"]
    assert config.get_dict("inner") == {"depth": 3}
    assert config.get_int("inner.depth") == 3
    assert config.get("inner.depth") == 3
    assert config.own["loud"] is True


def test_the_fleet_shows_through(folder: Folder) -> None:
    """What the agent does not set is the fleet's on its machine, then the built-in default."""
    folder.write("machines/two.yaml", "heartbeat_s: 2\n")
    config = view(folder)
    assert config.get_float("call_timeout_s") == 7
    assert config.settings.call_timeout_s == 30
    assert config.get_float("heartbeat_s") == 2
    assert config.get_float("stop_grace_s") == 10
    assert config.get_dict("restart")["max_restarts"] == 5
    assert config.origin("call_timeout_s").where == "dev.yaml:9:7"
    assert config.origin("heartbeat_s").where == "machines/two.yaml:1:1"
    assert config.origin("stop_grace_s").where == "built-in default"
    with pytest.raises(KeyError):
        config.origin("nonsense")


def test_defaults(folder: Folder) -> None:
    """A default fills in; without one the error says what is near."""
    config = view(folder)
    assert config.get_int("nothing", 3) == 3
    assert config.get_str("inner.nothing", "x") == "x"
    assert config.get("nothing") is None
    with pytest.raises(ConfigError) as caught:
        config.get_int("limti")
    assert "agents.Emil.settings.limti: is not set and has no default. Did you mean limit?" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("getter", "path", "wanted"),
    [
        ("get_str", "limit", "must be a text, not a number"),
        ("get_int", "loud", "must be a whole number, not true or false"),
        ("get_float", "loud", "must be a number, not true or false"),
        ("get_bool", "limit", "must be true or false, not a number"),
        ("get_list", "inner", "must be a list, not a map"),
        ("get_dict", "words", "must be a map, not a list"),
    ],
)
def test_wrong_types_name_the_line(folder: Folder, getter: str, path: str, wanted: str) -> None:
    """A value of another type is a problem at its place."""
    with pytest.raises(ConfigError) as caught:
        getattr(view(folder), getter)(path)
    assert wanted in str(caught.value)
    assert caught.value.problems[0].where.startswith(("dev.yaml:", "fleet.yaml:"))


def test_secrets_are_late(folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reference is a text until it is asked for; a missing one names the line of the setting."""
    monkeypatch.setenv("AISYS_DATA_DIR", str(tmp_path / "data"))
    config = view(folder)
    assert config.get_str("token") == "secret:EMIL_TOKEN"
    with pytest.raises(ConfigError, match=r"dev\.yaml:10:7: secret:EMIL_TOKEN"):
        config.get_secret("token")
    monkeypatch.setenv("EMIL_TOKEN", "hush")
    assert config.get_secret("token") == "hush"


def test_as_dict_masks_secrets(folder: Folder) -> None:
    """Everything that is set can be shown."""
    folder.write("base.yaml", "llm: {key: hush, model: m}\n")
    shown = view(folder).as_dict()
    assert shown["llm"] == {"key": "**********", "model": "m"}
    assert shown["inner"] == {"depth": 3}
    assert shown["token"] == "secret:EMIL_TOKEN"
    assert "agents" not in shown


@pytest.mark.parametrize("name", ["Emil", "/somewhere/emil.py", Path("x/emil.py")])
def test_agents_are_found_by_name_and_by_file(folder: Folder, name: str | Path) -> None:
    """`Config.for_agent(__file__)` works from the file of the class."""
    assert Config.for_agent(name, fleet=folder.load()).agent.name == "Emil"


def test_unknown_agents_are_named(folder: Folder) -> None:
    """A file of no agent is a clear error."""
    with pytest.raises(ConfigError, match=r"no agent is named Emyl. Did you mean Emil\?"):
        Config.for_agent("Emyl", fleet=folder.load())
    with pytest.raises(ConfigError, match="no agent is named other"):
        Config.for_agent("/x/other.py", fleet=folder.load())
