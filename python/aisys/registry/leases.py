"""Who is there: a lease per agent, renewed by heartbeats, judged by the own clock.

Pure and deterministic: nothing here sleeps or sends. The owner calls `expire` once a beat and
passes the changes on.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from aisys.clock import SYSTEM_CLOCK, Clock
from aisys.errors import Refused
from aisys.registry.routes import Route

if TYPE_CHECKING:
    from aisys.messaging import Address

BEATS_TO_DOWN = 3
BEATS_TO_SUSPECT = 2
GUARD_BEATS = 5
GUARD_MIN_ENTRIES = 3


class LeaseState(enum.StrEnum):
    """What is known of a registered agent.

    `UNKNOWN` means that its silence may be this side's own fault: the registry was cut off or
    frozen.
    """

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"
    UNKNOWN = "unknown"
    GONE = "gone"


class StaleLease(Refused):
    """A renewal for an instance that is not the registered one: register anew, or stop."""

    code: ClassVar[str] = "stale_lease"

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="stale_lease")


@dataclass(frozen=True, slots=True)
class Lease:
    """One registered agent.

    Attributes:
        owner: the key that the name is bound to; None for agents of this machine's own unix
            sockets.
        epoch: grows with every new instance of any agent.
        seen: monotonic seconds of the last heartbeat.
        guarded_until: monotonic seconds before which silence is not held against it.
    """

    agent: str
    machine: str
    host: str
    address: Address
    instance_id: str
    epoch: int
    owner: str | None
    seen: float
    state: LeaseState = LeaseState.UP
    guarded_until: float = 0.0
    meta: Mapping[str, Any] = field(default_factory=dict)

    def route(self) -> Route:
        """The route that callers use."""
        return Route(
            self.agent,
            self.host,
            self.machine,
            self.address,
            self.instance_id,
            self.epoch,
            self.state not in (LeaseState.DOWN, LeaseState.GONE),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state, to be pushed to whoever keeps routes."""

    lease: Lease
    previous: LeaseState | None


