"""The timing core: several ways to do one thing, measured in turns, compared as ratios.

A computer swings in speed by more than most differences worth knowing. So no figure stands alone:
each round measures every side of a group once, our side twice, in an order that changes from round
to round; a ratio is taken inside of its round, and the median over the rounds is what is printed.
The two measurements of our own side give the noise: where they differ by as much as we differ from
a peer, there is no difference to speak of.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import pytest
    from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")

Work = Callable[[], object]
Prepare = Callable[[int], Work]
"""Gets everything ready for n operations, and returns what does them: only that is timed."""

Role = Literal["ours", "peer", "floor"]

MAX_OPERATIONS = 2_000_000
ORDER_SEED = 20
PYTEST_BLOCK_S = 0.02
PYTEST_ROUNDS = 7


@dataclass(frozen=True)
class Side:
    """One way to do it.

    Attributes:
        name: what it is, such as `orjson`.
        make: sets it up, once, and returns what prepares n operations.
        role: ours, a peer, or a floor: what nothing of this kind can be faster than.
        step: operations come in multiples of this.
        most: do not do more operations than this in one go.
        must: of a peer: the ratio below which we would not say that we are ahead; None promises nothing.
        goal: of a peer: the ratio we aim at.
    """

    name: str
    make: Callable[[], Prepare]
    role: Role = "peer"
    step: int = 1
    most: int = MAX_OPERATIONS
    must: float | None = None
    goal: float | None = None


@dataclass(frozen=True)
class Group:
    """The sides that are measured against each other.

    Attributes:
        name: the row of the table.
        sides: ours, the peers, the floors.
        per_second: show operations per second, not the time of one.
        waits: the work waits for other processes: it is timed by the clock on the wall, with the
            garbage collector on. All else is timed by the processor time it takes, which other
            programs on the computer disturb less.
        block_s: how long one measurement should take; None leaves it to the run.
        notes: what a reader must know, such as a peer that could not be run.
    """

    name: str
    sides: tuple[Side, ...]
    per_second: bool = False
    waits: bool = False
    block_s: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How long to measure: `rounds` rounds of blocks of `block_s` seconds."""

    rounds: int
    block_s: float
    quick: bool = False


FULL = Settings(rounds=11, block_s=0.012)
QUICK = Settings(rounds=3, block_s=0.003, quick=True)


@dataclass(frozen=True)
class Comparison:
    """Ours against one peer: the peer's time divided by ours, so that more is better.

    Attributes:
        must, goal: what the ratio is measured by (see `Side`).
    """

    ours: str
    peer: str
    ratio: float
    low: float
    high: float
    must: float | None = None
    goal: float | None = None

    @property
    def verdict(self) -> Literal["", "goal", "must", "below"]:
        """What the ratio reaches; empty where nothing was promised."""
        if self.goal is not None and self.ratio >= self.goal:
            return "goal"
        if self.must is None:
            return ""
        return "must" if self.ratio >= self.must else "below"


@dataclass
class Result:
    """What a group came to.

    Attributes:
        seconds: for each side the time of one operation in each round; ours twice a round.
        operations: how many operations one measurement of a side did.
        noise: for each side of ours half the spread of the ratio of two measurements of it, 0.03 for 3 %.
    """

    group: Group
    seconds: dict[str, list[float]] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    noise: dict[str, float] = field(default_factory=dict)

    def median_s(self, side: str) -> float:
        """The time of one operation."""
        return statistics.median(self.seconds[side])

    def of_role(self, role: Role) -> list[Side]:
        """The sides that are ours, peers or floors."""
        return [side for side in self.group.sides if side.role == role]

    def below(self) -> list[Comparison]:
        """The comparisons that miss what they must reach."""
        return [each for each in self.comparisons if each.verdict == "below"]

    def to_dict(self) -> dict[str, Any]:
        """The raw figures."""
        return {
            "row": self.group.name,
            "roles": {side.name: side.role for side in self.group.sides},
            "seconds_per_operation": self.seconds,
            "operations_per_measurement": self.operations,
            "noise": self.noise,
            "ratios": [
                {**vars(comparison), "verdict": comparison.verdict}
                for comparison in self.comparisons
            ],
            "notes": list(self.group.notes),
        }


def measure(group: Group, settings: Settings) -> Result:
    """Measure the sides of a group in turns."""
    result = Result(group)
    block_s = settings.block_s
    if group.block_s is not None:
        block_s = group.block_s / 4 if settings.quick else group.block_s
    prepared = {side.name: side.make() for side in group.sides}
    for side in group.sides:
        result.operations[side.name] = calibrate(
            prepared[side.name], block_s, side, waits=group.waits
        )
        result.seconds[side.name] = []
    gc.collect()
    turns = [*group.sides, *(side for side in group.sides if side.role == "ours")]
    order = random.Random(ORDER_SEED)
    for _ in range(settings.rounds):
        order.shuffle(turns)
        for side in turns:
            count = result.operations[side.name]
            spent_s = timed(prepared[side.name](count), waits=group.waits)
            result.seconds[side.name].append(spent_s / count)
    _compare(result, settings.rounds)
    return result


