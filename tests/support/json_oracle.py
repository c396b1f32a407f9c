"""What the codec must make of any bytes: `json` and `orjson`, held to the rules of `docs/json.md`.

Each check takes bytes and raises `AssertionError` where the codec differs. The fuzz targets (`rust/fuzz`) give them
what the fuzzer comes up with, the differential run (`support.json_differential`) what is generated from a seed.

Where `json` is laxer than the codec, the oracle adds the rule: no NaN and infinities, no numbers that overflow a
double (also in members that a later one of the same name replaces), no escapes of lone surrogates, UTF-8 only and no
byte order mark, at most 512 levels. Where `orjson` differs, it is not asked: integers beyond 64 bits (floats there) and
more than 254 levels when writing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from types import ModuleType
from typing import Any, Final, NoReturn

import orjson

from aisys.json import (
    JSONDecodeError,
    JSONEncodeError,
    JSONPointerError,
    tier_native,
    tier_orjson,
    tier_stdlib,
)
from support.json_values import Draw, Opaque, draw_value

MAX_DEPTH: Final = 512
TIERS: Final[tuple[ModuleType, ...]] = (tier_native, tier_orjson, tier_stdlib)
NATIVE: Final[tuple[ModuleType, ...]] = (tier_native,)
REFUSED: Final = object()

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)
_MAYBE_BIG: Final = re.compile(rb"[0-9]{19}")


class _NotJSONError(ValueError):
    """Against a rule that `json` does not have."""


def _finite(token: str) -> float:
    value = float(token)
    if not isfinite(value):
        raise _NotJSONError(token)
    return value


def _refuse(token: str) -> NoReturn:
    raise _NotJSONError(token)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NotJSONError("lone surrogate") from None


def _check_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Here, where replaced members still are.
    for key, value in pairs:
        _check_text(key)
        _check_inside(value)
    return dict(pairs)


def _check_inside(value: Any) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check_inside(item)


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
_CAREFUL: Final = json.JSONDecoder(
    parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_check_pairs
)


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif match[2]:
            depth -= 1
    return deepest


def expected(data: bytes) -> Any:
    """The value of a text, or `REFUSED`."""
    try:
        text = data.decode()
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            return REFUSED
        if "\\" in text and _SURROGATE.search(text):
            value = _CAREFUL.decode(text)
            _check_inside(value)
            return value
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return REFUSED


def spelling(value: Any) -> str:
    """Equal for equal values of equal types in equal order, down to the sign of zero."""
    return repr(value)


def check_read(data: bytes, tiers: tuple[ModuleType, ...] = NATIVE) -> None:
    """Every tier reads what the oracle reads, from every kind of buffer, and refuses what it refuses."""
    wanted = expected(data)
    for tier in tiers:
        if wanted is REFUSED:
            _check_refused(tier, data)
        else:
            got = tier.loads(data)
            assert spelling(got) == spelling(wanted), (tier.NAME, data)
    if wanted is REFUSED:
        return
    # One of the other kinds of input, whichever the bytes say.
    kind = len(data) % 4
    if kind == 0:
        other: Any = bytearray(data)
    elif kind == 1:
        other = memoryview(b"[" + data + b"]")[1:-1]
    elif kind == 2:
        other = memoryview(bytes(byte for byte in data for _ in range(2)))[::2]
    else:
        other = data.decode()
    for tier in tiers:
        assert spelling(tier.loads(other)) == spelling(wanted), (tier.NAME, other)
    if not _MAYBE_BIG.search(data):
        assert spelling(orjson.loads(data)) == spelling(wanted), data
    _check_written(wanted, tiers)


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _check_refused(tier: ModuleType, data: bytes) -> None:
    try:
        got = tier.loads(data)
    except JSONDecodeError as error:
        assert 0 <= error.offset <= len(data), (tier.NAME, data, error)
        if (before := _decoded(data[: error.offset])) is None:
            return  # bad UTF-8 before the place: characters cannot be counted
        assert error.line == before.count("\n") + 1, (tier.NAME, data, error)
        assert error.column == len(before) - (before.rfind("\n") + 1) + 1, (tier.NAME, data, error)
    else:
        raise AssertionError((tier.NAME, data, got))


def _check_written(value: Any, tiers: tuple[ModuleType, ...]) -> None:
    """What was read is written and reads back the same."""
    for tier in tiers:
        try:
            text = tier.dumps(value)
        except JSONEncodeError as error:
            assert "64 bits" in str(error), (tier.NAME, value, error)
            continue
        assert spelling(_DECODER.decode(text.decode())) == spelling(value), (tier.NAME, value)
        assert spelling(tier.loads(text)) == spelling(value), (tier.NAME, value)


def check_write(data: bytes, tiers: tuple[ModuleType, ...] = NATIVE) -> None:
    """An object drawn from the bytes is written as its plain form is, or refused if it has none."""
    draw = Draw(data)
    choice = draw.byte()
    sort_keys = choice & 1 == 1
    options: dict[str, Any] = {"sort_keys": sort_keys}
    if choice & 2:
        options["default"] = Opaque.inside
    drawn = draw_value(draw, has_default=bool(choice & 2))
    for tier in tiers:
        try:
            text = tier.dumps(drawn.value, **options)
        except JSONEncodeError as error:
            assert drawn.refused, (tier.NAME, drawn, error)
            continue
        assert not drawn.refused, (tier.NAME, drawn, text)
        _check_text_of(tier, text, drawn.plain, sort_keys=sort_keys)
        if choice & 4:
            assert tier.dumps_str(drawn.value, **options) == text.decode(), (tier.NAME, drawn)


def _check_text_of(tier: ModuleType, text: bytes, plain: Any, *, sort_keys: bool) -> None:
    if tier is tier_native:
        try:
            peer = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS if sort_keys else 0)
        except TypeError:
            pass  # deeper than it goes
        else:
            assert text == peer, (plain, text, peer)
            return
    ordered = json.dumps(plain, sort_keys=sort_keys, ensure_ascii=False, separators=(",", ":"))
    read, wanted = (_DECODER.decode(spelt) for spelt in (text.decode(), ordered))
    assert spelling(read) == spelling(wanted), (tier.NAME, plain, text)
    if tier is tier_stdlib:
        assert text == ordered.encode(), (plain, text)


def _walk(value: Any, draw: Draw) -> list[str]:
    """A way into a value: the bytes choose each step."""
    tokens: list[str] = []
    while isinstance(value, dict | list) and value and (choice := draw.byte()):
        if isinstance(value, dict):
            token = list(value)[choice % len(value)]
            tokens.append(token)
            value = value[token]
        else:
            index = choice % len(value)
            tokens.append(str(index))
            value = value[index]
    return tokens


def _pointed(value: Any, tokens: list[str]) -> Any:
    for token in tokens:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,18}", token, re.ASCII):
            if int(token) >= len(value):
                return REFUSED
            value = value[int(token)]
        else:
            return REFUSED
    return value


def pointer_of(tokens: list[str]) -> str:
    """The JSON pointer of a way."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _found(tier: ModuleType, data: bytes, pointer: str) -> Any:
    try:
        return tier.get(data, pointer)
    except JSONPointerError:
        return REFUSED


