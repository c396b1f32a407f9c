"""The configuration that the project ships, and its schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from aisys.config import Fleet, json_schema, load_fleet

CONFIG = Path(__file__).parents[3] / "config"
BUILT = {
    "mainpc/registry": {"ServiceRegistry"},
    "mainpc/coordinator": {"RequestCoordinator"},
    "mainpc/models": {"ModelManagerSuite", "ModelOrchestrator"},
    "mainpc/language": {"NLUAgent", "IntentionValidatorAgent", "ChitchatAgent", "Responder"},
    "mainpc/memory": {"SessionMemoryAgent", "KnowledgeBase", "MemoryClient"},
    "mainpc/proactive": {"ProactiveAgent"},
    "pc2/memory": {"MemoryOrchestratorService", "CacheManager"},
    "pc2/reasoning": {"ContextManager", "UnifiedMemoryReasoningAgent"},
    "pc2/routing": {"TieredResponder", "AdvancedRouter"},
}


@pytest.fixture(params=["dev", "staging", "prod"])
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return load_fleet(CONFIG, env=request.param, environ={})


def test_it_names_all_agents(fleet: Fleet) -> None:
    """74 agents, 52 on mainpc and 22 on pc2, in every environment."""
    assert fleet.name == "assistant"
    assert Counter(entry.machine for entry in fleet.agents.values()) == {"mainpc": 52, "pc2": 22}


def test_built_agents_share_hosts(fleet: Fleet) -> None:
    """Which agents share a process is what the design says, and each host starts exactly once."""
    built = {key for key, plan in fleet.hosts.items() if plan.agents}
    assert built >= set(BUILT)
    for host, agents in BUILT.items():
        assert set(fleet.hosts[host].agents) >= agents
    for machine in fleet.machines:
        started = [host for wave in fleet.start_order(machine) for host in wave]
        assert sorted(started) == sorted(plan.id for plan in fleet.machine_hosts(machine))


def test_prod_is_closed() -> None:
    """Prod encrypts and does not debug."""
    settings = load_fleet(CONFIG, env="prod", environ={}).settings
    assert settings.security.curve
    assert not settings.debug


def test_the_schema_is_current() -> None:
    """`config/schema/fleet.schema.json` is what the models say."""
    committed = json.loads((CONFIG / "schema" / "fleet.schema.json").read_text(encoding="utf-8"))
    assert committed == json_schema()


def test_every_file_names_its_schema() -> None:
    """Editors find the schema by the first line, which leads to the file."""
    files = [*CONFIG.glob("*.yaml"), *CONFIG.glob("machines/*.yaml")]
    assert len(files) >= 7
    for file in files:
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        prefix, _, target = first.partition("$schema=")
        assert prefix == "# yaml-language-server: "
        assert (file.parent / target).resolve() == CONFIG / "schema" / "fleet.schema.json"


def test_schema_allows_partial_files() -> None:
    """A layer sets what it wants: nothing is required, null is allowed, unknown keys are not."""
    schema = json_schema()
    assert schema["$id"]
    assert "required" not in schema
    assert schema["additionalProperties"] is False
    assert "required" not in schema["$defs"]["AgentInput"]
    assert {"type": "null"} in schema["$defs"]["AgentInput"]["properties"]["port"]["anyOf"]


def test_yaml_is_loaded_late() -> None:
    """Importing the package does not import the YAML parser, nor anything of the network."""
    code = (
        "import sys, aisys.config;"
        "print([name for name in ('yaml', 'zmq', 'rich', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
