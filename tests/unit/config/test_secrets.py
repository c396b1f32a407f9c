"""Secrets: where they are found, and that they do not get out."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from aisys.config import Secret, resolve_secret
from aisys.errors import ConfigError
from aisys.logs import redact


def test_a_secret_does_not_show() -> None:
    """No way of printing a value shows it; a reference shows its name."""
    secret = Secret("canary")
    for text in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>20}",
        "".join([str(secret)]),
    ):
        assert "canary" not in text
    assert repr([secret, {"k": secret}]).count("canary") == 0
    assert str(Secret("secret:NAME")) == "secret:NAME"
    assert Secret("secret:NAME").is_reference
    assert secret.get_secret_value() == "canary"


def test_a_secret_does_not_travel() -> None:
    """It cannot be pickled or written as JSON; a copy of what holds it holds the same."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))
    with pytest.raises(TypeError):
        json.dumps(Secret("canary"))
    secret = Secret("canary")
    assert copy.deepcopy({"key": secret})["key"] is secret
    assert copy.copy(secret) is secret


def test_secrets_compare() -> None:
    """Equal values are equal, hash alike, and never equal a text."""
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
    assert not Secret("")


def test_resolution_order(tmp_path: Path) -> None:
    """Variable, file that a variable names, systemd credential, file in the data folder."""
    for folder in ("data/secrets", "creds"):
        (tmp_path / folder).mkdir(parents=True)
    private = tmp_path / "data/secrets/KEY"
    private.write_text("from data\n")
    private.chmod(0o600)
    (tmp_path / "creds/KEY").write_text("from systemd\r\n")
    (tmp_path / "named").write_text("from file\n")
    environ: dict[str, str] = {}

    def found() -> str:
        return resolve_secret("secret:KEY", data_dir=tmp_path / "data", environ=environ)

    assert found() == "from data"
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "creds")
    assert found() == "from systemd"
    environ["KEY_FILE"] = str(tmp_path / "named")
    assert found() == "from file"
    environ["KEY"] = "from variable"
    assert found() == "from variable"
    assert resolve_secret("plain", environ=environ) == "plain"
    assert resolve_secret(Secret("plain"), environ=environ) == "plain"


def test_resolved_secrets_stay_out_of_the_logs() -> None:
    """From its resolution on a value is redacted wherever it turns up; a plain text is not."""
    resolve_secret("secret:KEY", environ={"KEY": "canary-from-environment"})
    resolve_secret(Secret("canary-from-setting"))
    resolve_secret("canary-that-is-none")
    text = "a canary-from-environment b canary-from-setting c canary-that-is-none"
    assert redact(text) == "a [redacted] b [redacted] c canary-that-is-none"


def test_what_is_nowhere_says_where_it_could_be(tmp_path: Path) -> None:
    """The error names the setting's place and every way to give the secret."""
    with pytest.raises(ConfigError) as caught:
        resolve_secret("secret:KEY", data_dir=tmp_path, environ={}, where="base.yaml:3:1")
    text = str(caught.value)
    assert text.startswith("base.yaml:3:1: secret:KEY: the secret is nowhere to be found.")
    assert "KEY_FILE" in text
    assert str(tmp_path / "secrets" / "KEY") in text


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "x" * 200, "1x", "a\n"])
def test_names_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    """A reference cannot climb out of the folder of secrets."""
    with pytest.raises(ConfigError, match="is not a secret's name"):
        resolve_secret(f"secret:{name}", data_dir=tmp_path, environ={})


def test_a_readable_file_is_refused(tmp_path: Path) -> None:
    """A secret in the data folder that others can read is not used."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/KEY").write_text("canary")
    (tmp_path / "secrets/KEY").chmod(0o644)
    with pytest.raises(ConfigError, match="Run: chmod 600") as caught:
        resolve_secret("secret:KEY", data_dir=tmp_path, environ={})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_files_that_hold_no_secret_are_refused(tmp_path: Path, content: bytes) -> None:
    """Binary and endless files are problems."""
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ConfigError):
        resolve_secret("secret:KEY", environ={"KEY_FILE": str(tmp_path / "f")})
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve_secret("secret:KEY", environ={"KEY_FILE": str(tmp_path)})
