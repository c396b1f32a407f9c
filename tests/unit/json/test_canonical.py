"""RFC 8785: one text for one value."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import pytest

from aisys.json import JSONEncodeError, Raw
from support.json_tiers import each_tier

# RFC 8785, appendix B: the bits of a double and its text.
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@each_tier
@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_of_the_rfc(tier: ModuleType, bits: str, text: str) -> None:
    """RFC 8785, appendix B."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))

    assert tier.canonical(value) == text.encode()
    assert tier.canonical(-value) == (
        b"0" if value == 0 else text[1:].encode() if value < 0 else b"-" + text.encode()
    )


@each_tier
def test_the_example_of_the_rfc(tier: ModuleType) -> None:
    """RFC 8785, section 3.2.2."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\nA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )

    assert tier.canonical(value) == expected.encode()


@each_tier
def test_keys_are_sorted_by_utf16_units(tier: ModuleType) -> None:
    """RFC 8785, section 3.2.3: an emoji comes before U+FB33."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]

    text = tier.canonical(dict.fromkeys(keys, 0))

    assert list(tier.loads(text)) == expected


@each_tier
@pytest.mark.parametrize(
    "value", [2**53 - 1, -(2**53) + 1, 2**53, 10**17, 10**20, 9223372036854776000, -(10**20)]
)
def test_integers_that_a_double_keeps(tier: ModuleType, value: int) -> None:
    """Their digits are the text, also of those that reading canonical text of large doubles gives."""
    assert tier.canonical(value) == str(value).encode()
    assert tier.loads(tier.canonical(float(value))) == value


@each_tier
@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**53) - 1, 2**63, 2**64 - 1, 10**21, -(10**21), 10**400]
)
def test_integers_that_a_double_would_change_are_refused(tier: ModuleType, value: int) -> None:
    """No digit is lost silently."""
    with pytest.raises(JSONEncodeError, match="canonical form") as caught:
        tier.canonical({"n": [value]})

    assert caught.value.pointer == "/n/0"


@each_tier
@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {1}, "\ud800", Raw(b"1")])
def test_what_has_no_canonical_text(tier: ModuleType, value: Any) -> None:
    """Raw text is refused too: it could be spelt otherwise."""
    with pytest.raises(JSONEncodeError):
        tier.canonical(value)
