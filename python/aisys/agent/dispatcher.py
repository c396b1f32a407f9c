"""Requests from other hosts to methods of this host's agents.

Drain workers: a real task pulls waiting requests and drives each handler by `send(None)`. A handler
that does not suspend costs no task of its own, and still has a current task, so that time-outs,
task groups and cancellation work in it. When a handler suspends, its worker stays with it and
another worker takes over the queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from aisys import tracing
from aisys.agent.local import AgentTable, LocalMethod, outcome_of
from aisys.agent.serving import Counters, Run, admit, first_step, send_items
from aisys.agent.wheel import Guard
from aisys.errors import AgentError, DeadlineExceeded, Indefinite, Refused
from aisys.queue import PriorityQueue

if TYPE_CHECKING:
    from aisys.messaging import Incoming
    from aisys.metrics import Registry

MAX_RUNNING = 1000
MAX_WAITING = 10_000
MAX_IDLE = 64
MAX_VITAL = 100
SLICE_S = 0.005
_VITAL = (".ping", ".health")
_ENDED = object()


class Dispatcher:
    """The `messaging.Service` of a host: serves requests by priority, within bounds.

    Args:
        table: the agents of this host.
        metrics: where waiting, running and refused requests are counted; None counts nothing.
        max_running: handlers running or suspended at the same time.
        max_waiting: requests waiting for a handler; those with less than the default priority are
            refused sooner, from half of this on.
    """

    def __init__(
        self,
        table: AgentTable,
        *,
        metrics: Registry | None = None,
        max_running: int = MAX_RUNNING,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._table = table
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._counters = Counters(metrics) if metrics is not None else None
        self._monotonic = table.monotonic
        self._queue: PriorityQueue[Incoming] = PriorityQueue(max_waiting)
        self._idle: list[asyncio.Future[None]] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._vital: set[asyncio.Task[None]] = set()
        self._suspended: dict[int, Run] = {}
        self._draining = False
        self._quiet: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for a handler."""
        return self._queue.qsize()

    @property
    def running(self) -> int:
        """Handlers that are suspended."""
        return len(self._suspended)

    def on_requests(self, requests: list[Incoming]) -> None:
        """Take requests off a link; they are served from the next turn of the loop on."""
        if self._draining:
            for request in requests:
                if not self._serve_vital(request):
                    request.fail(Refused(f"{request.target}: stopping", reason="shutting_down"))
            return
        queue = self._queue
        room = self._max_waiting // 2 - queue.qsize()
        for request in requests:
            room -= 1
            if room <= 0 and not self._has_room(request):
                continue
            queue.put_nowait(request, request.priority)
        if self._counters is not None:
            self._counters.waiting.set(queue.qsize())
        self._kick()

    def on_cancel(self, request: Incoming) -> None:
        """Cancel the handler of a caller that has gone; a waiting request is dropped later."""
        run = self._suspended.get(id(request))
        if run is not None and not run.cancelled and run.task is not None:
            run.cancelled = True
            run.task.cancel()

    async def drain(self, grace_s: float = 10.0) -> bool:
        """Take no new requests and finish those taken; say whether all were done in time."""
        self._draining = True
        if self.waiting or self._suspended:
            self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._quiet], timeout=grace_s)
            self._quiet = None
        return not (self.waiting or self._suspended)

    async def close(self) -> None:
        """Cancel what still runs and answer what still waits."""
        self._draining = True
        while not self._queue.empty():
            request = self._queue.get_nowait()
            request.fail(Refused(f"{request.target}: stopping", reason="shutting_down"))
        workers = [*self._workers, *self._vital]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _has_room(self, request: Incoming) -> bool:
        """Whether a request may wait in a queue more than half full; answers it if not."""
        if self._serve_vital(request):
            return False
        # From the lowest priority up: 255 finds the queue full when it is half full, the default
        # and better ones when it is full.
        below = max(0, request.priority - 100) / 155
        limit = int(self._max_waiting * (1.0 - 0.5 * below))
        if self._queue.qsize() < limit:
            return True
        if self._counters is not None:
            self._counters.shed.inc()
        request.fail(
            Refused(f"{request.target}: {self._queue.qsize()} requests wait", reason="overloaded")
        )
        return False

    def _serve_vital(self, request: Incoming) -> bool:
        """Serve `ping` and `health` beside the queue, so that overload does not look like death."""
        if not request.target.endswith(_VITAL) or len(self._vital) >= MAX_VITAL:
            return False
        self._begin(self._serve_alone(request), self._vital)
        return True

    def _kick(self) -> None:
        """Let one more worker run, if there is one or may be one."""
        idle = self._idle
        while idle:
            future = idle.pop()
            if not future.done():
                future.set_result(None)
                return
        if len(self._workers) < self._max_running:
            self._begin(self._work(), self._workers)

    def _begin(self, work: Any, group: set[asyncio.Task[None]]) -> None:
        # An empty context: a worker outlives the turn of the loop that started it.
        task = asyncio.get_running_loop().create_task(
            _as_coroutine(work), name="aisys-worker", context=contextvars.Context()
        )
        group.add(task)
        task.add_done_callback(group.discard)

    @types.coroutine
    def _work(self) -> Generator[Any, Any, None]:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a worker is a task")
        queue = self._queue
        while True:
            slice_ends = self._monotonic() + SLICE_S
            while not queue.empty():
                run = self._open(queue.get_nowait())
                if run is None:
                    continue
                waiting_for = self._first(run)
                if waiting_for is not _ENDED:
                    if not queue.empty():
                        self._kick()
                    yield from self._resume(run, task, waiting_for)
                    slice_ends = self._monotonic() + SLICE_S
                if task.cancelling():
                    # The handler, or something it called, cancelled this task for good: the next
                    # handler must not get that cancellation.
                    self._workers.discard(task)
                    if not queue.empty():
                        self._kick()
                    return
                if run.began > slice_ends:
                    # Handlers that do not suspend must not keep links and timers from their turn.
                    yield None
                    slice_ends = self._monotonic() + SLICE_S
            self._rested()
            if len(self._idle) >= MAX_IDLE or self._draining:
                return
            future = loop.create_future()
            self._idle.append(future)
            yield from future

    @types.coroutine
    def _serve_alone(self, request: Incoming) -> Generator[Any, Any, None]:
        """Serve one request outside of the queue."""
        task = asyncio.current_task()
        run = self._open(request)
        if run is None or task is None:
            return
        waiting_for = self._first(run)
        if waiting_for is not _ENDED:
            yield from self._resume(run, task, waiting_for)

    def _open(self, request: Incoming) -> Run | None:
        """Check a request and prepare its handler; None when there is nothing left to do."""
        if request.cancelled:
            return None
        began = self._monotonic()
        try:
            method = self._table.find(request.target)
        except Refused as error:
            request.fail(error)
            return None
        try:
            streaming = request.streaming
            admit(request, method, began, streaming)
            arguments = method.spec.arguments.decode(request.body, request.attachments)
            wrap = send_items if streaming else None
            if request.sampled and request.trace is not None:
                wrap = self._traced
            return Run(request, method, arguments, wrap, began)
        except BaseException as error:
            method.failed(error, began)
            request.fail(error)
            if not isinstance(error, Exception):
                raise
            return None

    async def _traced(
        self, request: Incoming, method: LocalMethod, arguments: dict[str, Any]
    ) -> Any:
        context = method.context
        with tracing.start_span(
            method.spec.qualname,
            store=self._table.spans,
            agent=method.agent.name,
            machine=context.machine,
            host=context.host,
        ) as span:
            try:
                if request.streaming:
                    return await send_items(request, method, arguments)
                return await method.function(**arguments)
            except BaseException as error:
                if span.span is not None:
                    span.span.outcome = outcome_of(error)
                raise

    def _first(self, run: Run) -> Any:
        """Run a handler until it suspends or ends; returns what it waits for, or `_ENDED`."""
        try:
            run.context = context = run.method.context.background.copy()
            return context.run(first_step, run)
        except StopIteration as stop:
            self._finish(run, stop.value)
        except BaseException as error:
            self._fail(run, error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        return _ENDED

    def _resume(
        self, run: Run, task: asyncio.Task[None], waiting_for: Any
    ) -> Generator[Any, Any, None]:
        """Drive a suspended handler to its end, under its deadline."""
        key = id(run.request)
        self._suspended[key] = run
        run.task = task
        run.method.agent.running += 1
        wheel = self._table.wheel
        guard = wheel.arm(run.scope.deadline, task)
        resume = run.context.run
        coroutine = run.coroutine
        try:
            while True:
                try:
                    value = yield waiting_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - the handler decides about it
                    waiting_for = resume(coroutine.throw, error)
                else:
                    waiting_for = resume(coroutine.send, value)
        except StopIteration as stop:
            self._let_go(run, guard, cancelled=False)
            self._finish(run, stop.value)
        except GeneratorExit:
            raise
        except asyncio.CancelledError as error:
            self._fail(run, self._why_cancelled(run, guard, error))
        except BaseException as error:
            self._let_go(run, guard, cancelled=False)
            self._fail(run, error)
            if not isinstance(error, Exception):
                raise
        finally:
            wheel.disarm(guard)
            self._suspended.pop(key, None)
            run.method.agent.running -= 1

    def _let_go(self, run: Run, guard: Guard, *, cancelled: bool) -> bool:
        """Take back the dispatcher's own cancellations; say whether the deadline was one."""
        expired = guard.settle(cancelled=cancelled)
        if run.cancelled and run.task is not None:
            run.task.uncancel()
        return expired

    def _why_cancelled(
        self, run: Run, guard: Guard, error: asyncio.CancelledError
    ) -> BaseException:
        name = run.method.spec.qualname
        if self._let_go(run, guard, cancelled=True):
            return DeadlineExceeded(f"{name}: the deadline passed while it was running")
        if run.cancelled:
            return error
        if self._draining:
            return Indefinite(f"{name}: its host stopped while it was running")
        return AgentError(f"{name}: the handler was cancelled by something it waited for")

    def _finish(self, run: Run, result: Any) -> None:
        """Answer with a result."""
        request = run.request
        method = run.method
        try:
            if run.wrap is not None and request.streaming:
                request.end()
            else:
                schema = method.spec.result
                write_json = schema.write_json
                result = schema.validate(result)
                if write_json is not None:
                    request.reply(write_json(result))
                else:
                    request.reply(*schema.encode(result))
        except Exception as error:  # noqa: BLE001 - whatever stopped it is the answer
            self._fail(run, error)
        else:
            method.succeeded(run.began)

    def _fail(self, run: Run, error: BaseException) -> None:
        """Answer with an exception; a caller that has gone needs no answer."""
        run.method.failed(error, run.began)
        if not run.cancelled:
            run.request.fail(error)

    def _rested(self) -> None:
        """The queue is empty: settle the gauges, and tell `drain` when nothing runs."""
        if self._counters is not None:
            self._counters.waiting.set(0)
            self._counters.running.set(len(self._suspended))
        if self._quiet is not None and not self._suspended and not self._quiet.done():
            self._quiet.set_result(None)


async def _as_coroutine(work: Any) -> None:
    await work
