"""Log lines: one JSON object each, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from aisys import logs
from aisys.logs import get_logger, redact, register_secret


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the root logger writes during the test."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    out = io.StringIO()
    logs.configure("debug", stream=out, machine="mainpc", host="mainpc/a")
    yield out
    root.handlers[:] = before
    root.setLevel(level)
    logs.set_context(dict)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_fields(stream: io.StringIO) -> None:
    """Event, level, logger, static fields and the caller's fields are in one object."""
    get_logger("test.a", agent="A").info("stored", count=3, topic="tea\ncups")

    (line,) = lines(stream)
    assert line["event"] == "stored"
    assert line["level"] == "info"
    assert line["logger"] == "test.a"
    assert line["agent"] == "A"
    assert line["machine"] == "mainpc"
    assert line["count"] == 3
    assert line["topic"] == "tea\ncups"


def test_fields_cannot_hide_the_event(stream: io.StringIO) -> None:
    """A field named like a part of the line gets an underscore."""
    get_logger("test").info("real", event="forged", level="none")

    (line,) = lines(stream)
    assert (line["event"], line["event_"], line["level"]) == ("real", "forged", "info")


def test_registered_secrets_are_nowhere(stream: io.StringIO) -> None:
    """A registered value is taken out of messages, fields, keys, lists and tracebacks."""
    register_secret("canary-4711")
    log = get_logger("test")
    try:
        raise ValueError("key canary-4711 refused")  # noqa: TRY301
    except ValueError:
        log.exception("failed with canary-4711", nested={"a": ["canary-4711"]}, canary="x")
    log.info("plain", **{"canary-4711": 1})

    assert "canary-4711" not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()
    assert lines(stream)[0]["error_type"] == "ValueError"


def test_fields_named_like_secrets_are_hidden() -> None:
    """Passwords and keys are hidden by their name; token counts are not."""
    fields = {
        "password": "x",
        "API_KEY": "y",
        "nested": {"auth_token": "z"},
        "max_tokens": 5,
        "total_tokens": 6,
        "secret": "",
        "value": SecretStr("hidden"),
    }

    assert redact(fields) == {
        "password": "[redacted]",
        "API_KEY": "[redacted]",
        "nested": {"auth_token": "[redacted]"},
        "max_tokens": 5,
        "total_tokens": 6,
        "secret": "",
        "value": "**********",
    }


def test_the_context_of_the_moment_is_added(stream: io.StringIO) -> None:
    """What the context provider says is in every line."""
    logs.set_context(lambda: {"trace_id": "ab"})
    get_logger("test").warning("x")

    assert lines(stream)[0]["trace_id"] == "ab"


def test_levels_are_kept_and_checked(stream: io.StringIO) -> None:
    """Below the level nothing is written; an unknown level is an error; bound fields stay."""
    logs.configure("warning", stream=stream)
    log = get_logger("test").bind(agent="B")
    log.debug("no")
    log.info("no")
    log.error("yes")

    assert [line["event"] for line in lines(stream)] == ["yes"]
    assert lines(stream)[0]["agent"] == "B"
    with pytest.raises(ValueError, match="debug, info, warning or error"):
        logs.configure("loud")


def test_text_for_people_has_one_line(stream: io.StringIO) -> None:
    """The other format is a short line with the fields at its end."""
    logs.configure("info", json=False, stream=stream)
    get_logger("test", agent="A").info("stored", count=3)

    assert stream.getvalue().rstrip().endswith("info    stored agent=A count=3")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_every_value_gives_a_line(value: Any) -> None:
    """Whatever a field holds, the line is one line of JSON."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    from aisys.logs.formatter import JsonFormatter

    handler.setFormatter(JsonFormatter({}))
    logger = logging.getLogger("test.property")
    logger.propagate = False
    logger.setLevel("INFO")
    logger.handlers[:] = [handler]
    logs.Logger(logger).info("x", value=value)

    assert len(out.getvalue().rstrip("\n").split("\n")) == 1
    json.loads(out.getvalue())