def check_pointer(data: bytes, tiers: tuple[ModuleType, ...] = NATIVE) -> None:
    """Pointers into a text, found in it and made up, lead where they lead in its value."""
    size = data[0] % 16 if data else 0
    steps, text = data[1 : 1 + size], data[1 + size :]
    draw = Draw(steps)
    whole = expected(text)
    made_up = steps.decode("utf-8", "replace").split("/")
    if whole is REFUSED:
        for tier in tiers:
            for pointer in ("", pointer_of(made_up), "/0", "/a/1"):
                try:
                    tier.get_many(text, pointer, pointer, raw=True)
                except (JSONDecodeError, JSONPointerError):
                    continue
        return
    tokens = _walk(whole, draw)
    wanted = _pointed(whole, tokens)
    pointer = pointer_of(tokens)
    other = _pointed(whole, made_up)
    for tier in tiers:
        assert spelling(tier.get(text, pointer)) == spelling(wanted), (tier.NAME, text, pointer)
        raw = tier.get(text, pointer, raw=True)
        assert raw.data in text, (tier.NAME, text, pointer)
        assert spelling(expected(raw.data)) == spelling(wanted), (tier.NAME, text, pointer)
        got = _found(tier, text, pointer_of(made_up))
        assert spelling(got) == spelling(other), (tier.NAME, text, made_up)
        missing = tier.get(text, pointer_of(made_up), default=REFUSED)
        assert spelling(missing) == spelling(other), (tier.NAME, text, made_up)
        both = tier.get_many(text, pointer, "", pointer)
        assert spelling(both) == spelling((wanted, whole, wanted)), (tier.NAME, text, pointer)
        _check_array(tier, text, pointer, wanted)


def _check_array(tier: ModuleType, text: bytes, pointer: str, wanted: Any) -> None:
    numbers = type(wanted) is list and wanted and all(type(item) in {int, float} for item in wanted)
    try:
        array = tier.loads_array(text, pointer, "float64")
    except ValueError:  # also numpy's own, where it has not so many dimensions
        assert not numbers or any(abs(item) >= 2**63 for item in wanted), (tier.NAME, text)
        return
    if numbers:
        assert spelling(array.tolist()) == spelling([float(item) for item in wanted]), (
            tier.NAME,
            text,
        )


def check_canonical(data: bytes, tiers: tuple[ModuleType, ...] = NATIVE) -> None:
    """The canonical text of a value is that of the reference, and reads back as the same doubles."""
    value = expected(data)
    if value is REFUSED:
        value = data.decode("utf-8", "replace")
    wanted: Any
    try:
        wanted = tier_stdlib.canonical(value)
    except JSONEncodeError:
        wanted = REFUSED
    for tier in tiers:
        try:
            text = tier.canonical(value)
        except JSONEncodeError:
            text = REFUSED
        assert text == wanted, (tier.NAME, value)
        if text is not REFUSED:
            assert tier.canonical(tier.loads(text)) == text, (tier.NAME, value)
    if wanted is not REFUSED:
        assert _as_doubles(wanted) == _as_doubles(json.dumps(value)), value


def _as_doubles(text: bytes | str) -> Any:
    return json.loads(text, parse_int=float)


CHECKS: Final[dict[str, Callable[[bytes], None]]] = {
    "check_read": check_read,
    "check_write": check_write,
    "check_pointer": check_pointer,
    "check_canonical": check_canonical,
}
"""The checks by name, of the native tier alone: what the fuzz targets run."""
