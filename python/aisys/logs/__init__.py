"""Structured logs: one JSON object a line, secrets taken out."""

from aisys.logs.formatter import set_context as set_context
from aisys.logs.logger import Logger as Logger
from aisys.logs.logger import get_logger as get_logger
from aisys.logs.redaction import redact as redact
from aisys.logs.redaction import redact_text as redact_text
from aisys.logs.redaction import register_secret as register_secret
from aisys.logs.setup import configure as configure

__all__ = [
    "Logger",
    "configure",
    "get_logger",
    "redact",
    "redact_text",
    "register_secret",
    "set_context",
]
