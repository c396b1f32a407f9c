"""Writing dicts, keys and ints however the interpreter keeps them."""

from __future__ import annotations

import gc
import json as stdlib_json
import sys
from types import ModuleType
from typing import Any

import pytest

from aisys.json import JSONEncodeError, tier_native
from support.json_tiers import each_tier


class Instance:
    def __init__(self) -> None:
        self.first = 1
        self.second = [2]


def _plain(value: object) -> bytes:
    return stdlib_json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _with_other_key() -> dict[Any, Any]:
    members: dict[Any, Any] = {1: 0, "a": 1, "b": [2], "c": None}
    del members[1]
    return members


def _thinned() -> dict[str, int]:
    members = {f"key{number}": number for number in range(300)}
    for number in range(0, 300, 3):
        del members[f"key{number}"]
    return members


DICTS: dict[str, dict[Any, Any]] = {
    "of an instance": vars(Instance()),
    "that had a key of another type": _with_other_key(),
    "with members taken out": _thinned(),
    "large": {f"key {number}": number for number in range(70_000)},
    "emptied": {},
    "nested": {"a": {"b": {"c": [{"d": {}}, {}, []]}}},
}
DICTS["emptied"]["a"] = 1
DICTS["emptied"].clear()


@each_tier
@pytest.mark.parametrize("name", DICTS)
def test_a_dict_is_written_in_its_order(tier: ModuleType, name: str) -> None:
    """Whatever its history and the kind of its table."""
    assert tier.dumps(DICTS[name]) == _plain(DICTS[name])


@each_tier
@pytest.mark.parametrize("length", [0, 1, 28, 29, 30, 31, 44, 45, 46, 47, 100])
@pytest.mark.parametrize("special", ["", '"', "\n", "\x01", "é", "語"])
def test_a_key_is_the_same_the_second_time(tier: ModuleType, length: int, special: str) -> None:
    """Interned or not, of every length: kept keys are written as new ones."""
    key = "k" * length + special
    interned = sys.intern("i" + key)
    value = {interned: 1, f"p{key}": [2], "z": {interned: 3}}

    for _ in range(3):
        assert tier.dumps(value) == _plain(value)


def test_more_keys_than_are_kept() -> None:
    """Keys that take each other's place are still right, round after round."""
    values = [
        {sys.intern(f"key number {key}"): key for key in range(start, start + 500)}
        for start in range(0, 5000, 500)
    ]

    for _ in range(3):
        for value in values:
            assert tier_native.dumps(value) == _plain(value)


def test_a_kept_key_survives_its_dict() -> None:
    """A key that nobody else holds is not mistaken for a new one in its place."""
    for number in range(3000):
        value = {sys.intern(f"only here {number}"): number}
        assert tier_native.dumps(value) == _plain(value)
        del value
    gc.collect()


@each_tier
@pytest.mark.parametrize("bits", range(65))
def test_ints_around_every_power_of_two(tier: ModuleType, bits: int) -> None:
    """Those of 64 bits have their digits, larger ones are refused."""
    for value in (2**bits - 1, 2**bits, 2**bits + 1, -(2**bits) + 1, -(2**bits), -(2**bits) - 1):
        if -(2**63) <= value < 2**64:
            assert tier.dumps([value]) == b"[%d]" % value
        else:
            with pytest.raises(JSONEncodeError, match="64 bits"):
                tier.dumps([value])


@each_tier
@pytest.mark.parametrize("filler", ["x", "é", "語", "😀", "\n"])
def test_long_strings_at_every_border(tier: ModuleType, filler: str) -> None:
    """A string is written in stretches; none is lost or doubled where they meet."""
    for length in (4095, 4096, 4097, 8192, 12_345):
        text = filler * (length - 1) + '"'
        assert tier.dumps([text, 1]) == _plain([text, 1])


@each_tier
def test_a_lone_surrogate_far_inside_is_placed(tier: ModuleType) -> None:
    """Its index counts from the start of the string."""
    with pytest.raises(JSONEncodeError, match="index 5000"):
        tier.dumps("語" * 5000 + "\udc00")


@each_tier
def test_arguments_are_those_of_a_function(tier: ModuleType) -> None:
    """The value by place or by name, the options by name only."""
    assert tier.dumps(value=[1]) == b"[1]"
    assert tier.dumps([{1}], default=list, sort_keys=True) == b"[[1]]"
    assert tier.dumps_str([1], default=None) == "[1]"
    assert tier.canonical(value=[1]) == b"[1]"
    for wrong in (
        lambda: tier.dumps(),
        lambda: tier.dumps([1], list),
        lambda: tier.dumps([1], value=[1]),
        lambda: tier.dumps([1], indent=2),
        lambda: tier.canonical([1], [2]),
    ):
        with pytest.raises(TypeError):
            wrong()


@each_tier
def test_a_dict_may_change_while_its_members_are_converted(tier: ModuleType) -> None:
    """A default that adds, removes or replaces members ends in a text or an error, never in harm."""

    def changes(members: dict[str, Any], number: int) -> None:
        if number % 3 == 0:
            members[f"new{number}"] = {number}
        elif number % 3 == 1:
            members.pop(next(iter(members)))
        else:
            members.clear()
            members.update({f"other{key}": {key} for key in range(number)})

    for number in range(30):
        members: dict[str, Any] = {f"k{key}": {key} for key in range(9)}

        def default(value: Any, members: dict[str, Any] = members, number: int = number) -> Any:
            changes(members, number)
            return sorted(value)

        try:
            assert isinstance(tier.loads(tier.dumps([members, "end"], default=default)), list)
        except (JSONEncodeError, RuntimeError):
            continue
