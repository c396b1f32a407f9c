"""Merging, environment variables, overrides, and finding the folder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from aisys.config import load_fleet, parse_override
from aisys.config.layers import merge, strip
from aisys.config.origins import Node, Origin, node_of
from aisys.errors import ConfigError
from support.config_folder import Folder


def tree(value: object) -> Node:
    return node_of(value, Origin("base"))


def test_maps_merge_lists_replace_null_removes() -> None:
    """The three rules of laying one layer over another."""
    lower = tree({"a": {"x": 1, "y": [1, 2, 3]}, "b": 1, "c": 1})
    upper = tree({"a": {"y": [9], "z": 2}, "b": None, "d": {"e": None}})
    assert strip(merge(lower, upper)).plain() == {"a": {"x": 1, "y": [9], "z": 2}, "c": 1, "d": {}}


def test_every_layer_beats_the_one_below(folder: Folder) -> None:
    """Base < fleet < env < machine < variable < override, each with its origin."""
    folder.write("base.yaml", "call_timeout_s: 1\n")
    assert folder.load().settings.call_timeout_s == 1
    assert folder.load().origin("call_timeout_s").where == "base.yaml:1:1"
    fleet = (folder.path / "fleet.yaml").read_text() + "call_timeout_s: 2\n"
    folder.write("fleet.yaml", fleet)
    assert folder.load().settings.call_timeout_s == 2
    assert folder.load().origin("call_timeout_s").layer == "fleet"
    folder.write("dev.yaml", "call_timeout_s: 3\n")
    assert folder.load().settings.call_timeout_s == 3
    assert folder.load("prod").settings.call_timeout_s == 2
    folder.write("machines/one.yaml", "# one\ncall_timeout_s: 4\n")
    loaded = folder.load()
    assert loaded.settings_for("one").call_timeout_s == 4
    assert loaded.settings_for("two").call_timeout_s == 3
    assert loaded.settings.call_timeout_s == 3
    assert loaded.origin("call_timeout_s", machine="one").where == "machines/one.yaml:2:1"
    environ = {"AISYS_CALL_TIMEOUT_S": "5"}
    loaded = folder.load(environ=environ)
    assert loaded.settings_for("one").call_timeout_s == 5
    assert loaded.origin("call_timeout_s").where == "$AISYS_CALL_TIMEOUT_S"
    loaded = folder.load(None, environ, call_timeout_s=6)
    assert loaded.settings_for("one").call_timeout_s == loaded.settings.call_timeout_s == 6
    assert loaded.origin("call_timeout_s").where == "--set"


def test_variables_nest_and_ignore_case(folder: Folder) -> None:
    """`__` nests, names of agents and machines are found whatever their case."""
    fleet = folder.load(
        environ={
            "AISYS_AGENTS__EMIL__SETTINGS__LIMIT": "8",
            "AISYS_AGENTS__DORA__REQUIRES": "[Anna]",
            "AISYS_MACHINES__TWO__CONTROL_PORT": "7777",
            "AISYS_LOGS__LEVEL": "error",
            "AISYS_STATE_BACKEND": "memory",
        }
    )
    assert fleet.agents["Emil"].settings == {"limit": 8}
    assert fleet.agents["Dora"].requires == ("Anna",)
    assert fleet.machines["two"].control_port == 7777
    assert fleet.settings.logs.level == "error"
    assert fleet.settings.state.backend == "memory"


def test_variables_for_texts_are_not_read_as_numbers(folder: Folder) -> None:
    """A model called `7` stays a text, a key with brackets too; empty means not set."""
    fleet = folder.load(
        environ={"AISYS_LLM_MODEL": "7", "AISYS_LLM_KEY": "[012", "AISYS_LLM_URL": ""}
    )
    assert fleet.settings.llm.model == "7"
    assert fleet.settings.llm.key is not None
    assert fleet.settings.llm.key.get_secret_value() == "[012"
    assert fleet.settings.llm.url is None


def test_secret_file_variable_becomes_a_reference(folder: Folder) -> None:
    """`AISYS_LLM_KEY_FILE` names a file that is read late."""
    fleet = folder.load(environ={"AISYS_LLM_KEY_FILE": "/run/secrets/key"})
    assert str(fleet.settings.llm.key) == "secret:AISYS_LLM_KEY"


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("AISYS_CALL_TIMOUT_S", "1", "Did you mean AISYS_CALL_TIMEOUT_S"),
        ("AISYS_AGENTS__EMYL__PORT", "1", "Did you mean EMIL"),
        ("AISYS_MACHINES__NINE__CONTROL_PORT", "1", "no machine is named NINE"),
        ("AISYS_LLM__URLL", "x", "Did you mean url"),
        ("AISYS_LLM____URL", "x", "empty part"),
        ("AISYS_CALL_TIMEOUT_S", "012", "read as 12 or as octal"),
        ("AISYS_CALL_TIMEOUT_S", "soon", "must be a valid number, not 'soon'"),
        ("AISYS_AGENTS__DORA__REQUIRES", "[Anna", "Write [a, b]"),
        ("AISYS_PORT_OFFSET", "-1", "greater than or equal to 0"),
        ("PORT_OFFSET", "lots", "must be a valid integer"),
    ],
)
def test_wrong_variables_are_named(folder: Folder, name: str, text: str, what: str) -> None:
    """A variable that means nothing is a problem placed at its name."""
    problem = folder.problem(environ={name: text})
    assert problem.where == f"${name}"
    assert what in str(problem)


def test_variables_of_others_are_left_alone(folder: Folder) -> None:
    """What resembles no setting is somebody else's."""
    folder.load(environ={"AISYS_BENCH_ROUNDS": "x", "AISYS_DATA_DIR": "/x", "HOME": "/y"})


