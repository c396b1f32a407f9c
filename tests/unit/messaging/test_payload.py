"""Values with binary parts, there and back."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisys.errors import FrameError
from aisys.json import JSONEncodeError
from aisys.messaging.payload import pack, unpack


def _round(value: object) -> Any:
    body, buffers = pack(value)
    return unpack(body, [memoryview(bytes(buffer)) for buffer in buffers])


_plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.binary()
_values = st.recursive(
    _plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_values)
def test_values_come_back(value: object) -> None:
    """Whatever is nested in lists and dicts arrives as it left."""
    assert _round(value) == value


def test_plain_values_are_plain_json() -> None:
    """Without binary parts there is no envelope."""
    assert pack({"a": [1, None, "x"]}) == (b'{"a":[1,null,"x"]}', [])


def test_the_envelope() -> None:
    """Places and kinds are listed beside the value."""
    body, buffers = pack({"a": [b"xy", 1], "b": memoryview(b"z")})

    assert json.loads(body) == {
        "value": {"a": [None, 1], "b": None},
        "at": [[["a", 0], "bytes"], [["b"], "memoryview"]],
    }
    assert [bytes(buffer) for buffer in buffers] == [b"xy", b"z"]


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "uint64", "bool", "complex64", "datetime64[ms]", ">i4"]
)
def test_arrays_keep_type_and_shape(dtype: str) -> None:
    """An array arrives with its dtype, shape and bytes, read-only."""
    array = np.arange(12).astype(dtype).reshape(3, 4)
    result = _round({"deep": [array]})["deep"][0]

    assert result.dtype == array.dtype
    assert np.array_equal(result, array)
    assert not result.flags.writeable


@pytest.mark.parametrize(
    "array", [np.zeros(()), np.zeros((0, 3)), np.arange(10)[::2], np.asfortranarray(np.eye(3))]
)
def test_arrays_of_odd_layout(array: Any) -> None:
    """Scalars, empty, strided and column-major arrays arrive with the same values."""
    result = _round(array)

    assert result.shape == array.shape
    assert np.array_equal(result, array)


def test_a_large_buffer_is_not_copied() -> None:
    """The buffer that is attached is a view of the caller's memory."""
    array = np.zeros(1_000_000)
    _, (buffer,) = pack(array)

    assert np.shares_memory(np.frombuffer(buffer), array)


def test_objects_are_refused() -> None:
    """Arrays of objects, and what is neither JSON nor a buffer, do not travel."""
    with pytest.raises(ValueError, match="dtype"):
        pack(np.array([object()]))
    with pytest.raises(TypeError):
        pack({"x": object()})
    with pytest.raises(TypeError):
        pack({"x": object(), "y": b""})


def test_depth_is_bounded() -> None:
    """A value that is nested too deeply beside a buffer is refused, not a crash."""
    value: object = b"x"
    for _ in range(100):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        pack(value)


_X = [memoryview(b"12345678")]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"value":null,"at":[]}',
        b'{"value":null,"at":[5]}',
        b'{"value":null,"at":[[5,"bytes"]]}',
        b'{"value":null,"at":[[["a"],"bytes"]]}',
        b'{"value":[null],"at":[[[1],"bytes"]]}',
        b'{"value":[null],"at":[[[-1],"bytes"]]}',
        b'{"value":[null],"at":[[[true],"bytes"]]}',
        b'{"value":{"a":1},"at":[[["a"],"bytes"]]}',
        b'{"value":null,"at":[[[],"pickle"]]}',
        b'{"value":null,"at":[[[],"ndarray","O",[1]]]}',
        b'{"value":null,"at":[[[],"ndarray","V8",[1]]]}',
        b'{"value":null,"at":[[[],"ndarray","<f8",[2]]]}',
        b'{"value":null,"at":[[[],"ndarray","<f8",[-1]]]}',
        b'{"value":null,"at":[[[],"ndarray","<f8","x"]]}',
        b'{"value":null,"at":[[[],"ndarray",7,[1]]]}',
        b'{"value":null,"at":[[[],"ndarray","<f9",[1]]]}',
        b'{"value":null,"at":[[[],"ndarray"]]}',
        b'{"value":null,"at":[[[],"ndarray","<f8",[4611686018427387904,4]]]}',
    ],
)
def test_malformed_envelopes(body: bytes) -> None:
    """Whatever does not fit is a FrameError, and no array of objects is ever made."""
    with pytest.raises(FrameError):
        unpack(body, _X)


def test_numpy_is_not_imported() -> None:
    """Packing bytes does not load numpy."""
    code = "import sys; from aisys.messaging.payload import pack; pack({'a': b'x'}); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_value_that_contains_itself_is_refused() -> None:
    """Looking for arrays ends, also in a value that contains itself twice over."""
    value: list[Any] = []
    value.extend([value, value])
    with pytest.raises(JSONEncodeError, match="contains itself"):
        pack(value)
