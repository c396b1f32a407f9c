"""Single operations of the four hot paths, the refused ones above all: what `support.memory` repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from aisys import json, metrics
from aisys.errors import FrameError
from aisys.messaging.frames import FrameDecoder, FrameEncoder
from aisys.queue import PriorityQueue

DOCUMENT: Final = (
    '{"role":"user","text":"é\\n語 😀","n":[1.5,-2,null,true,12345678901234567890]}'.encode()
)
VALUE: Final = json.loads(DOCUMENT)
_TICKS: Final = count()


def refused(call: Callable[[], object], *errors: type[BaseException]) -> Callable[[], None]:
    """The call, which must raise one of the errors each time."""

    def attempt() -> None:
        try:
            call()
        except errors:
            return
        raise AssertionError("it was not refused")

    return attempt


def _frames() -> bytes:
    encoder = FrameEncoder()
    encoder.add(1, 7, "Memory.search", DOCUMENT, attachments=[b"abc", DOCUMENT])
    encoder.add(2, 8, "Memory.search", b"")
    return encoder.take()


STREAM: Final = _frames()


def _decode_in_pieces() -> None:
    decoder = FrameDecoder()
    for piece in (STREAM[:3], STREAM[3:70], STREAM[70:]):
        for frame in decoder.feed(piece):
            _ = (frame.target, frame.body, frame.attachments)


def _decode_broken() -> None:
    decoder = FrameDecoder()
    decoder.feed(STREAM[:90])
    decoder.feed(STREAM[:90] + b"\xff" * 200)


def _put_get_cancel() -> None:
    queue: PriorityQueue[Any] = _QUEUE
    ids = [
        queue.put_nowait(object(), priority, delay_s=delay)
        for priority, delay in ((0, 0), (9, 0), (9, 60))
    ]
    queue.reprioritize(ids[1], 200)
    queue.cancel(ids[2])
    queue.get_nowait()
    queue.get_nowait()


def _queue_of_its_own() -> None:
    queue: PriorityQueue[Any] = PriorityQueue(2, on_expired=list)
    queue.put_nowait(queue)  # a cycle that only the collector finds
    queue.put_nowait([], delay_s=60)


async def _wait_and_give_up(queue: PriorityQueue[Any]) -> None:
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


_QUEUE: Final[PriorityQueue[Any]] = PriorityQueue()
_FULL: Final[PriorityQueue[Any]] = PriorityQueue(1)
_FULL.put_nowait(object())
_REGISTRY: Final = metrics.Registry()
_COUNTER: Final = _REGISTRY.counter("calls", "Calls.", ("method", "outcome"))
_HISTOGRAM: Final = _REGISTRY.histogram("seconds", "Seconds.", ("method",))
_LOOP: Final = asyncio.new_event_loop()


def _loads_new_keys() -> None:
    # A hundred, so that the key cache is full before anything is measured.
    json.loads("{" + ",".join(f'"key{next(_TICKS)}":1' for _ in range(100)) + "}")


def _labels_come_and_go() -> None:
    method = f"m{next(_TICKS) % 1000}"
    _COUNTER.labels(method, "ok").inc()
    _COUNTER.remove(method, "ok")


def _register_again() -> None:
    _REGISTRY.counter("calls", "Calls.", ("method", "other"))


OPERATIONS: Final[dict[str, Callable[[], object]]] = {
    "loads": lambda: json.loads(DOCUMENT),
    "loads of a str": lambda: json.loads('["ü", 1.5]'),
    "loads of new keys": _loads_new_keys,
    "loads cut": refused(lambda: json.loads(DOCUMENT[:-2]), json.JSONDecodeError),
    "loads cut in a string": refused(lambda: json.loads(DOCUMENT[:30]), json.JSONDecodeError),
    "loads of bad UTF-8": refused(lambda: json.loads(b'{"a":["x","\xff"]}'), json.JSONDecodeError),
    "loads of a lone surrogate": refused(
        lambda: json.loads(b'[1,"\\ud800"]'), json.JSONDecodeError
    ),
    "loads of an overflow": refused(lambda: json.loads(b"[[1],1e999]"), json.JSONDecodeError),
    "loads of no text": refused(lambda: json.loads(VALUE), TypeError),
    "dumps": lambda: json.dumps(VALUE),
    "dumps sorted": lambda: json.dumps(VALUE, sort_keys=True),
    "dumps_str": lambda: json.dumps_str(VALUE),
    "dumps with default": lambda: json.dumps([VALUE, {1}], default=list),
    "dumps refused": refused(lambda: json.dumps([VALUE, {1}]), json.JSONEncodeError),
    "dumps of a bad key": refused(lambda: json.dumps([VALUE, {1: 2}]), json.JSONEncodeError),
    "dumps of a surrogate": refused(lambda: json.dumps({"a": ["\ud800"]}), json.JSONEncodeError),
    "dumps default raises": refused(
        lambda: json.dumps([{1}], default=lambda _: 1 / 0), ZeroDivisionError
    ),
    "dumps of bad Raw": refused(lambda: json.dumps([json.Raw(b"[1,")]), json.JSONEncodeError),
    "canonical": lambda: json.canonical({"b": [1.5, "é"], "a": None}),
    "canonical refused": refused(lambda: json.canonical([2**63 - 1]), json.JSONEncodeError),
    "get": lambda: json.get(DOCUMENT, "/n/3"),
    "get raw": lambda: json.get(DOCUMENT, "/n", raw=True),
    "get_many": lambda: json.get_many(DOCUMENT, "/role", "/text"),
    "get missing": refused(lambda: json.get(DOCUMENT, "/no"), json.JSONPointerError),
    "get_many half missing": refused(
        lambda: json.get_many(DOCUMENT, "/role", "/no"), json.JSONPointerError
    ),
    "get of a bad pointer": refused(lambda: json.get(DOCUMENT, "role"), ValueError),
    "get of a broken text": refused(lambda: json.get(DOCUMENT[:-1], "/n"), json.JSONDecodeError),
    "frames encode": _frames,
    "frames refused": refused(
        lambda: FrameEncoder(max_frame_bytes=100).add(1, 1, "t", DOCUMENT, attachments=[b"x"]),
        FrameError,
    ),
    "frames of no buffer": refused(lambda: FrameEncoder().add(1, 1, "t", VALUE), TypeError),
    "frames decode": _decode_in_pieces,
    "frames broken": refused(_decode_broken, FrameError),
    "queue put, get, cancel": _put_get_cancel,
    "queue in a cycle": _queue_of_its_own,
    "queue full": refused(lambda: _FULL.put_nowait(object()), asyncio.QueueFull),
    "queue empty": refused(_QUEUE.get_nowait, asyncio.QueueEmpty),
    "queue bad priority": refused(lambda: _QUEUE.put_nowait(object(), 256), ValueError),
    "queue many refused": refused(lambda: _QUEUE.put_many([object(), object()], -1), ValueError),
    "queue get given up": lambda: _LOOP.run_until_complete(_wait_and_give_up(_QUEUE)),
    "counter labels": lambda: _COUNTER.labels("a", "ok").inc(),
    "counter labels come and go": _labels_come_and_go,
    "counter refused": refused(lambda: _COUNTER.labels("a", "ok").inc(-1), ValueError),
    "labels refused": refused(lambda: _COUNTER.labels("a"), ValueError),
    "labels of None": refused(lambda: _COUNTER.labels(None, "ok"), TypeError),
    "histogram": lambda: _HISTOGRAM.labels("a").observe(0.5),
    "histogram refused": refused(lambda: _HISTOGRAM.labels("a").observe(float("nan")), ValueError),
    "metric taken": refused(_register_again, ValueError),
    "render": _REGISTRY.render,
    "merge refused": refused(lambda: metrics.merge([b"a 1\n", b"{} 3\n"]), ValueError),
}
