"""What importing messaging costs."""

from __future__ import annotations

import subprocess
import sys


def test_zmq_is_not_loaded_until_it_is_needed() -> None:
    """A process that talks over unix sockets only never pays for ZeroMQ."""
    code = (
        "import sys, asyncio, tempfile, pathlib\n"
        "from aisys.messaging import Endpoint, payload\n"
        "from aisys.messaging.keys import KeyRing\n"
        "async def main():\n"
        "    with tempfile.TemporaryDirectory(prefix='ais') as name:\n"
        "        endpoint = Endpoint(host='a', machine='m', service=None)\n"
        "        await endpoint.listen_unix(pathlib.Path(name) / 's')\n"
        "        await endpoint.close()\n"
        "asyncio.run(main())\n"
        "print([name for name in ('zmq', 'uvloop', 'numpy', 'pydantic', 'yaml') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"
