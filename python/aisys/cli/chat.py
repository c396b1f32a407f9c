"""`aisys chat`: a conversation on the terminal; what the assistant says by itself appears in between."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import printable, say, show
from aisys.errors import AisysError
from aisys.ids import new_id
from aisys.messaging import Event, payload
from aisys.runtime.options import Options

COORDINATOR = "RequestCoordinator"
PROACTIVE = "ProactiveAgent"
SUGGESTIONS = "proactive.suggestion"
PROMPT = "you> "
ANSWER_TIMEOUT_S = 120.0


def chat(options: Options, *, user: str) -> int:
    """Talk until the end of input."""
    return run_with_client(options, lambda client: _Chat(client, user).run())


class _Chat:
    def __init__(self, client: FleetClient, user: str) -> None:
        self._client = client
        self._user = user
        self._session = new_id("chat")
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(maxsize=100)
        self._loop = asyncio.get_running_loop()
        self._interactive = sys.stdin.isatty()
        self._waiting = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> int:
        """Answer line by line; the end of input or /quit ends it."""
        await self._client.subscribe(SUGGESTIONS, self._suggested)
        # A thread of its own, because reading a terminal cannot be cancelled; it ends with the process.
        threading.Thread(target=self._read_lines, daemon=True).start()
        say("Talk to the assistant; /quit or Ctrl-D ends it.")
        await self._show_missed()
        self._prompt()
        while (line := await self._lines.get()) is not None and line.strip() not in (
            "/quit",
            "/exit",
        ):
            if line.strip():
                await self._answer(line.strip())
            self._prompt()
        return 0

    async def _answer(self, text: str) -> None:
        self._waiting = True
        streamed = False
        try:
            items = self._client.stream(
                f"{COORDINATOR}.ask",
                {"text": text, "user_id": self._user, "session_id": self._session},
                timeout_s=ANSWER_TIMEOUT_S,
            )
            async for item in items:
                if item["type"] == "token":
                    sys.stdout.write(printable(item["text"]))
                    sys.stdout.flush()
                    streamed = True
                elif streamed and (item["data"] or {}).get("status") == "ok":
                    show("")
                else:
                    # Nothing was streamed, or the stream broke: the final text says which.
                    show(("\n" if streamed else "") + item["text"])
        except AisysError as error:
            say(f"aisys: {error}")
        finally:
            self._waiting = False

    async def _show_missed(self) -> None:
        """What was announced to this user while nobody looked."""
        try:
            missed = await self._client.call(
                f"{PROACTIVE}.take_announcements", {"user_id": self._user}
            )
        except AisysError as error:
            say(f"aisys: reminders of the past cannot be shown: {error}")
            return
        for item in missed["items"]:
            show(item["text"])

    def _suggested(self, event: Event) -> None:
        """Show what the assistant says to this user by itself."""
        said: dict[str, Any] = payload.unpack(event.body, event.attachments)
        if said.get("user_id") not in (None, self._user):
            return
        if self._interactive:
            sys.stdout.write("\r")
        show(said["text"])
        self._prompt()
        if said.get("announced"):
            self._seen(said["id"])

    def _seen(self, announcement: str) -> None:
        """Tell that somebody saw it, so that the next conversation does not begin with it."""
        seen = {"id": announcement, "answer": "accepted"}
        task = self._loop.create_task(self._client.call(f"{PROACTIVE}.answer_suggestion", seen))
        self._tasks.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            say(f"aisys: {task.exception()}")

    def _prompt(self) -> None:
        if self._interactive and not self._waiting:
            sys.stdout.write(PROMPT)
            sys.stdout.flush()

    def _read_lines(self) -> None:
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()
        asyncio.run_coroutine_threadsafe(self._lines.put(None), self._loop)
