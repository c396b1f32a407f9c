"""What a person types, against the reference fleet on two simulated machines."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as text_string_to_openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from support.fleet import Fleet

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


def test_status_lists_all_agents_honestly(running_fleet: Fleet) -> None:
    """All 74 agents are listed; those that are not built are `planned`, the others ready and healthy."""
    status = running_fleet.status()

    assert (status["built"], status["total"], len(status["agents"])) == (18, 74, 74)
    states = {agent["name"]: agent["state"] for agent in status["agents"]}
    assert {states[name] for name, state in states.items() if state != "planned"} == {"ready"}
    assert sum(state == "planned" for state in states.values()) == 56
    assert all(agent["healthy"] for agent in status["agents"] if agent["state"] == "ready")


def test_status_shows_processes_with_their_parents(running_fleet: Fleet) -> None:
    """Every host's parent is its machine's zygote, whose parent is the supervisor."""
    for machine in running_fleet.status()["machines"]:
        by_name = {process["name"]: process for process in machine["processes"]}
        supervisor, zygote = by_name.pop("supervisor"), by_name.pop("zygote")
        assert zygote["parent"] == supervisor["pid"]
        assert {process["parent"] for process in by_name.values()} == {zygote["pid"]}


def test_the_zygote_has_one_thread(running_fleet: Fleet) -> None:
    """A process that forks has no second thread, of Python or of a library; nothing warned of one either."""
    for machine in running_fleet.status()["machines"]:
        zygote = next(entry for entry in machine["processes"] if entry["name"] == "zygote")
        threads = list(Path(f"/proc/{zygote['pid']}/task").iterdir())
        assert [thread.name for thread in threads] == [str(zygote["pid"])]
    assert "multi-threaded" not in "".join(
        log.read_text() for log in (running_fleet.data / "logs").rglob("*.log")
    )


def test_arithmetic_is_exact(running_fleet: Fleet) -> None:
    """15 % of 2,340 is 351."""
    assert "351" in running_fleet.ask("What is 15% of 2,340?")


def test_units_are_converted(running_fleet: Fleet) -> None:
    """A marathon of 26.2 miles has 42.16 km."""
    answer = running_fleet.ask("How many kilometres is a marathon of 26.2 miles?")

    assert re.search(r"\b42\.1[56]", answer), answer


def test_dates_are_counted(running_fleet: Fleet) -> None:
    """45 days after 2026-11-22 is 2027-01-06."""
    answer = running_fleet.ask("What date is 45 days after 2026-11-22?")

    assert "2027-01-06" in answer or re.search(r"January 6,? 2027|6 January 2027", answer), answer


def test_a_trace_shows_the_hops(running_fleet: Fleet) -> None:
    """`ask --trace` names agents and machines with milliseconds, on both sides of a link."""
    done = running_fleet.run("ask", "--trace", "What is 15% of 2,340?")

    assert done.returncode == 0, done.stderr
    assert "351" in done.stdout
    hops = re.findall(r"(\w+)\.(\w+) +(mainpc|pc2) +([\d.]+) ms", done.stderr)
    assert {"RequestCoordinator", "NLUAgent"} <= {agent for agent, *_ in hops}, done.stderr


def test_a_model_is_not_pretended(running_fleet: Fleet) -> None:
    """What needs a model and has none says so."""
    answer = running_fleet.ask("Write a poem about the sea in the style of Neruda")

    assert "model" in answer.lower()


@pytest.mark.parametrize("greeting", ["Hello!", "Magandang umaga!", "Kumusta ka?"])
def test_greetings_in_two_languages(running_fleet: Fleet, greeting: str) -> None:
    """English and Tagalog greetings are answered."""
    assert running_fleet.ask(greeting)


def test_call_gives_json(running_fleet: Fleet) -> None:
    """`aisys call … --json` prints the result as one JSON document."""
    found = running_fleet.call("KnowledgeBase.search_facts", "query=dentist")

    assert isinstance(found["facts"], list)


def test_a_wrong_argument_names_method_and_field(running_fleet: Fleet) -> None:
    """The caller learns which method and which field, and gets exit code 1."""
    done = running_fleet.run("call", "KnowledgeBase.search_facts", "query=x", "limit=many")

    assert done.returncode == 1
    assert "KnowledgeBase.search_facts" in done.stderr
    assert "limit" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_planned_agent_says_so(running_fleet: Fleet) -> None:
    """Calling an agent that is not built is one clear line."""
    done = running_fleet.run("call", "TutorAgent.next_lesson", "student=ana")

    assert done.returncode == 1
    assert "planned" in done.stderr


def test_ports_show_the_offset(running_fleet: Fleet) -> None:
    """`aisys ports --json` lists every port of the fleet with the offset added."""
    ports = {entry["name"]: entry for entry in json.loads(running_fleet.must("ports", "--json"))}

    assert ports["NLUAgent"]["port"] == 5709 + running_fleet.offset


def test_metrics_of_every_agent_on_one_endpoint(running_fleet: Fleet) -> None:
    """One Prometheus page a machine counts the calls of each agent and method, and parses."""
    running_fleet.ask("What is 2 plus 2?")
    url = f"http://127.0.0.1:{9464 + running_fleet.offset}/metrics"
    with urllib.request.urlopen(url, timeout=10) as page:
        text = page.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    served = {
        (sample.labels["agent"], sample.labels["method"])
        for sample in families["aisys_calls"].samples
        if sample.value > 0
    }

    assert ("NLUAgent", "analyze_text") in served
    assert ("RequestCoordinator", "submit_request") in served


def test_metrics_as_openmetrics_for_who_asks(running_fleet: Fleet) -> None:
    """A scraper that accepts OpenMetrics gets all hosts' metrics in it, to the last line."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{9464 + running_fleet.offset}/metrics",
        headers={"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1"},
    )
    with urllib.request.urlopen(request, timeout=10) as page:
        kind, text = page.headers["Content-Type"], page.read().decode()
    families = {family.name for family in text_string_to_openmetrics_families(text)}

    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert "aisys_calls" in families


def test_the_metrics_port_serves_nothing_else(running_fleet: Fleet) -> None:
    """Another path is 404, and anything but GET is refused."""
    base = f"http://127.0.0.1:{9464 + running_fleet.offset}"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{base}/etc/passwd", timeout=10)
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(f"{base}/metrics", data=b"x", timeout=10)


def test_config_shows_where_a_value_comes_from(running_fleet: Fleet) -> None:
    """`config show --origin` names file and line."""
    shown = running_fleet.must("config", "show", "NLUAgent", "--origin")

    assert re.search(r"agents\.NLUAgent\.port +5709.*fleet\.yaml:\d+", shown), shown


def test_config_check_passes(running_fleet: Fleet) -> None:
    """The shipped configuration is valid in every environment that needs no keys."""
    for env in ("dev", "staging"):
        assert running_fleet.run("config", "check", "--env", env).returncode == 0


def test_a_second_start_is_refused(running_fleet: Fleet) -> None:
    """Starting a fleet that runs already is exit code 2 and one line."""
    done = running_fleet.run("up", "--detach")

    assert done.returncode == 2
    assert "running already" in done.stderr


def test_restart_of_one_host(running_fleet: Fleet) -> None:
    """`aisys restart AGENT` replaces its process and nothing else."""
    before = running_fleet.processes_now()
    running_fleet.must("restart", "CacheManager")
    after = running_fleet.processes_now()

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"pc2/memory"}
