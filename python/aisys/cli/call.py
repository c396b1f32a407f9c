"""`aisys call`: any method of any agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aisys.cli.client import FleetClient, run_with_client
from aisys.cli.run import parse_texts, parse_value, show, show_json
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
    texts = parse_texts(assignments, "argument")

    async def work(client: FleetClient) -> int:
        context = new_trace() if trace else None
        typed = await _typed(client, target, texts)
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


async def _typed(client: FleetClient, target: str, texts: dict[str, str]) -> dict[str, Any]:
    """The arguments as values: JSON where it is JSON, but `phone=5550199` stays a text where a text is wanted."""
    values = {key: parse_value(text) for key, text in texts.items()}
    if all(isinstance(value, str) for value in values.values()):
        return values
    agent, _, method = target.rpartition(".")
    description = await client.call(f"{agent}.describe", {})
    properties = description["methods"].get(method, {}).get("arguments", {}).get("properties", {})
    return {
        key: texts[key]
        if not isinstance(value, str) and _only_text(properties.get(key, {}))
        else value
        for key, value in values.items()
    }


def _only_text(schema: dict[str, Any]) -> bool:
    kinds = {schema.get("type"), *(option.get("type") for option in schema.get("anyOf", ()))}
    return "string" in kinds and not kinds & {"integer", "number", "boolean", "object", "array"}


def _show(value: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(value)
    elif isinstance(value, str):
        show(value)
    else:
        from rich.console import Console
        from rich.pretty import Pretty

        Console(highlight=False).print(Pretty(value, expand_all=False))
