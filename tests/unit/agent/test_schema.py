"""Arguments and results against their annotations, and on the wire."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from aisys.agent.plain import is_plain
from aisys.agent.schema import ArgumentSchema, Parameter, ResultSchema
from aisys.agent.wire import decode_any, encode_any
from aisys.errors import ArgumentError, ResultError


class Colour(enum.StrEnum):
    RED = "red"


class Model(BaseModel):
    when: dt.datetime
    colour: Colour = Colour.RED
    inner: Model | None = None


class Blob(BaseModel):
    data: bytes


@dataclass
class Data:
    numbers: list[int] = field(default_factory=list)


class Point(TypedDict, total=False):
    x: float


class Typed(TypedDict):
    a: int
    b: NotRequired[list[Point] | None]


WHEN = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def schema(**annotations: Any) -> ArgumentSchema:
    parameters = [
        Parameter(name, annotation, required=name != "optional")
        for name, annotation in annotations.items()
    ]
    return ArgumentSchema("A.m", parameters)


def problems(arguments: dict[str, Any], **annotations: Any) -> list[str]:
    with pytest.raises(ArgumentError) as caught:
        schema(**annotations).validate(arguments)
    assert caught.value.method == "A.m"
    assert caught.value.reason == "bad_argument"
    return caught.value.problems


def test_every_problem_is_named() -> None:
    """Missing, unknown and wrong arguments are told apart, all at once."""
    found = problems({"topik": "x", "limit": "many"}, topic=str, limit=Annotated[int, Field(ge=1)])

    assert "topik: unknown argument; did you mean 'topic'?" in found
    assert "topic: is missing" in found
    assert any(text.startswith("limit: ") for text in found)


def test_the_place_inside_of_a_value_is_named() -> None:
    """A problem deep in a model has its whole path; what was given is shown, shortened."""
    (problem,) = problems({"data": {"numbers": [1, "x" * 100]}}, data=Data)

    assert problem.startswith("data.numbers.1: Input should be a valid integer")
    assert len(problem) < 250
    assert "…" in problem


def test_positional_arguments_find_their_names() -> None:
    """Positions follow the signature; too many, or one given twice, is an error."""
    arguments = schema(a=int, b=int)

    assert arguments.bind((1,), {"b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(ArgumentError, match="takes 2 arguments, 3 were given"):
        arguments.bind((1, 2, 3), {})
    with pytest.raises(ArgumentError, match="a: given twice"):
        arguments.bind((1,), {"a": 1})


def test_models_become_models_on_both_sides() -> None:
    """What was validated here, encoded and decoded there, is equal."""
    arguments = schema(model=Model, data=Data, typed=Typed, optional=int)
    given_ = {
        "model": {"when": "2026-11-22T00:00:00Z", "inner": {"when": 0}},
        "data": {"numbers": [1]},
        "typed": {"a": 1, "b": [{"x": 1}, {}]},
    }
    checked = arguments.validate(given_)

    body, attachments = arguments.encode(checked)

    assert checked["model"].when == WHEN
    assert attachments == []
    assert arguments.decode(body, attachments) == checked
    assert "optional" not in checked


def test_binary_values_travel_beside_the_json() -> None:
    """Bytes and arrays are attachments, at any depth, and come back as what they were."""
    arguments = schema(blob=Blob, array=np.ndarray, anything=Any)
    array = np.arange(6, dtype="float32").reshape(2, 3)
    checked = arguments.validate(
        {"blob": Blob(data=b"\x00\xff"), "array": array, "anything": {"deep": [b"x", 1]}}
    )

    body, attachments = arguments.encode(checked)
    back = arguments.decode(body, attachments)

    assert len(attachments) == 3
    assert back["blob"].data == b"\x00\xff"
    assert back["array"].dtype == np.float32
    assert back["array"].tolist() == array.tolist()
    assert back["anything"] == {"deep": [b"x", 1]}


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b'{"a":1}{', b"null"])
def test_garbage_is_a_bad_argument(body: bytes) -> None:
    """Bytes that are no JSON object are refused like any other wrong argument."""
    with pytest.raises(ArgumentError, match=r"A\.m: "):
        schema(a=int).decode(body, [])


def test_a_wrong_result_is_the_callees_error() -> None:
    """The message names the method and what was returned."""
    result = ResultSchema("A.m", list[int])

    with pytest.raises(ResultError, match=r"A\.m: 1: Input should be a valid integer") as caught:
        result.validate([1, "x"])
    assert caught.value.method == "A.m"
    with pytest.raises(ResultError):
        result.decode(b'{"a":1}', [])


def test_results_come_back_typed() -> None:
    """Models, dates and None survive the wire as what they were."""
    for annotation, value in (
        (Model, Model(when=WHEN)),
        (dt.datetime, WHEN),
        (type(None), None),
        (Blob, Blob(data=b"\xff")),
        (Any, {"a": [1, None]}),
    ):
        result = ResultSchema("A.m", annotation)
        body, attachments = result.encode(result.validate(value))
        assert result.decode(body, attachments) == value


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (str, True),
        (dict[str, list[int | None]], True),
        (Literal["a", 1], True),
        (Annotated[int, Field(ge=1)], True),
        (Colour, True),
        (Model, True),
        (Data, True),
        (Typed, True),
        (tuple[int, ...], True),
        (Blob, False),
        (bytes, False),
        (Any, False),
        (object, False),
        (list, False),
        (dict, False),
        (list[Any], False),
        (np.ndarray, False),
        (int | bytes, False),
    ],
)
def test_which_types_can_hold_binary_data(annotation: Any, plain: bool) -> None:
    """Only types that cannot hold binary data skip the attachment format."""
    assert is_plain(annotation) is plain


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_value_survives_the_wire(value: Any) -> None:
    """Nested JSON values with bytes among them come back equal."""
    body, attachments = encode_any(value)

    assert decode_any(body, attachments) == value


def test_what_cannot_travel_is_a_type_error() -> None:
    """A value that is neither JSON-like nor binary is refused where it is sent."""
    with pytest.raises((TypeError, ValueError)):
        encode_any({"a": object()})
