"""`aisys ask`: one question, one answer."""

from __future__ import annotations

from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import EXIT_FAILED, say, show, show_json
from aisys.cli.trace import find_spans, new_trace, show_hops
from aisys.runtime.options import Options

COORDINATOR = "RequestCoordinator"


def ask(
    options: Options, question: str, *, trace: bool, user: str, timeout_s: float, as_json: bool
) -> int:
    """Ask the assistant and print its answer."""

    async def work(client: FleetClient) -> int:
        context = new_trace() if trace else None
        accepted = await client.call(
            f"{COORDINATOR}.submit_request",
            {"kind": "text", "data": question, "user_id": user},
            timeout_s=timeout_s,
            trace=context,
        )
        result = await client.call(
            f"{COORDINATOR}.get_result",
            {"request_id": accepted["request_id"], "wait_s": timeout_s},
            timeout_s=timeout_s + 5.0,
        )
        if as_json:
            if context is not None:
                result["spans"], _ = await find_spans(client, context)
            show_json(result)
        else:
            _show(result)
            if context is not None:
                await show_hops(client, context)
        return 0 if result["state"] == "done" else EXIT_FAILED

    return run_with_client(options, work)


def _show(result: dict[str, Any]) -> None:
    if result["text"]:
        show(result["text"])
    if result["state"] != "done":
        say(
            f"aisys: the request is {result['state']}"
            + (f": {result['error']}" if result["error"] else "")
        )
