"""The JSON tiers side by side: every test of the codec runs on each."""

from __future__ import annotations

from types import ModuleType

import pytest

from aisys.json import tier_native, tier_orjson, tier_stdlib

TIERS: list[ModuleType] = [tier_native, tier_orjson, tier_stdlib]

each_tier = pytest.mark.parametrize("tier", TIERS, ids=lambda module: module.NAME)
