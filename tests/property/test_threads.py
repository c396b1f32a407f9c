"""The hot paths from several threads, the GIL changing hands as often as it can: the results are the serial ones."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from aisys import json, metrics
from aisys.errors import FrameError
from aisys.messaging.frames import FrameDecoder, FrameEncoder
from aisys.queue import PriorityQueue
from support.json_documents import Documents
from support.json_oracle import spelling

THREADS = 4
DOCUMENTS = list(islice(Documents(seed=3), 300))


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None]) -> None:
    """The work in several threads that start together; the first error of any."""
    start = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def outcome(call: Callable[[], Any]) -> str:
    """The result, or what was raised."""
    try:
        return spelling(call())
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


class Slow:
    """Only `default` gives it a form, and Python code runs in the middle of writing."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside


def test_json_in_threads() -> None:
    """Reading (valid and not), pointers, and writing with `default`, which runs Python in the midst of it."""

    def all_of(text: bytes) -> list[str]:
        read = outcome(lambda: json.loads(text))
        pointed = outcome(lambda: json.get(text, "/0", default=None))
        written = "" if "JSONDecodeError" in read else outcome(lambda: written_of(json.loads(text)))
        return [read, pointed, written]

    def written_of(value: Any) -> Any:
        slow = [Slow(value), {"k": Slow([Slow(value)])}]
        return json.dumps(slow, default=lambda item: [item.inside])

    expected = [all_of(text) for text in DOCUMENTS]

    def work(number: int) -> None:
        for index in range(len(DOCUMENTS)):
            place = (index * 7 + number * 31) % len(DOCUMENTS)
            assert all_of(DOCUMENTS[place]) == expected[place]

    in_threads(work)


def test_keys_in_threads() -> None:
    """Keys that push each other out of the key cache come back as themselves."""
    texts = [b'{"key%d":%d,"other%d":[{"key%d":1}]}' % (n, n, n, n) for n in range(6000)]

    def work(number: int) -> None:
        for n in range(number * 500, 6000):
            assert json.loads(texts[n]) == {f"key{n}": n, f"other{n}": [{f"key{n}": 1}]}

    in_threads(work)


def test_labels_in_threads() -> None:
    """Children made, counted, left out and rendered at once: nothing that stays is lost or counted twice."""
    registry = metrics.Registry()
    calls = registry.counter("calls", "Calls.", ("thread", "method"))
    seconds = registry.histogram("seconds", "Seconds.", ("method",))
    rounds = 400

    def work(number: int) -> None:
        for index in range(rounds):
            calls.labels(number, f"m{index % 50}").inc()
            calls.labels("all", f"m{index % 7}").inc()
            seconds.labels(f"m{index % 5}").observe(0.5)
            calls.labels("gone", f"{number}-{index}").inc()
            calls.remove("gone", f"{number}-{index}")
            if index % 40 == 0:
                registry.render()

    in_threads(work)

    own = [
        calls.labels(number, f"m{method}").value
        for number in range(THREADS)
        for method in range(50)
    ]
    assert own == [rounds / 50] * (50 * THREADS)
    assert sum(calls.labels("all", f"m{method}").value for method in range(7)) == rounds * THREADS
    assert sum(seconds.labels(f"m{method}").count for method in range(5)) == rounds * THREADS
    assert b"gone" not in registry.render()


def test_queue_in_threads() -> None:
    """Every item that threads put and others take comes once, and each producer's items of a priority in order."""
    queue: PriorityQueue[tuple[int, int]] = PriorityQueue()
    each = 2000
    taken: list[list[tuple[int, int]]] = [[] for _ in range(THREADS)]

    def work(number: int) -> None:
        mine = taken[number]
        for index in range(each):
            queue.put_threadsafe((number, index), 100)
            if index % 3 == 0:
                mine += queue.get_many(2)
            if index % 5 == 0:
                queue.cancel(queue.put_threadsafe((-1, index), 50))
        mine += queue.get_many(10)

    in_threads(work)

    rest = queue.get_many(THREADS * each)
    counts = Counter(item for items in (*taken, rest) for item in items if item[0] >= 0)
    assert counts == Counter((number, index) for number in range(THREADS) for index in range(each))
    for items in (*taken, rest):
        for producer in range(THREADS):
            order = [index for number, index in items if number == producer]
            assert order == sorted(order)


def test_frames_in_threads() -> None:
    """Codecs of one thread each, over shared buffers: all decode the same, broken streams included."""
    body = bytearray(b"x" * 300)
    encoder = FrameEncoder()
    for number in range(20):
        encoder.add(1, number, f"target.{number % 3}", body, attachments=[body])
    stream = encoder.take()

    def work(number: int) -> None:
        for size in range(1 + number, 400, 11):
            decoder = FrameDecoder()
            frames = [
                frame
                for at in range(0, len(stream), size)
                for frame in decoder.feed(stream[at : at + size])
            ]
            assert [(frame.corr, frame.target) for frame in frames] == [
                (n, f"target.{n % 3}") for n in range(20)
            ]
            assert all(
                frame.body == body and bytes(frame.attachments[0]) == body for frame in frames
            )
            with pytest.raises(FrameError):
                decoder.feed(b"\xff" * 100)

    in_threads(work)
