"""Values at pointers, fragments, and arrays straight from text."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from aisys.json import JSONDecodeError, JSONPointerError, Raw
from support.json_tiers import each_tier

# The document of RFC 6901, and what its pointers mean.
RFC_DOCUMENT = rb"""{
   "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
}"""
RFC_POINTERS = {
    "/foo": ["bar", "baz"],
    "/foo/0": "bar",
    "/": 0,
    "/a~1b": 1,
    "/c%d": 2,
    "/e^f": 3,
    "/g|h": 4,
    "/i\\j": 5,
    '/k"l': 6,
    "/ ": 7,
    "/m~0n": 8,
}

NESTED = b' {"a" : [ 0 , {"b" : "x\\"]}" , "c" : [ [ ] , { } , -1.5e3 ] } , true ] , "z" : null } '


@each_tier
@pytest.mark.parametrize("pointer", RFC_POINTERS)
def test_the_pointers_of_the_rfc(tier: ModuleType, pointer: str) -> None:
    """RFC 6901, section 5."""
    assert tier.get(RFC_DOCUMENT, pointer) == RFC_POINTERS[pointer]


@each_tier
def test_the_empty_pointer_is_the_document(tier: ModuleType) -> None:
    """The whole document, decoded or as it is."""
    assert tier.get(NESTED, "") == tier.loads(NESTED)
    assert tier.get(NESTED, "", raw=True) == Raw(NESTED.strip())


@each_tier
@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        ("/a", b'[ 0 , {"b" : "x\\"]}" , "c" : [ [ ] , { } , -1.5e3 ] } , true ]'),
        ("/a/0", b"0"),
        ("/a/1/b", b'"x\\"]}"'),
        ("/a/1/c/0", b"[ ]"),
        ("/a/1/c/1", b"{ }"),
        ("/a/1/c/2", b"-1.5e3"),
        ("/a/2", b"true"),
        ("/z", b"null"),
    ],
)
def test_raw_gives_the_text_itself(tier: ModuleType, pointer: str, text: bytes) -> None:
    """Byte for byte what stands in the document, without the space around it."""
    fragment = tier.get(NESTED, pointer, raw=True)

    assert fragment == Raw(text)
    assert tier.loads(fragment.data) == tier.get(NESTED, pointer)


@each_tier
@pytest.mark.parametrize(
    "pointer",
    ["/x", "/a/3", "/a/01", "/a/-", "/a/x", "/a/-1", "/a/0/0", "/z/a", "/a/1/b/0", "/a/", "/a/1e0"],
)
def test_a_pointer_to_nothing(tier: ModuleType, pointer: str) -> None:
    """An error that is a LookupError, or the default."""
    with pytest.raises(JSONPointerError, match="no value at") as caught:
        tier.get(NESTED, pointer)

    assert caught.value.pointer == pointer
    assert isinstance(caught.value, LookupError)
    assert tier.get(NESTED, pointer, default=None) is None
    assert tier.get(NESTED, pointer, default=7, raw=True) == 7


@each_tier
@pytest.mark.parametrize("pointer", ["a", "a/b", "/~", "/~2", "/a~", "#/a"])
def test_text_that_is_no_pointer(tier: ModuleType, pointer: str) -> None:
    """A malformed pointer is the caller's mistake, whatever the document."""
    with pytest.raises(ValueError, match="JSON pointer") as caught:
        tier.get(NESTED, pointer, default=None)

    assert not isinstance(caught.value, JSONDecodeError)


@each_tier
def test_the_last_of_equal_names_counts(tier: ModuleType) -> None:
    """As for loads; also where the first would have led further."""
    document = b'{"a":{"x":1},"b":0,"\\u0061":{"y":2}}'

    assert tier.get(document, "/a") == {"y": 2}
    assert tier.get(document, "/a/y") == 2
    assert tier.get(document, "/a/x", default="none") == "none"


@each_tier
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b'{"a":1',
        b'{"a":1,}',
        b'{"a" 1}',
        b'{"a":1} x',
        b'{"a":[1,2}',
        b'{"a":}',
        b'{"b":"',
        b'{"a":tru}',
        b"[1,,2]",
    ],
)
def test_a_broken_way_is_an_error(tier: ModuleType, document: bytes) -> None:
    """What is read on the way must be JSON, up to the end of every object on it."""
    with pytest.raises(JSONDecodeError):
        tier.get(document, "/a")


