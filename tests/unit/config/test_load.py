"""Loading: the fleet that comes out, and everything that can be wrong with what goes in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from aisys.config import check_agent_settings
from aisys.errors import ConfigError
from support.config_folder import Folder


def test_the_fleet(folder: Folder) -> None:
    """Machines, agents and hosts are what the file says."""
    fleet = folder.load()
    assert (fleet.name, fleet.env) == ("small", "dev")
    assert list(fleet.machines) == ["one", "two"]
    assert [entry.name for entry in fleet.built()] == ["Anna", "Ben", "Cleo", "Dora"]
    assert [entry.name for entry in fleet.planned()] == ["Emil"]
    assert [entry.name for entry in fleet.machine_agents("two")] == ["Dora", "Emil"]
    assert {key: plan.agents for key, plan in fleet.hosts.items()} == {
        "one/pair": ("Anna", "Ben"),
        "one/Cleo": ("Cleo",),
        "two/Dora": ("Dora",),
    }
    assert fleet.agents["Ben"].host == "one/pair"
    assert fleet.start_order("one") == [["one/pair"], ["one/Cleo"]]
    assert fleet.start_order("two") == [["two/Dora"]]
    assert dataclasses.asdict(fleet.agents["Ben"])["requires"] == ("Anna",)


def test_hosts_that_need_each_other_share_a_wave(folder: Folder) -> None:
    """A cycle between hosts is no cycle between agents: they start together."""
    fleet = folder.write(
        "lab.yaml",
        """
        agents:
          Cleo: {place: {shared: other}, priority: 1}
          Fred: {machine: one, port: 1, group: g, status: built, place: {shared: other}}
          Anna: {requires: [Fred]}
          Gina: {machine: one, port: 2, group: g, status: built, requires: [Cleo]}
        """,
    ).load("lab")
    assert fleet.start_order("one") == [["one/other", "one/pair"], ["one/Gina"]]


def test_a_host_restarts_as_its_most_eager_agent(folder: Folder) -> None:
    """Permanent beats transient beats temporary; priority is the least."""
    fleet = folder.load(
        agents__Anna__restart="temporary", agents__Ben__restart="transient", agents__Ben__priority=3
    )
    assert fleet.hosts["one/pair"].restart == "transient"
    assert fleet.hosts["one/pair"].priority == 3


def test_a_planned_requirement_is_fine(folder: Folder) -> None:
    """Built agents do without planned ones: only names that do not exist are wrong."""
    assert folder.load().agents["Dora"].requires == ("Anna", "Emil")


def test_missing_dependency(folder: Folder) -> None:
    """A requirement of nobody names the place of the list item and the closest name."""
    folder.write("dev.yaml", "agents:\n  Cleo:\n    requires:\n      - Anna\n      - Annna\n")
    assert str(folder.problem()) == (
        "dev.yaml:5:9: agents.Cleo.requires: no agent is named Annna. Did you mean Anna?"
    )


@pytest.mark.parametrize("status", ["built", "planned"])
def test_dependency_cycle(folder: Folder, status: str) -> None:
    """A cycle is one problem that shows the way around, planned agents included."""
    folder.write("dev.yaml", f"agents:\n  Anna:\n    status: {status}\n    requires: [Cleo]\n")
    problem = folder.problem()
    assert problem.where.startswith(("dev.yaml:4:16", "fleet.yaml:"))
    assert "agents wait for each other: " in problem.what
    way = problem.what.partition(": ")[2].split(" -> ")
    assert way[0] == way[-1]
    assert set(way) == {"Anna", "Ben", "Cleo"}


def test_an_agent_that_requires_itself(folder: Folder) -> None:
    """The shortest cycle."""
    assert "Emil -> Emil" in str(folder.problem(agents__Emil__requires=["Emil"]))


def test_unknown_machine(folder: Folder) -> None:
    """An agent on no machine is placed at its `machine`."""
    folder.write("dev.yaml", "agents: {Anna: {machine: onne}}\n")
    assert str(folder.problem()) == (
        "dev.yaml:1:26: agents.Anna.machine: no machine is named onne. Did you mean one?"
    )


@pytest.mark.parametrize(
    ("overlay", "taken"),
    [
        ("agents: {Anna: {port: 7012}}\n", "agents.Cleo.port"),
        ("agents: {Dora: {port: 7010}}\n", "agents.Anna.port"),
        ("machines: {one: {control_port: 7003}}\n", "machines.two.metrics_port"),
        ("agents: {Anna: {port: 7001}}\n", "machines.one.metrics_port"),
    ],
)
def test_duplicate_ports(folder: Folder, overlay: str, taken: str) -> None:
    """Two users of one port of one address: both places and a free port are named."""
    folder.write("dev.yaml", overlay)
    problem = folder.problem()
    assert f"is taken by {taken} at fleet.yaml:" in problem.what
    assert problem.where.startswith("dev.yaml:1:")
    assert "Choose a free port" in problem.remedy


def test_the_same_port_on_another_address_is_fine(folder: Folder) -> None:
    """Ports are unique per address; every loopback name is the same address."""
    sets = {"agents__Dora__port": 7010}
    folder.load(machines__two__address="192.168.1.2", **sets)
    assert folder.problem(machines__two__address="localhost", **sets)
    assert folder.problem(machines__two__address="::1", **sets)


def test_ports_out_of_range(folder: Folder) -> None:
    """A port is 1 to 65535, after the offset too."""
    assert "65535" in str(folder.problem(agents__Anna__port=65536))
    assert "greater than" in str(folder.problem(agents__Anna__port=0))
    problem = folder.problem(port_offset=60000)
    assert problem.what == "60000 moves agents.Emil.port (7014) beyond 65535"
    assert problem.remedy == "Use at most 58521"


def test_host_names_do_not_collide(folder: Folder) -> None:
    """A shared place cannot be named like an agent with a process of its own, or the supervisor."""
    assert "Choose another name" in str(folder.problem(agents__Anna__place={"shared": "Cleo"}))
    assert "Choose another name" in str(
        folder.problem(agents__Anna__place={"shared": "supervisor"})
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "debug: no",
            "dev.yaml:1:8: debug: must be a valid boolean, not 'no'. Write true or false",
        ),
        ("heartbeat_s: '1'", "dev.yaml:1:14: heartbeat_s: must be a valid number, not '1'."),
        (
            "call_timout_s: 1",
            "dev.yaml:1:1: call_timout_s: is not a setting. Did you mean call_timeout_s?",
        ),
        ("llm: {modle: x}", "dev.yaml:1:7: llm.modle: is not a setting. Did you mean model?"),
        ("state: {backend: reddis}", "Did you mean redis?"),
        ("logs: debug", "dev.yaml:1:7: logs: must be"),
        (
            "agents: {Anna: {prot: 1}}",
            "dev.yaml:1:17: agents.Anna.prot: is not a setting. Did you mean port?",
        ),
        ("agents: {Nina: {machine: one, group: g}}", "dev.yaml:1:10: agents.Nina.port: is missing"),
        ("agents: {Anna: {place: shared}}", "agents.Anna.place: must be `own` or `{shared: NAME}`"),
        (
            "agents: {Anna: {place: {shard: x}}}",
            "agents.Anna.place: must be `own` or `{shared: NAME}`",
        ),
        ("agents: {Anna: {port: true}}", "agents.Anna.port: must be a valid integer, not true"),
        ("agents: {Anna: {requires: Ben}}", "Write a list: [a, b]"),
        ("agents: {Anna: 5}", "agents.Anna: must be"),
        ("agents: [Anna]", "dev.yaml:1:9: agents: must be a map of names, not a list"),
        ("agents: {a b: {machine: one, port: 1, group: g}}", "agents.a b: is not a name"),
        ("name: two words", "dev.yaml:1:7: name: is not a name"),
        ("llm: {url: ftp://x}", "llm.url: must start with http://"),
        (
            "machines: {one: {address: 0.0.0.0}}",
            "dev.yaml:1:27: machines.one.address: must be an address that",
        ),
        ("machines: {one: {address: 127.0.0}}", "is not a complete IP address"),
        ("machines: {one: {address: a_b}}", "neither an IP address nor a host name"),
        ("tracing: {sample_ratio: 1.5}", "less than or equal to 1, not 1.5"),
        ("security: {curve: false}\nmachines: {two: {address: 10.0.0.2}}", "without encryption"),
    ],
)
def test_wrong_values(folder: Folder, line: str, expected: str) -> None:
    """Each mistake is one line with the place, the setting, what is wrong and what to do."""
    folder.write("dev.yaml", line + "\n")
    assert expected in str(folder.problem())


def test_all_problems_at_once(folder: Folder) -> None:
    """Mistakes of every kind and file come together, and each only once."""
    folder.write("base.yaml", "heartbeat_s: 012\ncall_timout_s: 1\ncall_timout_s: 2\n")
    folder.write("dev.yaml", "agents: {Anna: {port: 7012, requires: [Nobody]}, Ben: {prot: 1}}\n")
    folder.write("machines/three.yaml", "debug: true\n")
    problems = folder.problems(None, {"AISYS_LLM__URLL": "x"}, port_offset=-1)
    text = "\n".join(map(str, problems))
    for part in (
        "base.yaml:1:14: heartbeat_s: '012'",
        "base.yaml:3:1: the key 'call_timout_s' was set already on line 2",
        "base.yaml:2:1: call_timout_s: is not a setting",
        "dev.yaml:1:56: agents.Ben.prot",
        "agents.Anna.requires: no agent is named Nobody",
        "dev.yaml:1:23: agents.Anna.port: port 7012 on 127.0.0.1 is taken by agents.Cleo.port",
        "machines/three.yaml:1:1: no machine is named three",
        "$AISYS_LLM__URLL: llm.urll",
        "--set: port_offset: must be greater than or equal to 0, not -1",
    ):
        assert part in text
    assert len(set(map(str, problems))) == len(problems) == 9


def test_broken_yaml_of_two_files_is_reported_together(folder: Folder) -> None:
    """What cannot be read to its end stops the rest, but not the other files."""
    folder.write("base.yaml", "a: [1\n").write("dev.yaml", "b: 'x\n")
    where = [problem.where.partition(":")[0] for problem in folder.problems()]
    assert where == ["base.yaml", "dev.yaml"]


def test_a_fleet_has_a_name_and_a_machine(folder: Folder) -> None:
    """An empty fleet file is not a fleet."""
    folder.write("fleet.yaml", "")
    assert [problem.setting for problem in folder.problems()] == ["name", "machines"]


def test_machine_files_stay_at_home(folder: Folder) -> None:
    """A machine's file may not set what belongs to the fleet or to another machine."""
    folder.write(
        "machines/one.yaml",
        """
        port_offset: 5
        security: {curve: false}
        machines: {two: {address: 10.0.0.2}}
        agents: {Dora: {port: 1}, Anna: {settings: {volume: 3}}, Nina: {port: 2}}
        """,
    )
    problems = folder.problems()
    found = {problem.setting for problem in problems if problem.where.startswith("machines/")}
    assert found >= {"port_offset", "security.curve", "machines.two", "agents.Dora", "agents.Nina"}
    assert "agents.Anna" not in found


