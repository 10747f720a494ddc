"""Sealed values, and the keys they are sealed with."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.errors import Code, ConfigError, SecurityError
from calstream_core.sealing import Box, KeyStore


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


@given(plain=st.binary(max_size=300))
def test_what_was_sealed_opens_and_equal_values_have_equal_boxes(
    keys: KeyStore, plain: bytes
) -> None:
    sealer = keys.sealer("acme")
    box = sealer.seal("contact.email", plain)
    assert sealer.open("contact.email", box) == plain
    assert sealer.seal("contact.email", plain) == box
    assert len(plain) < 4 or plain not in box.data


@given(data=st.data(), plain=st.binary(min_size=1, max_size=50))
def test_a_box_that_was_changed_does_not_open(
    keys: KeyStore, data: st.DataObject, plain: bytes
) -> None:
    box = keys.sealer("acme").seal("contact.email", plain)
    changed = bytearray(box.data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecurityError) as caught:
        keys.sealer("acme").open("contact.email", Box(box.key_id, bytes(changed)))
    assert caught.value.code is Code.SEAL_BROKEN


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 15])
def test_a_box_that_is_too_short_does_not_open(keys: KeyStore, data: bytes) -> None:
    with pytest.raises(SecurityError):
        keys.sealer("acme").open("contact.email", Box("1", data))


def test_a_box_opens_only_in_its_context_workspace_and_key(keys: KeyStore) -> None:
    box = keys.sealer("acme").seal("contact.email", b"jo@example.com")
    for sealer, context, key_id in (
        ("acme", "contact.name", "1"),
        ("other", "contact.email", "1"),
        ("acme", "contact.email", "2"),
    ):
        with pytest.raises(SecurityError):
            keys.sealer(sealer).open(context, Box(key_id, box.data))


def test_the_key_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    box = KeyStore(tmp_path / "keys").sealer("acme").seal("c", b"value")
    assert KeyStore(tmp_path / "keys").sealer("acme").open("c", box) == b"value"
    file = tmp_path / "keys" / "acme.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["acme.json"]


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "acme.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"acme\.json"):
        KeyStore(tmp_path).sealer("acme")


def test_a_name_that_leads_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        KeyStore(tmp_path).sealer("../acme")


def test_keyed_hashes_differ_by_workspace_and_context(keys: KeyStore) -> None:
    one = keys.sealer("acme")
    hashes = {
        one.keyed_hash("email", b"jo@example.com"),
        one.keyed_hash("phone", b"jo@example.com"),
        keys.sealer("other").keyed_hash("email", b"jo@example.com"),
    }
    assert len(hashes) == 3