def test_port_offset_has_a_short_name(folder: Folder) -> None:
    """`PORT_OFFSET` shifts every port; two names with two values are refused."""
    fleet = folder.load(environ={"PORT_OFFSET": "100"})
    assert fleet.agents["Anna"].port == 7110
    assert fleet.machines["two"].metrics_port == 7103
    folder.load(environ={"PORT_OFFSET": "100", "AISYS_PORT_OFFSET": "100"})
    problem = folder.problem(environ={"PORT_OFFSET": "100", "AISYS_PORT_OFFSET": "200"})
    assert "differs from $AISYS_PORT_OFFSET" in str(problem)


def test_overrides_must_be_settings(folder: Folder) -> None:
    """What the command line gives is checked like everything else."""
    assert "Did you mean debug?" in str(folder.problem(debgu=True))
    with pytest.raises(ConfigError, match="empty part"):
        load_fleet(folder.path, overrides={"a..b": 1}, environ={})
    with pytest.raises(ConfigError, match="a object cannot be a setting"):
        load_fleet(folder.path, overrides={"debug": object()}, environ={})
    with pytest.raises(ConfigError, match="sample_ratio"):
        load_fleet(folder.path, overrides={"tracing.sample_ratio": math.nan}, environ={})


def test_parse_override() -> None:
    """`a.b=value` is split and its value read as YAML."""
    assert parse_override("call_timeout_s=5") == ("call_timeout_s", 5)
    assert parse_override("llm.model=5") == ("llm.model", "5")
    assert parse_override("agents.X.requires=[A, B]") == ("agents.X.requires", ["A", "B"])
    assert parse_override("llm.url=") == ("llm.url", None)
    for text in ("nonsense", "=5", "a b=5", "a..b=5", "debug={", "debug=[012]"):
        with pytest.raises(ConfigError):
            parse_override(text)


def test_finding_the_folder(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument beats the variable, which beats ./config."""
    other = Folder(tmp_path / "config") if (tmp_path / "config").mkdir() is None else folder
    assert load_fleet(environ={}).config_dir == other.path.resolve()
    environ = {"AISYS_CONFIG_DIR": str(folder.path)}
    assert load_fleet(environ=environ).config_dir == folder.path.resolve()
    assert load_fleet(other.path, environ=environ).config_dir == other.path.resolve()
    with pytest.raises(ConfigError, match=r"\$AISYS_CONFIG_DIR: there is no fleet.yaml in"):
        load_fleet(environ={"AISYS_CONFIG_DIR": "/nowhere"})
    with pytest.raises(ConfigError, match=r"there is no fleet.yaml in"):
        load_fleet(Path("/nowhere"), environ={})


@pytest.mark.parametrize("env", ["prd", "Prod", "../base", "base", "fleet"])
def test_unknown_environments_are_refused(folder: Folder, env: str) -> None:
    """An environment is dev, staging, prod, or one with a file."""
    folder.write("base.yaml", "debug: false\n")
    assert "no environment is named" in str(folder.problem(env))
    assert "$AISYS_ENV" in str(folder.problem(environ={"AISYS_ENV": env}))


def test_an_environment_of_ones_own(folder: Folder) -> None:
    """A file makes an environment."""
    folder.write("lab.yaml", "call_timeout_s: 9\n")
    fleet = folder.load(environ={"AISYS_ENV": "lab"})
    assert (fleet.env, fleet.settings.call_timeout_s) == ("lab", 9)