def test_machine_files_adjust_their_agents(folder: Folder) -> None:
    """An agent's settings may come from its machine's file, in line and place."""
    folder.write("machines/two.yaml", "agents:\n  Emil:\n    settings: {volume: 3}\n")
    fleet = folder.load()
    assert fleet.agents["Emil"].settings == {"limit": 5, "volume": 3}
    assert fleet.agent_settings_origin("Emil", "volume").where == "machines/two.yaml:3:16"
    assert fleet.agent_settings_origin("Emil", "limit").where.startswith("fleet.yaml:10:")
    assert fleet.agent_settings_origin("Emil", "nothing").where.startswith("fleet.yaml:10:")
    assert fleet.agent_settings_origin("Anna", "x.y").where == "fleet.yaml:6:3"


def test_prod_is_strict(folder: Folder) -> None:
    """Prod refuses debug, open links, forgetting, and secrets in files; dev does not."""
    text = """
        debug: true
        security: {curve: false}
        state: {backend: memory, redis_url: "redis://:hush@x"}
        llm: {key: hush}
        agents: {Emil: {settings: {api_key: hush, page_token: "secret:T"}}}
        """
    folder.write("base.yaml", text)
    assert folder.load("dev")
    problems = folder.problems("prod")
    assert sorted(problem.setting for problem in problems) == [
        "agents.Emil.settings.api_key",
        "debug",
        "llm.key",
        "security.curve",
        "state.backend",
        "state.redis_url",
    ]
    assert "hush" not in "\n".join(map(str, problems))


