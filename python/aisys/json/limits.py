"""Limits that every tier keeps."""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 512
"""Arrays and objects inside each other, in text read and in values written."""

MAX_CONVERSIONS: Final = 254
"""Times that `default` (or a conversion) may be applied to its own result for one value written."""

MAX_INT_DIGITS: Final = 4300
"""Digits of an integer in text read, as in `json` and `int`."""

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1
"""Integers written: those that 64 bits hold, signed or unsigned."""

MAX_EXACT_INT: Final = 2**53 - 1
"""Integers that every double-based reader keeps exactly (RFC 7493)."""

MAX_CANONICAL_INT: Final = 10**21
"""From here ECMAScript writes numbers with exponents, so integers have no canonical text (RFC 8785)."""
