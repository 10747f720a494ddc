"""The addresses that the settings give, and what is refused at the start."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from calstream_core.errors import Code, ConfigError
from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_ingest.addresses import Address, load_addresses


def load(tmp_path: Path, secrets: dict[str, object]) -> Mapping[str, Address]:
    settings = Settings.model_validate({"workspaces": {"acme": {"secrets": secrets}}})
    return load_addresses(settings, KeyStore(tmp_path / "keys"))


def secret_file(tmp_path: Path, name: str, value: str) -> dict[str, str]:
    path = tmp_path / name
    path.write_text(value, "utf-8")
    return {"file": str(path)}


def test_a_source_with_secrets_has_an_address(tmp_path: Path) -> None:
    old = {**secret_file(tmp_path, "old", "s1\n"), "label": "old"}
    new = {**secret_file(tmp_path, "new", "s2\n"), "label": "new"}
    addresses = load(tmp_path, {"calendar_live": [old, new]})
    address = addresses["/v1/webhooks/acme/calendar_live"]
    assert list(addresses) == [address.path]
    assert [(secret.label, secret.value) for secret in address.secrets] == [
        ("old", b"s1"),
        ("new", b"s2"),
    ]
    assert address.workspace == "acme"
    assert address.partition == partition_of("acme", 6)


def test_a_source_without_secrets_has_none(tmp_path: Path) -> None:
    assert load(tmp_path, {"calendar_live": []}) == {}
    assert load(tmp_path, {}) == {}


def test_every_workspace_gets_its_key_at_the_start(tmp_path: Path) -> None:
    load(tmp_path, {})
    assert KeyStore(tmp_path / "keys", may_create=False).sealer("acme").keyed_hash("c", b"value")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="calendar_live for workspace acme") as caught:
        load(tmp_path, {"calendar_live": [{"file": str(tmp_path / "none")}]})
    assert caught.value.code is Code.SECRET_MISSING


def test_an_unknown_source_is_named_with_the_closest(tmp_path: Path) -> None:
    reference = secret_file(tmp_path, "one", "s1")
    with pytest.raises(ConfigError, match="did you mean calendar_live"):
        load(tmp_path, {"calender_live": [reference]})


def test_two_secrets_can_not_share_a_label(tmp_path: Path) -> None:
    reference = secret_file(tmp_path, "one", "s1")
    with pytest.raises(ConfigError, match="same label"):
        load(tmp_path, {"calendar_live": [reference, reference]})