def test_prod_looks_at_machine_files(folder: Folder) -> None:
    """What a machine's file turns on counts too."""
    folder.write("machines/one.yaml", "debug: true\n")
    assert folder.problem("prod").where == "machines/one.yaml:1:8"


def test_secrets_are_not_shown(folder: Folder) -> None:
    """Neither the fleet nor an error shows what a secret setting holds."""
    fleet = folder.load(environ={"AISYS_LLM_KEY": "hush-hush"})
    assert "hush" not in repr(fleet)
    assert "hush" not in repr(fleet.settings)
    assert "hush" not in fleet.settings.model_dump_json()
    folder.write("dev.yaml", "llm: {key: [hush]}\nagents: {Emil: {prot: hush}}\n")
    assert all("hush" not in str(problem) for problem in folder.problems())


def test_origins(folder: Folder) -> None:
    """Every value knows its place; what no file sets is a default, what is unknown is refused."""
    fleet = folder.load(debug=True)
    assert fleet.origin("agents.Ben.port").where == "fleet.yaml:7:23"
    assert fleet.origin(("agents", "Ben", "requires", "0")).line == 7
    assert fleet.origin("agents.Ben.priority").where == "built-in default"
    assert fleet.origin("llm.timeout_s").layer == "default"
    assert fleet.origin("debug").layer == "override"
    assert set(fleet.origins()) >= {
        "name",
        "debug",
        "machines.one.control_port",
        "agents.Emil.settings.limit",
    }
    for path in ("agents.Bern.port", "llm.urll", "agents.Ben.port.x"):
        with pytest.raises(KeyError):
            fleet.origin(path)
    with pytest.raises(KeyError, match=r"did you mean llm\.url"):
        fleet.origin("llm.urll")


