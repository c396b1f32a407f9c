"""`aisys call`: any method of any agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aisys import json
from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import parse_assignments, show, show_json
from aisys.cli.trace import new_trace, show_hops
from aisys.runtime.options import Options


def call(
    options: Options,
    target: str,
    assignments: Sequence[str],
    *,
    stream: bool,
    trace: bool,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Call `Agent.method` with `key=value` arguments and print the result."""
    arguments = parse_assignments(assignments, "argument")

    async def work(client: FleetClient) -> int:
        context = new_trace() if trace else None
        typed = await _fit_texts(client, target, arguments)
        if stream:
            async for item in client.stream(target, typed, timeout_s=timeout_s, trace=context):
                _show(item, as_json=as_json)
        else:
            _show(
                await client.call(target, typed, timeout_s=timeout_s, trace=context),
                as_json=as_json,
            )
        if context is not None:
            await show_hops(client, context)
        return 0

    return run_with_client(options, work)


async def _fit_texts(client: FleetClient, target: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Give a text back to parameters that want one: `phone=5550199` is a number only where a number is wanted."""
    if not any(isinstance(value, int | float | bool | None) for value in arguments.values()):
        return arguments
    agent, _, method = target.rpartition(".")
    description = await client.call(f"{agent}.describe", {})
    methods = {entry["name"]: entry for entry in description["methods"]}
    properties = methods.get(method, {}).get("parameters", {}).get("properties", {})
    return {
        key: json.dumps_str(value)
        if isinstance(value, int | float | bool | None) and _only_text(properties.get(key, {}))
        else value
        for key, value in arguments.items()
    }


def _only_text(schema: dict[str, Any]) -> bool:
    kinds = {schema.get("type"), *(option.get("type") for option in schema.get("anyOf", ()))}
    return "string" in kinds and not kinds & {"integer", "number", "boolean"}


def _show(value: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(value)
    elif isinstance(value, str):
        show(value)
    else:
        from rich.console import Console
        from rich.pretty import Pretty

        Console(highlight=False).print(Pretty(value, expand_all=False))
