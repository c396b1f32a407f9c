"""Rules that hold between settings: ports, names, dependencies, and what prod demands."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aisys.config.order import cycles
from aisys.config.origins import LAYERS, Node, dotted
from aisys.config.secrets import PREFIX
from aisys.config.settings import AgentInput, FleetSettings, MachineInput, SharedPlace
from aisys.config.shape import holds_secret
from aisys.errors import Problem


@dataclass(frozen=True, slots=True)
class Draft:
    """What is checked: entries that are valid by themselves, and the tree they came from."""

    tree: Node
    env: str
    machines: Mapping[str, MachineInput]
    agents: Mapping[str, AgentInput]
    settings: FleetSettings
    machine_settings: Mapping[str, FleetSettings]
    machine_trees: Mapping[str, Node]

    def where(self, *path: str) -> str:
        """The place of a value."""
        return self.tree.nearest(path).origin.where


def check_all(draft: Draft) -> list[Problem]:
    """Every rule, in the order in which a reader of the file would want them."""
    return [
        *_machines(draft),
        *_dependencies(draft),
        *_cycles(draft),
        *_hosts(draft),
        *_ports(draft),
        *_addresses(draft),
        *_state(draft),
        *(_prod(draft) if draft.env == "prod" else ()),
    ]


def did_you_mean(name: str, known: Collection[str], otherwise: str) -> str:
    """A remedy that names the closest known name, if one is close."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else otherwise


def _names(draft: Draft, section: str) -> list[str]:
    node = draft.tree.find((section,))
    return list(node.children()) if node is not None else []


def _machines(draft: Draft) -> list[Problem]:
    known = _names(draft, "machines")
    problems = []
    for name, agent in draft.agents.items():
        if agent.machine not in known:
            path = ("agents", name, "machine")
            what = f"no machine is named {agent.machine}"
            remedy = did_you_mean(agent.machine, known, f"Use one of: {', '.join(known)}")
            problems.append(Problem(draft.where(*path), dotted(path), what, remedy))
    if not known:
        what = "the fleet has no machine"
        problems.append(Problem(draft.tree.origin.where, "machines", what, "Add at least one"))
    return problems


def _dependencies(draft: Draft) -> list[Problem]:
    known = _names(draft, "agents")
    problems = []
    for name, agent in draft.agents.items():
        for index, other in enumerate(agent.requires):
            if other not in known:
                place = draft.where("agents", name, "requires", str(index))
                what = f"no agent is named {other}"
                remedy = did_you_mean(other, known, "Add its entry, or remove it here")
                problems.append(Problem(place, f"agents.{name}.requires", what, remedy))
    return problems


def _cycles(draft: Draft) -> list[Problem]:
    graph = {name: agent.requires for name, agent in draft.agents.items()}
    problems = []
    for cycle in cycles(graph):
        first, second = cycle[0], cycle[1 % len(cycle)]
        index = graph[first].index(second)
        place = draft.where("agents", first, "requires", str(index))
        way = " -> ".join([*cycle, first])
        remedy = "Remove one of these requirements: a call needs none, only the start order does"
        problems.append(
            Problem(place, f"agents.{first}.requires", f"agents wait for each other: {way}", remedy)
        )
    return problems


def _hosts(draft: Draft) -> list[Problem]:
    problems = []
    for name, agent in draft.agents.items():
        if not isinstance(agent.place, SharedPlace):
            continue
        other = draft.agents.get(agent.place.shared)
        own = other is not None and not isinstance(other.place, SharedPlace)
        if own and other is not None and other.machine == agent.machine:
            path = ("agents", name, "place", "shared")
            what = f"{agent.place.shared} is the process of the agent of that name"
            problems.append(Problem(draft.where(*path), dotted(path), what, "Choose another name"))
        if agent.place.shared == "supervisor":
            path = ("agents", name, "place", "shared")
            what = "supervisor is the name of the supervisor's own socket"
            problems.append(Problem(draft.where(*path), dotted(path), what, "Choose another name"))
    return problems


