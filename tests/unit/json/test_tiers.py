"""Which tier is in use, how to force one, and what every tier has in common."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from types import ModuleType

import pytest

import aisys.json
from aisys.errors import AisysError, error_class
from aisys.json import JSONDecodeError, JSONEncodeError, JSONPointerError
from aisys.json.codec import open_tier
from support.json_tiers import TIERS, each_tier

REPORT = "from aisys import json; print(json.tier(), json.dumps([1]), json.loads.__module__)"


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _pickled(error: AisysError) -> AisysError:
    copy: AisysError = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of our own
    return copy


def test_the_extension_is_the_first_choice() -> None:
    """Without a word, the fastest tier that works."""
    assert _run(REPORT, AISYS_JSON="").stdout.startswith("native b'[1]'")


@pytest.mark.parametrize("name", ["native", "orjson", "stdlib"])
def test_a_tier_can_be_forced(name: str) -> None:
    """AISYS_JSON names it."""
    assert _run(REPORT, AISYS_JSON=name).stdout.startswith(f"{name} b'[1]'")


@pytest.mark.parametrize("name", ["native", "orjson", "stdlib"])
@pytest.mark.parametrize("first", ["", "import aisys.json; "])
def test_build_info_tells_the_tier(name: str, first: str) -> None:
    """Whether the codec was imported before or not."""
    code = first + "import aisys; print(aisys.build_info().json_tier)"

    assert _run(code, AISYS_JSON=name).stdout.strip() == name


def test_build_info_does_without_the_extension() -> None:
    """It says that the extension is absent, and which tier is used instead."""
    code = (
        "import sys; sys.modules['aisys._native'] = None; import aisys; from importlib.metadata import version; "
        "info = aisys.build_info(); print(info.profile, info.json_tier, info.version == version('aisys'))"
    )

    assert _run(code, AISYS_JSON="").stdout.strip() == "absent orjson True"


def test_a_tier_that_does_not_exist_is_an_error() -> None:
    """A typing mistake is not silently another tier."""
    result = _run(REPORT, AISYS_JSON="orjsn")

    assert result.returncode != 0
    assert "one of native, orjson, stdlib" in result.stderr


def test_without_the_extension_orjson_is_used_and_without_both_the_standard_library() -> None:
    """A missing tier is passed over, also an extension built without the codec."""
    hide = "import sys; sys.modules['aisys._native'] = None; "
    empty = "import sys, types; sys.modules['aisys._native'] = types.ModuleType('n'); "

    assert _run(hide + REPORT, AISYS_JSON="").stdout.startswith("orjson")
    assert _run(
        empty + "import aisys; aisys._native = sys.modules['aisys._native']; " + REPORT,
        AISYS_JSON="",
    ).stdout.startswith("orjson")
    assert _run(hide + "sys.modules['orjson'] = None; " + REPORT, AISYS_JSON="").stdout.startswith(
        "stdlib"
    )


def test_importing_the_face_stays_light() -> None:
    """Neither numpy nor pydantic is imported, nor needed to write."""
    code = "import sys; from aisys import json; json.dumps([1]); print({'numpy', 'pydantic'} & set(sys.modules))"

    assert _run(code).stdout.strip() == "set()"


@each_tier
def test_every_tier_has_the_same_functions(tier: ModuleType) -> None:
    """With the same parameters, as far as callers can tell."""
    for name in ("loads", "dumps", "dumps_str", "get", "get_many", "loads_array", "canonical"):
        reference = inspect.signature(getattr(TIERS[-1], name)).parameters
        parameters = inspect.signature(getattr(tier, name)).parameters
        keyword_only = [key for key, value in reference.items() if value.kind is value.KEYWORD_ONLY]
        assert [
            key for key, value in parameters.items() if value.kind is value.KEYWORD_ONLY
        ] == keyword_only
        assert len(parameters) == len(reference)


def test_open_tier_refuses_unknown_names() -> None:
    """Only the three tiers can be named."""
    with pytest.raises(ValueError, match="native, orjson, stdlib"):
        open_tier("simd")


def test_the_face_offers_what_it_lists() -> None:
    """Every public name is there."""
    for name in aisys.json.__all__:
        assert getattr(aisys.json, name) is not None


@pytest.mark.parametrize(
    ("error", "code", "builtin"),
    [
        (
            JSONDecodeError("bad: line 2", line=2, column=3, offset=9),
            "json_decode_error",
            ValueError,
        ),
        (JSONEncodeError("bad", pointer="/a"), "json_encode_error", TypeError),
        (JSONPointerError("none", pointer="/b"), "json_pointer_error", LookupError),
    ],
)
def test_errors_travel(error: AisysError, code: str, builtin: type[Exception]) -> None:
    """They have codes, survive pickling and the way to another process, and are what Python calls such errors."""
    assert isinstance(error, builtin)
    assert error_class(code) is type(error)
    for copy in (
        _pickled(error),
        type(error).from_wire(str(error), error.to_wire()),
    ):
        assert str(copy) == str(error)
        assert copy.to_wire() == error.to_wire()