@each_tier
def test_several_pointers_at_once(tier: ModuleType) -> None:
    """Values in the order of the pointers; one that is missing is an error."""
    assert tier.get_many(NESTED, "/z", "/a/0", "/a/2", "/z") == (None, 0, True, None)
    assert tier.get_many(NESTED) == ()
    assert tier.get_many(NESTED, "/a/0", raw=True) == (Raw(b"0"),)
    with pytest.raises(JSONPointerError):
        tier.get_many(NESTED, "/z", "/nothing")


@each_tier
def test_pointers_that_share_their_way(tier: ModuleType) -> None:
    """One inside the other, the same twice, the whole document, several items of one array."""
    document = b'{"a":{"b":[10,{"c":1},[2]],"d":"x"},"e":[[0],[1]]}'

    assert tier.get_many(document, "/a/b/1/c", "/a/b", "/a", "/a/b/1/c") == (
        1,
        [10, {"c": 1}, [2]],
        {"b": [10, {"c": 1}, [2]], "d": "x"},
        1,
    )
    assert tier.get_many(document, "", "/e/1/0") == (tier.loads(document), 1)
    assert tier.get_many(document, "/a/b/2/0", "/a/b/0", "/e/1", "/a/b/0") == (2, 10, [1], 10)
    many = tuple(f"/e/{number % 2}/0" for number in range(20))
    assert tier.get_many(document, *many) == (0, 1) * 10


@each_tier
def test_a_later_member_of_the_name_overrides_for_every_pointer(tier: ModuleType) -> None:
    """What an earlier one led to does not count, for pointers that go different ways through it."""
    document = b'{"a":{"x":1,"y":2},"a":{"y":3},"b":[1],"b":7}'

    assert tier.get_many(document, "/a/y", "/a", "/b") == (3, {"y": 3}, 7)
    with pytest.raises(JSONPointerError) as caught:
        tier.get_many(document, "/a/y", "/b/0", "/a/x")
    assert caught.value.pointer == "/b/0"


@each_tier
def test_names_with_escapes_in_pointers(tier: ModuleType) -> None:
    """Tildes and slashes of names, beside names that begin alike."""
    document = b'{"a":1,"a~":2,"a/b":3,"a~b/":{"~~":4},"a~1b":5,"":{"":6}}'

    assert tier.get_many(document, "/a", "/a~0", "/a~1b", "/a~0b~1/~0~0", "/a~01b", "//", "/") == (
        1,
        2,
        3,
        4,
        5,
        6,
        {"": 6},
    )


@each_tier
def test_a_slash_in_a_name_is_not_one_between_names(tier: ModuleType) -> None:
    """Only `~1` means it."""
    document = b'{"/":1,"a/b":2,"b/":3}'

    for pointer in ("//", "/a/b", "/b/"):
        assert tier.get(document, pointer, default=None) is None
    assert tier.get_many(document, "/~1", "/a~1b", "/b~1") == (1, 2, 3)


@each_tier
def test_mistakes_in_calls_are_type_errors(tier: ModuleType) -> None:
    """As for functions of Python: too many, too few, unknown or wrong arguments."""
    wrong: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (tier.get, (), {}),
        (tier.get, (b"{}",), {}),
        (tier.get, (b"{}", "/a", None), {}),
        (tier.get, (b"{}", "/a"), {"other": 1}),
        (tier.get, (b"{}", "/a"), {"pointer": "/b"}),
        (tier.get, (1, "/a"), {}),
        (tier.get_many, (), {}),
        (tier.get_many, (b"{}", "/a"), {"default": 1}),
        (tier.get_many, (None, "/a"), {}),
    ]
    for function, positional, named in wrong:
        with pytest.raises(TypeError):
            function(*positional, **named)


@each_tier
def test_arguments_by_name(tier: ModuleType) -> None:
    """Every way to pass the arguments that the signature allows."""
    assert tier.get(buffer=b'{"a":1}', pointer="/a") == 1
    assert tier.get(b'{"a":1}', pointer="/a", default=2) == 1
    assert tier.get(b'{"a":1}', "/b", raw=True, default=2) == 2
    assert tier.get(b'{"a":1}', "/b", default=None) is None
    assert tier.get(b'{"a":1}', "/a", raw=False) == 1
    assert tier.get_many(b'{"a":1}', "/a", "/a", raw=True) == (Raw(b"1"), Raw(b"1"))


