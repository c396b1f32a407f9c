"""Errors on the wire: same class, typed fields, remote traceback, and nothing imported."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest

from aisys.errors import (
    AgentError,
    ArgumentError,
    DeadlineExceeded,
    Indefinite,
    Refused,
    RemoteError,
)
from aisys.messaging.wire_errors import decode_error, encode_error


class Broken(Exception):
    """An exception that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Sold(AgentError):
    """One with a field."""

    code: ClassVar[str] = "test_messaging_sold"
    fields: ClassVar[tuple[str, ...]] = ("price",)

    def __init__(self, message: str, price: Any) -> None:
        super().__init__(message)
        self.price = price


def _sent(error: BaseException) -> Exception:
    try:
        raise error  # noqa: TRY301 - for the sake of its traceback
    except BaseException as caught:
        return decode_error(encode_error(caught), "mainpc/memory")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        ZeroDivisionError("x"),
        TimeoutError("x"),
        PermissionError("x"),
        NotImplementedError("x"),
    ],
)
def test_builtins_keep_their_class(error: Exception) -> None:
    """Class and arguments are those of the other side."""
    result = _sent(error)

    assert type(result) is type(error)
    assert result.args == error.args
    assert result.__notes__[0].startswith("on mainpc/memory:\nTraceback")


def test_fields_travel() -> None:
    """Errors of aisys and of agents come back with their attributes."""
    argument = _sent(ArgumentError("bad", method="A.b", problems=["x: no"]))
    refused = _sent(Refused("full", reason="overloaded"))
    late = _sent(DeadlineExceeded("late", timeout_s=1.5))
    sold = _sent(Sold("gone", 7))

    assert isinstance(argument, ArgumentError)
    assert (argument.method, argument.problems, argument.reason) == (
        "A.b",
        ["x: no"],
        "bad_argument",
    )
    assert isinstance(refused, Refused)
    assert refused.reason == "overloaded"
    assert isinstance(late, DeadlineExceeded)
    assert late.timeout_s == 1.5
    assert isinstance(sold, Sold)
    assert (str(sold), sold.price) == ("gone", 7)


def test_unknown_classes_become_remote_errors() -> None:
    """A class that this process does not have is named, not imported."""
    body = json.loads(encode_error(Sold("gone", 7)))
    body["code"] = "from_another_world"
    result = decode_error(json.dumps(body).encode(), "x")
    other = _sent(UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"))

    assert isinstance(result, RemoteError)
    assert result.type_name == "Sold"
    assert isinstance(other, RemoteError)
    assert other.type_name == "UnicodeDecodeError"


def test_a_cancelled_handler_is_indefinite() -> None:
    """The caller must not take it for its own cancellation."""
    assert isinstance(_sent(asyncio.CancelledError()), Indefinite)


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "object", "eval", "__import__"]
)
def test_dangerous_names_are_only_names(name: str) -> None:
    """Nothing outside the list is looked up, let alone called."""
    body = json.dumps({"code": "", "message": "x", "type": name}).encode()

    assert isinstance(decode_error(body, "x"), RemoteError)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff", b'{"fields":[1],"code":[]}', b"{}"]
)
def test_malformed_descriptions(body: bytes) -> None:
    """Whatever arrives, the caller gets an error and not a crash."""
    assert isinstance(decode_error(body, "x"), RemoteError)


def test_broken_errors_travel_too() -> None:
    """An unreadable message, a field that is not JSON and a huge traceback do not stop the reply."""
    broken = _sent(Broken())
    circular: list[Any] = []
    circular.append(circular)
    odd = _sent(Sold("odd", circular))
    huge = _sent(ValueError("x" * 1_000_000))

    assert "no readable message" in str(broken)
    assert isinstance(odd, Sold)
    assert odd.price is None
    assert len(str(huge)) <= 4096
    assert len(encode_error(ValueError("x" * 1_000_000))) < 100_000


def test_notes_survive_a_second_hop() -> None:
    """The traceback of the first process is still there behind the second."""

    def _raise() -> None:
        raise ValueError("deep")

    try:
        _raise()
    except ValueError as error:
        first = decode_error(encode_error(error), "a")
    second = decode_error(encode_error(first), "b")

    assert "on b:\non a:\n" in second.__notes__[0]
    assert "_raise" in second.__notes__[0]