def _ports(draft: Draft) -> list[Problem]:
    """Ports in range after the offset, and unique per address."""
    users: list[tuple[str, int, tuple[str, ...]]] = []
    for name, machine in draft.machines.items():
        users.append((machine.address, machine.control_port, ("machines", name, "control_port")))
        users.append((machine.address, machine.metrics_port, ("machines", name, "metrics_port")))
    for name, agent in draft.agents.items():
        home = draft.machines.get(agent.machine)
        if home is not None:
            users.append((home.address, agent.port, ("agents", name, "port")))
    problems = _offset(draft, [(port, path) for _, port, path in users])
    # The layer that came last is the one to blame: it knew, or could have known, the others.
    users.sort(key=lambda user: LAYERS.index(draft.tree.nearest(user[2]).origin.layer))
    first_user: dict[tuple[str, int], tuple[str, ...]] = {}
    for address, port, path in users:
        other = first_user.setdefault((_canonical(address), port), path)
        if other != path:
            what = f"port {port} on {address} is taken by {dotted(other)} at {draft.where(*other)}"
            remedy = f"Choose a free port, such as {_free_port(port, first_user)}"
            problems.append(Problem(draft.where(*path), dotted(path), what, remedy))
    return problems


def _offset(draft: Draft, users: list[tuple[int, tuple[str, ...]]]) -> list[Problem]:
    """One problem for the offset, not one for each of the ports that it moves too far."""
    offset = draft.settings.port_offset
    port, path = max(users, default=(0, ()))
    if port + offset <= 65535:
        return []
    what = f"{offset} moves {dotted(path)} ({port}) beyond 65535"
    return [Problem(draft.where("port_offset"), "port_offset", what, f"Use at most {65535 - port}")]


def _canonical(address: str) -> str:
    """One name for one place: every loopback address is the same computer."""
    return "127.0.0.1" if _is_loopback(address) else address.lower()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def _free_port(port: int, used: Mapping[tuple[str, int], object]) -> int:
    taken = {number for _, number in used}
    after = next((number for number in range(port + 1, 65536) if number not in taken), None)
    return after or next(number for number in range(1024, 65536) if number not in taken)


def _addresses(draft: Draft) -> list[Problem]:
    """Links to other computers are encrypted."""
    if draft.settings.security.curve or len(draft.machines) < 2:
        return []
    problems = []
    for name, machine in draft.machines.items():
        if not _is_loopback(machine.address):
            what = f"{machine.address} would be reached without encryption"
            remedy = f"Set security.curve: true ({draft.where('security', 'curve')})"
            path = ("machines", name, "address")
            problems.append(Problem(draft.where(*path), dotted(path), what, remedy))
    return problems


def _state(draft: Draft) -> list[Problem]:
    state = draft.settings.state
    if state.backend != "redis" or state.redis_url is not None:
        return []
    what = "redis needs state.redis_url, which is not set"
    remedy = "Set it to the URL of the server, or use file"
    return [Problem(draft.where("state", "backend"), "state.backend", what, remedy)]


def _prod(draft: Draft) -> list[Problem]:
    problems = []
    views = {"": (draft.settings, draft.tree)} | {
        name: (settings, draft.machine_trees[name])
        for name, settings in draft.machine_settings.items()
    }
    for settings, tree in views.values():
        if not settings.security.curve:
            place = tree.nearest(("security", "curve")).origin.where
            what = "must be true in prod"
            problems.append(
                Problem(place, "security.curve", what, "Remove the line that turns it off")
            )
        if settings.debug:
            place = tree.nearest(("debug",)).origin.where
            problems.append(Problem(place, "debug", "must be false in prod", "Remove it"))
        if settings.state.backend == "memory":
            place = tree.nearest(("state", "backend")).origin.where
            what = "memory forgets everything at each restart"
            problems.append(Problem(place, "state.backend", what, "Use file or redis in prod"))
        problems += _literal_secrets(tree)
    return list(dict.fromkeys(problems))


def _literal_secrets(tree: Node) -> list[Problem]:
    """Secrets that a file holds, in the fleet's settings or, going by the name, in an agent's."""
    problems = []
    for path, node in tree.leaves():
        if not isinstance(node.value, str) or not node.origin.file or not holds_secret(path):
            continue
        if not node.value.startswith(PREFIX):
            what = "a secret stands in a file"
            remedy = "Write `secret:NAME` and keep the value in the environment or a secret file"
            problems.append(Problem(node.origin.where, dotted(path), what, remedy))
    return problems