class LeaseTable:
    """Leases by agent.

    Args:
        clock: only its monotonic time is read.
        lease_s: silence after which an agent is down: three beats; after two it is suspect.
        first_epoch: greater than any epoch given before, so that a restarted registry goes on
            counting.
    """

    def __init__(
        self, clock: Clock = SYSTEM_CLOCK, lease_s: float = 3.0, *, first_epoch: int = 1
    ) -> None:
        if lease_s <= 0:
            raise ValueError(f"lease_s must be positive, not {lease_s!r}")
        self._clock = clock
        self._beat_s = lease_s / BEATS_TO_DOWN
        self._epoch = first_epoch - 1
        self._leases: dict[str, Lease] = {}
        self._owners: dict[str, str | None] = {}
        self._lost: dict[str, float] = {}
        self._last_tick = clock.monotonic()
        self.guarding = False

    @property
    def beat_s(self) -> float:
        """How often agents renew and `expire` is called, in seconds."""
        return self._beat_s

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._leases.values())

    def get(self, agent: str) -> Lease | None:
        """The lease of an agent, or None."""
        return self._leases.get(agent)

    def register(
        self,
        agent: str,
        *,
        machine: str,
        host: str,
        address: Address,
        instance_id: str,
        owner: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> tuple[Lease, list[Change]]:
        """Enter an instance; the same instance again is a renewal, a new one gets a new epoch.

        Raises:
            Refused: the name is bound to another key.
        """
        if agent in self._owners and self._owners[agent] != owner:
            raise Refused(f"the name {agent} is bound to another key", reason="unauthorised")
        self._owners[agent] = owner
        known = self._leases.get(agent)
        if known is not None and known.instance_id == instance_id:
            changes = self.renew(agent, instance_id)
            return self._leases[agent], changes
        self._epoch += 1
        lease = Lease(
            agent,
            machine,
            host,
            address,
            instance_id,
            self._epoch,
            owner,
            self._clock.monotonic(),
            meta=dict(meta or {}),
        )
        self._leases[agent] = lease
        self._lost.pop(agent, None)
        return lease, [Change(lease, known.state if known is not None else None)]

    def renew(self, agent: str, instance_id: str) -> list[Change]:
        """Take a heartbeat.

        Raises:
            StaleLease: this instance is not registered: the registry was restarted, or another one
                took over.
        """
        lease = self._leases.get(agent)
        if lease is None:
            raise StaleLease(f"{agent} is not registered here: register anew")
        if lease.instance_id != instance_id:
            raise StaleLease(
                f"{agent} is registered as another instance since epoch {lease.epoch}: stop"
            )
        self._lost.pop(agent, None)
        renewed = replace(
            lease, seen=self._clock.monotonic(), state=LeaseState.UP, guarded_until=0.0
        )
        self._leases[agent] = renewed
        return [] if lease.state is LeaseState.UP else [Change(renewed, lease.state)]

    def remove(self, agent: str, instance_id: str) -> list[Change]:
        """Take an agent out that has stopped cleanly; its name stays bound to its key.

        Raises:
            StaleLease: another instance is registered.
        """
        lease = self._leases.get(agent)
        if lease is None:
            return []
        if lease.instance_id != instance_id:
            raise StaleLease(f"{agent} is registered as another instance: nothing to remove")
        del self._leases[agent]
        self._lost.pop(agent, None)
        return [Change(replace(lease, state=LeaseState.GONE), lease.state)]

    def expire(self) -> list[Change]:
        """Judge everybody's silence; call it once a beat and push what it returns.

        When more than half of the agents (and at least three) would go down within one beat, or
        when this process itself was not running for more than two beats, the silence says more
        about this side than about them: they become `UNKNOWN` and go down only after five more
        silent beats.
        """
        now = self._clock.monotonic()
        frozen = now - self._last_tick > 2 * self._beat_s
        self._last_tick = now
        if frozen:
            self._guard_all(now)
        due = [lease for lease in self._leases.values() if self._silent_too_long(lease, now)]
        fresh = [lease for lease in due if lease.state is not LeaseState.UNKNOWN]
        recently = [agent for agent, when in self._lost.items() if now - when <= self._beat_s]
        lost = len(fresh) + len(recently)
        self.guarding = frozen or (
            bool(fresh) and lost >= GUARD_MIN_ENTRIES and 2 * lost > len(self._leases)
        )
        changes = []
        if self.guarding and not frozen:
            suspicious = [*fresh, *(self._leases[agent] for agent in recently)]
            for lease in suspicious:
                self._lost.pop(lease.agent, None)
                changes += self._enter(lease, LeaseState.UNKNOWN, now + GUARD_BEATS * self._beat_s)
            due = [lease for lease in due if lease.state is LeaseState.UNKNOWN]
        for lease in due:
            self._lost[lease.agent] = now
            changes += self._enter(lease, LeaseState.DOWN)
        return changes + self._suspect(now)

    def _guard_all(self, now: float) -> None:
        """Give everybody time to be heard from again."""
        until = now + GUARD_BEATS * self._beat_s
        for agent, lease in self._leases.items():
            if lease.state is not LeaseState.DOWN:
                self._leases[agent] = replace(lease, guarded_until=until)

    def _silent_too_long(self, lease: Lease, now: float) -> bool:
        return (
            lease.state is not LeaseState.DOWN
            and now - lease.seen >= BEATS_TO_DOWN * self._beat_s
            and now >= lease.guarded_until
        )

    def _suspect(self, now: float) -> list[Change]:
        changes = []
        for lease in list(self._leases.values()):
            silence_s = now - lease.seen
            if lease.state is LeaseState.UP and silence_s >= BEATS_TO_SUSPECT * self._beat_s:
                guarded = now < lease.guarded_until and silence_s >= BEATS_TO_DOWN * self._beat_s
                state = LeaseState.UNKNOWN if guarded else LeaseState.SUSPECT
                changes += self._enter(lease, state, lease.guarded_until)
            elif (
                lease.state is LeaseState.SUSPECT
                and now < lease.guarded_until
                and silence_s >= BEATS_TO_DOWN * self._beat_s
            ):
                changes += self._enter(lease, LeaseState.UNKNOWN, lease.guarded_until)
        return changes

    def _enter(self, lease: Lease, state: LeaseState, guarded_until: float = 0.0) -> list[Change]:
        changed = replace(lease, state=state, guarded_until=guarded_until)
        self._leases[lease.agent] = changed
        return [Change(changed, lease.state)]