@each_tier
def test_pointers_work_on_every_kind_of_input(tier: ModuleType) -> None:
    """As loads does."""
    for data in (NESTED, bytearray(NESTED), memoryview(NESTED), NESTED.decode()):
        assert tier.get(data, "/a/2") is True


@each_tier
def test_keys_beyond_ascii_are_found(tier: ModuleType) -> None:
    """Whether they are written plainly or escaped."""
    document = '{"größe":1,"\\u8a9e":2,"😀":{"é":3}}'.encode()

    assert tier.get_many(document, "/größe", "/語", "/😀/é") == (1, 2, 3)


def test_raw_fragments_are_values() -> None:
    """Equal by their bytes, hashable, immutable in size, made from bytes or str."""
    assert Raw("[1]") == Raw(b"[1]") == Raw(bytearray(b"[1]")) == Raw(memoryview(b"[1]"))
    assert Raw(b"1.0") != Raw(b"1")
    assert Raw(b"1") != b"1"
    assert len({Raw(b"1"), Raw("1")}) == 1
    assert bytes(Raw("é")) == "é".encode()
    assert len(Raw("é")) == 2
    assert repr(Raw(b"1")) == "Raw(b'1')"
    with pytest.raises(TypeError, match="not int"):
        Raw(1)  # type: ignore[arg-type]


@each_tier
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
)
def test_numbers_become_an_array(tier: ModuleType, dtype: str) -> None:
    """One to three dimensions, of the dtype asked for, writable."""
    for values in ([], [1], [1, 2, 3], [[1, 2], [3, 4]], [[[1], [2]], [[3], [4]]], [[], []]):
        array = tier.loads_array(tier.dumps({"v": values}), "/v", dtype)
        expected = np.array(values, dtype=dtype)
        assert array.dtype == expected.dtype
        assert array.shape == expected.shape
        assert (array == expected).all()
        assert array.flags.writeable


@each_tier
def test_floats_are_rounded_once_to_the_dtype(tier: ModuleType) -> None:
    """float64 keeps every digit, float32 is the nearest of the double."""
    values = [0.1, -2.5e-10, 1e22, 3.4e38, 16777217, 5e-324, 0]
    text = tier.dumps(values)

    assert tier.loads_array(text, dtype="float64").tolist() == [float(value) for value in values]
    assert (tier.loads_array(text) == np.array(values, dtype="float64").astype("float32")).all()
    assert tier.loads_array(b"[18446744073709551615]", "", "uint64")[0] == 2**64 - 1
    assert tier.loads_array(b"[-9223372036854775808]", "", "int64")[0] == -(2**63)


@each_tier
@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        (b"1", "float32"),
        (b'"1"', "float32"),
        (b"null", "float32"),
        (b"{}", "float32"),
        (b"[null]", "float32"),
        (b"[true]", "int8"),
        (b'["1"]', "float64"),
        (b"[[1],2]", "float32"),
        (b"[1,[2]]", "float32"),
        (b"[[1],[2,3]]", "float32"),
        (b"[[1],[[2]]]", "float32"),
        (b"[[],[1]]", "float32"),
        (b"[256]", "uint8"),
        (b"[-1]", "uint8"),
        (b"[-129]", "int8"),
        (b"[18446744073709551616]", "uint64"),
        (b"[1.0]", "int32"),
        (b"[1e39]", "float32"),
        (b"[1e309]", "float64"),
        (b"[1,]", "float32"),
        (b"[1", "float32"),
        (b"[1] x", "float32"),
    ],
)
def test_arrays_that_do_not_fit(tier: ModuleType, text: bytes, dtype: str) -> None:
    """What is no rectangular array of such numbers is refused."""
    with pytest.raises(JSONDecodeError):
        tier.loads_array(text, "", dtype)


@each_tier
def test_array_mistakes_of_the_caller(tier: ModuleType) -> None:
    """An unknown dtype, and a pointer to nothing."""
    with pytest.raises(ValueError, match="dtype 'object' is not one of"):
        tier.loads_array(b"[1]", "", "object")
    with pytest.raises(JSONPointerError):
        tier.loads_array(b"{}", "/v")


@each_tier
def test_deep_values_count_the_way_to_them(tier: ModuleType) -> None:
    """The depth limit holds for the document, wherever the pointer goes."""
    inside: Any = b"[" * 511 + b"]" * 511

    assert tier.get(b'{"a":' + inside + b"}", "/a")
    with pytest.raises(JSONDecodeError):
        tier.get(b'{"a":[' + inside + b"]}", "/a")
