"""Events: how they leave an agent and how they arrive at a handler."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from aisys.agent.ports import Buffer, ErrorReporter, Publisher, RawEvent, Subscription
from aisys.agent.schema import describe_problem
from aisys.agent.typed_dicts import portable
from aisys.agent.wire import decode_any, encode_any
from aisys.errors import AgentError

MAX_BUFFERED = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its surroundings, for `@subscribe` handlers that want them.

    Attributes:
        topic: the dotted topic.
        data: the payload as JSON-like values, with bytes and arrays in place.
        publisher: the host that published it.
    """

    topic: str
    data: Any
    publisher: str


class EventError(AgentError):
    """An event does not fit what its handler expects."""

    code = "bad_event"


def encode_event(event: Any) -> tuple[bytes, list[Buffer]]:
    """An event as it travels.

    Raises:
        TypeError: it is no mapping, model or dataclass, or holds what cannot travel.
    """
    if isinstance(event, str | bytes | int | float) or event is None:
        raise TypeError(
            f"an event is a dict, a pydantic model or a dataclass, not {type(event).__name__}"
        )
    return encode_any(event)


class EventDecoder:
    """Turns what came off a link into what a handler is annotated to take.

    Args:
        handler: `Agent.method`, for messages.
        annotation: dict, a pydantic model, a dataclass, or `Event`.
    """

    def __init__(self, handler: str, annotation: Any) -> None:
        self._handler = handler
        self._whole = annotation is Event
        annotation = portable(annotation)
        self._adapter: TypeAdapter[Any] | None = None
        if not self._whole and annotation is not Any:
            try:
                self._adapter = TypeAdapter(
                    annotation, config=ConfigDict(arbitrary_types_allowed=True)
                )
            except PydanticUserError:
                # Models and dataclasses carry a configuration of their own and refuse a second one.
                self._adapter = TypeAdapter(annotation)

    def decode(self, event: RawEvent) -> Any:
        """The handler's argument.

        Raises:
            EventError: the event does not fit.
        """
        try:
            if self._adapter is not None and not event.attachments:
                return self._adapter.validate_json(event.body)
            data = decode_any(event.body, event.attachments)
            if self._whole:
                return Event(event.topic, data, event.publisher)
            return data if self._adapter is None else self._adapter.validate_python(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            problems = "; ".join(describe_problem(detail, root="event") for detail in details)
            raise EventError(f"{self._handler}: {event.topic}: {problems}") from None
        except ValueError as error:
            raise EventError(f"{self._handler}: {event.topic}: unreadable: {error}") from None


class EventQueue:
    """Events waiting for one handler, which takes them one at a time and in order.

    The buffer is bounded; when a handler is too slow, the oldest events go and are counted.

    Args:
        name: `Agent.method`, for reports.
        decoder: makes the handler's argument.
        handler: the agent's method.
        errors: where failures go.
        limit: how many events may wait.
    """

    def __init__(
        self,
        name: str,
        decoder: EventDecoder,
        handler: Callable[[Any], Awaitable[Any]],
        errors: ErrorReporter,
        *,
        limit: int = MAX_BUFFERED,
    ) -> None:
        self.name = name
        self.dropped = 0
        self.handled = 0
        self._decoder = decoder
        self._handler = handler
        self._errors = errors
        self._waiting: deque[RawEvent] = deque(maxlen=limit)
        self._wake: asyncio.Future[None] | None = None
        self._busy = False
        self._subscriptions: list[Subscription] = []

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being handled."""
        return not self._waiting and not self._busy

    async def open(self, publisher: Publisher, topic: str) -> None:
        """Subscribe to a topic."""
        self._subscriptions.append(await publisher.subscribe(topic, self.put))

    async def close(self) -> None:
        """Take no further events."""
        while self._subscriptions:
            await self._subscriptions.pop().aclose()

    def put(self, event: RawEvent) -> None:
        """Take an event off a link; never blocks."""
        if len(self._waiting) == self._waiting.maxlen:
            if self.dropped == 0:
                self._errors.report(
                    f"{self.name} is too slow for its events: the oldest are dropped",
                    severity="medium",
                    category="overload",
                    method=self.name,
                )
            self.dropped += 1
        self._waiting.append(event)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self) -> None:
        """Handle events until cancelled."""
        while True:
            while self._waiting:
                await self._handle(self._waiting.popleft())
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None

    async def _handle(self, event: RawEvent) -> None:
        self._busy = True
        try:
            await self._handler(self._decoder.decode(event))
            self.handled += 1
        except EventError as error:
            self._errors.report(error, severity="medium", category="data", method=self.name)
        except Exception as error:  # noqa: BLE001 - one bad event must not stop the others
            report_unhandled(self._errors, error, self.name)
        finally:
            self._busy = False


def report_unhandled(errors: ErrorReporter, error: BaseException, name: str) -> None:
    """Report what background work raised, wherever it came from: nobody else will see it."""
    errors.report(error, method=name)