def timed(work: Work, *, waits: bool = False) -> float:
    """How long `work` takes, in seconds of the wall clock if it waits, else of processor time."""
    if waits:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        began = time.process_time()
        work()
        return time.process_time() - began
    finally:
        if was_enabled:
            gc.enable()


def calibrate(prepare: Prepare, block_s: float, side: Side, *, waits: bool = False) -> int:
    """How many operations take about `block_s` seconds; it warms the side up on the way."""
    count = side.step
    most = max(side.step, side.most // side.step * side.step)
    while True:
        spent_s = max(timed(prepare(count), waits=waits), 1e-9)
        if spent_s >= block_s / 2 or count >= most:
            break
        count = min(most, _multiple(count * min(10.0, block_s / spent_s), side.step))
    return min(most, _multiple(count * block_s / spent_s, side.step))


def _multiple(count: float, step: int) -> int:
    return max(step, round(count / step) * step)


def _compare(result: Result, rounds: int) -> None:
    """Ratios inside of each round, and the noise from measuring ours twice."""
    for ours in result.of_role("ours"):
        twice = result.seconds[ours.name]
        pairs = [(twice[2 * number], twice[2 * number + 1]) for number in range(rounds)]
        result.noise[ours.name] = spread([first / second for first, second in pairs])
        for peer in result.of_role("peer"):
            ratios = sorted(
                theirs / ((first + second) / 2)
                for theirs, (first, second) in zip(result.seconds[peer.name], pairs, strict=True)
            )
            result.comparisons.append(
                Comparison(
                    ours.name,
                    peer.name,
                    statistics.median(ratios),
                    ratios[0],
                    ratios[-1],
                    peer.must,
                    peer.goal,
                )
            )


def spread(ratios: Sequence[float]) -> float:
    """Half the distance between the tenth and the ninetieth percentile."""
    if len(ratios) < 2:
        return 0.0
    ordered = sorted(ratios)
    last = len(ordered) - 1
    return (ordered[round(0.9 * last)] - ordered[round(0.1 * last)]) / 2


# --- ways to write a side


def over(function: Callable[[T], object], items: Iterable[T]) -> Callable[[], Prepare]:
    """A side that calls `function` with one item after the other, from the beginning again at the end."""
    kept = list(items)

    def make() -> Prepare:
        def prepare(count: int) -> Work:
            batch = list(islice(cycle(kept), count))

            def work() -> None:
                for item in batch:
                    function(item)

            return work

        return prepare

    return make


def fresh(
    function: Callable[[T], object], build: Callable[[int], T], *, kinds: int
) -> Callable[[], Prepare]:
    """A side that never sees an object twice: `build(i)` makes the i-th, outside of the timing."""

    def make() -> Prepare:
        def prepare(count: int) -> Work:
            batch = [build(number % kinds) for number in range(count)]

            def work() -> None:
                for item in batch:
                    function(item)

            return work

        return prepare

    return make


def _empty_loop() -> Prepare:
    def prepare(count: int) -> Work:
        batch = [None] * count

        def work() -> None:
            for _ in batch:
                pass

        return work

    return prepare


def empty_loop() -> Side:
    """The floor of everything that is called from a Python loop: the loop."""
    return Side("empty loop", _empty_loop, "floor")


# --- pytest-benchmark


def cases(groups: Sequence[Group]) -> list[Any]:
    """Parameters `group, side` for a test that gives them to `run_case`."""
    import pytest

    return [
        pytest.param(group, side, id=f"{group.name} - {side.name}")
        for group in groups
        for side in group.sides
    ]


_READY: dict[str, tuple[int, dict[str, Prepare]]] = {}


def run_case(
    benchmark: BenchmarkFixture, group: Group, side: Side, request: pytest.FixtureRequest
) -> None:
    """Let pytest-benchmark time one side; the peers of its row are in the same group of its table.

    All sides of a row do the same number of operations, so that the times in the table compare.
    """
    if group.name not in _READY:
        sides = {each.name: each.make() for each in group.sides}
        block_s = group.block_s or PYTEST_BLOCK_S
        step = math.lcm(*(each.step for each in group.sides))
        count = min(
            calibrate(sides[each.name], block_s, each, waits=group.waits) for each in group.sides
        )
        _READY[group.name] = max(step, count // step * step), sides
    count, sides = _READY[group.name]
    benchmark.group = f"{group.name} ({count} operations)"
    benchmark.extra_info.update(operations=count, role=side.role, notes=list(group.notes))
    pedantic: Any = benchmark.pedantic
    pedantic(
        lambda work: work(),
        setup=lambda: ((sides[side.name](count),), {}),
        rounds=max(PYTEST_ROUNDS, int(request.config.getoption("benchmark_min_rounds"))),
        iterations=1,
        warmup_rounds=1,
    )