def test_every_origin_has_a_value_to_show(folder: Folder) -> None:
    """What `origins` lists can be shown, with secrets masked and keys that hold dots found."""
    folder.write(
        "dev.yaml",
        """
        llm: {key: hush}
        agents: {Emil: {settings: {token: hush, "a.b": {"c.d": 1}, words: [a, b]}}}
        """,
    )
    fleet = folder.load()
    shown = {path: fleet.value(path) for path in fleet.origins()}
    assert shown["agents.Emil.settings.a.b.c.d"] == 1
    assert shown["agents.Emil.settings.words"] == ["a", "b"]
    assert shown["agents.Emil.settings.token"] == shown["llm.key"] == "**********"
    assert shown["agents.Anna.place.shared"] == "pair"
    assert all(fleet.origin(path) == origin for path, origin in fleet.origins().items())
    with pytest.raises(KeyError):
        fleet.value("nonsense")


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = Field(1, ge=0)


class _EmilConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = 1
    inner: _Inner = _Inner()


def test_agent_settings_are_checked_against_the_class(folder: Folder) -> None:
    """The Config class of an agent is applied with places and suggestions."""
    config, problems = check_agent_settings(folder.load(), "Emil", _EmilConfig)
    assert config is not None
    assert (config.limit, problems) == (5, [])
    assert check_agent_settings(folder.load(), "Anna", _EmilConfig)[0] == _EmilConfig()
    folder.write(
        "dev.yaml", "agents: {Emil: {settings: {limt: 1, limit: many, inner: {dept: 2}}}}\n"
    )
    _, problems = check_agent_settings(folder.load(), "Emil", _EmilConfig)
    assert [(problem.where, problem.setting, problem.remedy) for problem in problems] == [
        ("dev.yaml:1:44", "agents.Emil.settings.limit", "Correct the value"),
        ("dev.yaml:1:58", "agents.Emil.settings.inner.dept", "Did you mean depth?"),
        ("dev.yaml:1:28", "agents.Emil.settings.limt", "Did you mean limit?"),
    ]


def test_secrets_of_the_fleet_are_resolved_late(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Fleet.secret` looks a reference up when asked, and names the line of the setting."""
    monkeypatch.setenv("AISYS_DATA_DIR", str(tmp_path / "data"))
    fleet = folder.write("dev.yaml", "llm: {key: secret:SMALL_KEY}\n").load()
    with pytest.raises(ConfigError, match=r"dev\.yaml:1:7: secret:SMALL_KEY"):
        fleet.secret("llm.key")
    monkeypatch.setenv("SMALL_KEY", "hush")
    assert fleet.secret("llm.key") == "hush"
    assert fleet.secret("state.redis_url") is None
    with pytest.raises(KeyError):
        fleet.secret("llm.model")


def test_the_error_reads_as_lines(folder: Folder) -> None:
    """A ConfigError is one line a problem."""
    with pytest.raises(ConfigError) as caught:
        folder.load(debgu=1, heartbeat_s=-1)
    assert len(str(caught.value).splitlines()) == 2


def test_an_unprintable_key_is_an_error_like_any_other(folder: Folder) -> None:
    """A key with a tab in it is refused with its place, not by an exception of the validator."""
    folder.write("dev.yaml", '"agents\\tagents": agents\n')
    with pytest.raises(ConfigError, match="is not a setting"):
        folder.load()
