"""Edge cases made by rule, each on every tier."""

from __future__ import annotations

import math
from itertools import product
from types import ModuleType

import pytest

from aisys.json import JSONDecodeError, tier_native
from support.json_corpus import ACCEPTED, DEEPEST
from support.json_documents import Documents
from support.json_edges import (
    SHORT_ESCAPES,
    bad_numbers,
    bad_utf8,
    nested,
    numbers,
    overflows,
    utf8_strings,
)
from support.json_oracle import REFUSED, check_read, expected
from support.json_tiers import TIERS, each_tier


def _refused(tier: ModuleType, text: bytes | str) -> bool:
    try:
        tier.loads(text)
    except JSONDecodeError:
        return True
    return False


@each_tier
def test_numbers_at_every_boundary_are_exact(tier: ModuleType) -> None:
    """Powers of two and ten, subnormals, the largest double, exact halves and a hair beside them, long mantissas."""
    for text, value in numbers():
        for written in (text, f"[{text}]", f'{{"n":{text} }}'):
            read = tier.loads(written)
            while isinstance(read, list | dict):
                (read,) = read.values() if isinstance(read, dict) else read

            assert read == value, text
            assert type(read) is type(value), text
            assert math.copysign(1, read) == math.copysign(1, value), text


@each_tier
def test_numbers_beyond_a_double_are_refused(tier: ModuleType) -> None:
    """From the middle between the largest double and the next power of two on."""
    for text in overflows():
        assert _refused(tier, text), text
        assert _refused(tier, f"[1,{text}]"), text


@each_tier
def test_malformed_numbers_are_refused(tier: ModuleType) -> None:
    """Any one to three of `0 . e E + -` among digits that do not make a number, alone and in an array."""
    for text in bad_numbers():
        assert _refused(tier, text), text
        assert _refused(tier, f"[{text}]"), text


@each_tier
def test_every_escape_gives_its_character(tier: ModuleType) -> None:
    """Every byte behind a backslash, and every four digits of a u escape in both cases: as the RFC has it."""
    for byte in range(256):
        text = b'"\\' + bytes((byte,)) + b'"'
        meant = SHORT_ESCAPES.get(chr(byte))
        if meant is None:
            assert _refused(tier, text), text
        else:
            assert tier.loads(text) == meant
    for point in range(0x10000):
        text = f'"\\u{point:04x}\\u{point:04X}"'.encode()
        if 0xD800 <= point < 0xE000:
            assert _refused(tier, text), text
        else:
            assert tier.loads(text) == chr(point) * 2


@each_tier
def test_surrogate_pairs_give_one_character(tier: ModuleType) -> None:
    """The corners of both halves, and both halves in every wrong order."""
    highs, lows, others = (0xD800, 0xD801, 0xDBFF), (0xDC00, 0xDC01, 0xDFFF), (0xD7FF, 0xE000, 0x41)
    for high, low in product(highs, lows):
        point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
        assert tier.loads(f'"\\u{high:04x}\\u{low:04X}"') == chr(point)
        assert _refused(tier, f'"\\u{low:04x}\\u{high:04x}"')
    for high, other in product(highs, (*highs, *others)):
        assert _refused(tier, f'"\\u{high:04x}\\u{other:04x}"')
        assert _refused(tier, f'"\\u{high:04x}{chr(0x41)}\\u{other:04x}"')


@each_tier
def test_utf8_of_every_length_is_read_at_every_place(tier: ModuleType) -> None:
    """The first and last character of each length class, next to those of the others and at 66 offsets."""
    for text in utf8_strings():
        assert tier.loads(f'"{text}"'.encode()) == text
        assert tier.loads(f'{{"{text}":"\\n{text}"}}'.encode()) == {text: f"\n{text}"}


@each_tier
def test_every_malformed_utf8_is_refused(tier: ModuleType) -> None:
    """Every lead byte with every kind of wrong continuation, in short and long strings and in keys."""
    for form in bad_utf8():
        assert _refused(tier, b'"' + form + b'"'), form
        assert _refused(tier, b'{"' + b"k" * 31 + form + b'":1}'), form


@each_tier
@pytest.mark.parametrize("levels", [DEEPEST - 1, DEEPEST, DEEPEST + 1])
def test_depth_ends_at_its_limit(tier: ModuleType, levels: int) -> None:
    """Arrays, objects, both by turns, and with values beside the way: 512 levels are read, 513 are not."""
    for text in nested(levels):
        assert _refused(tier, text) == (levels > DEEPEST)


def test_every_accepted_text_cut_at_every_byte() -> None:
    """Each prefix is read or refused as `json` has it, on every tier."""
    for text, _ in ACCEPTED.values():
        for end in range(min(len(text), 400)):
            check_read(text[:end], tuple(TIERS))


def test_generated_documents_are_of_both_kinds() -> None:
    """The generator of the long runs gives enough valid documents and enough that must be refused."""
    stream = iter(Documents(seed=7))
    verdicts = [expected(next(stream)) is REFUSED for _ in range(2000)]

    assert 400 < sum(verdicts) < 1600


def _colliding_keys() -> list[str]:
    """More keys of each length than any cache has slots, so that most share a slot with others of that length."""
    alphabet = "abcdefghij0123456789"
    keys = ["".join(letters) for size in (1, 2, 3) for letters in product(alphabet, repeat=size)]
    for size in (4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 63, 64, 65):
        # Differences in the first, the middle and the last bytes only.
        for number in range(3000):
            digits = f"{number:04x}"
            keys.append(digits[:size].ljust(size, "x"))
            keys.append(digits[-size:].rjust(size, "x"))
            middle = digits[-size:]
            keys.append(middle.center(size, "y"))
    return list(dict.fromkeys(keys))


def test_keys_that_share_a_slot_are_never_confused() -> None:
    """100,000 keys, many of which agree in length and in most bytes: each comes back with its own bytes, twice."""
    keys = _colliding_keys()
    assert len(keys) > 100_000
    text = ("{" + ",".join(f'"{key}":{index}' for index, key in enumerate(keys)) + "}").encode()
    for _ in range(2):
        assert list(tier_native.loads(text).items()) == [
            (key, index) for index, key in enumerate(keys)
        ]
    # One at a time, each between keys that may have taken its slot.
    for one, other in zip(keys[::7], keys[3::7], strict=False):
        assert tier_native.loads(f'[{{"{one}":1}},{{"{other}":2}},{{"{one}":3}}]') == [
            {one: 1},
            {other: 2},
            {one: 3},
        ]
