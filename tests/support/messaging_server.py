"""The server of a pair as a process: `messaging_server.py <socket path or tcp url> <keys folder>`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import uvloop

from aisys.messaging import Endpoint
from aisys.messaging.keys import KeyRing
from support.messaging import FAST, Desk

TICK_S = 0.02


async def main(place: str, keys: Path) -> None:
    tcp = place.startswith("tcp://")
    machine = "distant" if tcp else "near"
    ring = KeyRing.load(keys, machine) if tcp else None
    endpoint = Endpoint(host="far", machine=machine, service=Desk(), keys=ring, limits=FAST)
    if tcp:
        await endpoint.listen_tcp([place])
    else:
        await endpoint.listen_unix(Path(place))
    print("up", flush=True)
    number = 0
    loop = asyncio.get_running_loop()

    def tick() -> None:
        # Something for subscribers to miss.
        nonlocal number
        number += 1
        endpoint.publish("tick.number", str(number).encode())
        loop.call_later(TICK_S, tick)

    tick()
    await asyncio.Event().wait()


with contextlib.suppress(KeyboardInterrupt):
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
