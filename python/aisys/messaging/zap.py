"""Who may connect over TCP: the ZAP handler (ZeroMQ RFC 27) of this process, deny by default.

CURVE alone encrypts; it admits any key. ZeroMQ asks this handler about each handshake because the
listening sockets name a domain and set `ZAP_ENFORCE_DOMAIN`: without an answer nobody gets in.
"""

from __future__ import annotations

from aisys.logs import get_logger
from aisys.messaging.keys import KeyRing
from aisys.messaging.stats import LinkStats
from aisys.messaging.zmq_socket import Part, ZmqNode, encode_key

__all__ = ["ZAP_DOMAIN", "ZapHandler"]

ZAP_DOMAIN = b"aisys"
ZAP_ADDRESS = "inproc://zeromq.zap.01"
REQUEST_PARTS = 7
KEY_BYTES = 32
MAX_DENIALS_LOGGED = 20

log = get_logger("aisys.messaging")


class ZapHandler:
    """Answers ZeroMQ's question for each connection; the answer carries the key as `User-Id`.

    Attributes:
        denied: handshakes that were turned away.
        expected: the key of a running self-test, whose refusal is no news.
    """

    __slots__ = ("_keys", "_pump", "_stats", "denied", "expected")

    def __init__(self, node: ZmqNode, keys: KeyRing, stats: LinkStats) -> None:
        self._keys = keys
        self._stats = stats
        self.denied = 0
        self.expected = ""
        self._pump = node.answering(ZAP_ADDRESS, self._on_request)

    def _on_request(self, parts: list[Part]) -> None:
        fields = [part.bytes for part in parts]
        if len(fields) != REQUEST_PARTS or fields[0] != b"1.0":
            request_id = fields[1] if len(fields) > 1 else b""
            self._answer(request_id, None, b"not a question of ZAP 1.0")
            return
        _, request_id, domain, address, _, mechanism, credential = fields
        if domain != ZAP_DOMAIN or mechanism != b"CURVE" or len(credential) != KEY_BYTES:
            self._deny(request_id, address, "no CURVE key for this domain")
            return
        key = encode_key(credential)
        if key == self.expected:
            self._answer(request_id, None, b"no")
            return
        if self._keys.machine_of(key) is None:
            self._deny(request_id, address, "unknown key")
            return
        self._answer(request_id, key, b"OK")

    def _deny(self, request_id: bytes, address: bytes, why: str) -> None:
        self.denied += 1
        self._stats.refused_peers.labels("unknown_key").inc()
        if self.denied <= MAX_DENIALS_LOGGED:
            log.warning("peer_refused", address=address.decode("ascii", "replace"), reason=why)
        self._answer(request_id, None, b"no")

    def _answer(self, request_id: bytes, user_id: str | None, text: bytes) -> None:
        status = b"400" if user_id is None else b"200"
        user = b"" if user_id is None else user_id.encode()
        self._pump.send([b"1.0", request_id, status, text, user, b""])

    def close(self) -> None:
        """Stop answering: from now on nobody gets in."""
        self._pump.close()
