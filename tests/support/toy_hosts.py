"""Hosts without agents, for testing the supervisor: each behaves as its name says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from aisys import json


def warm(machine: str) -> object:
    return run


def warm_with_a_thread(machine: str) -> object:
    threading.Thread(target=threading.Event().wait, name="prefetcher", daemon=True).start()
    return run


def run(host: str, channel: socket.socket) -> int:
    name = host.partition("/")[2]
    print(f"{name} starts", flush=True)
    if name == "crash":
        return 3
    if name == "done":
        return 0
    if name == "misconfigured":
        channel.send(json.dumps({"op": "problem", "problem": "setting x is wrong"}))
        return 2
    if name == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if name == "parent":
        child = subprocess.Popen(
            [sys.executable, "-c", "import os,time; os.setsid(); time.sleep(600)"]
        )
        print(f"grandchild {child.pid}", flush=True)
    if name != "slow":
        channel.send(json.dumps({"op": "ready", "agents": {name: {"state": "ready"}}}))
    while True:
        time.sleep(0.2)
        if name != "silent":
            channel.send(
                json.dumps({"op": "tick", "lag_ms": 0.0, "agents": {name: {"state": "ready"}}})
            )
        if os.getppid() == 1:
            return 0
