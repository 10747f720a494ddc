"""The files of the key store: what wraps its keys, and the keys that earlier versions kept."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from calstream_core.errors import Code, ConfigError
from calstream_core.sealing import Box, KeyStore, contact_key
from calstream_core.sealing.key_cache import KeyCache


def an_old_file(directory: Path, seal: bytes, hash_: bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    keys = {"seal": seal, "hash": hash_}
    file = directory / "acme.json"
    file.write_text(json.dumps({n: base64.b64encode(key).decode() for n, key in keys.items()}))
    return file


def test_the_key_that_wraps_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    KeyStore(tmp_path / "keys").sealer("acme")
    file = tmp_path / "keys" / "encryption.keys"
    before = file.read_bytes()
    KeyStore(tmp_path / "keys").sealer("other")
    assert file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list((tmp_path / "keys").glob("*.draft"))


def test_keys_of_an_earlier_version_are_taken_in_once_and_open_what_they_sealed(
    tmp_path: Path,
) -> None:
    seal, hash_ = os.urandom(64), os.urandom(32)
    file = an_old_file(tmp_path, seal, hash_)
    old = Box("1", AESSIV(seal).encrypt(b"\x01jo", [b"acme", b"contact.email"]))
    store = KeyStore(tmp_path)
    sealer = store.sealer("acme")
    assert sealer.open("contact.email", old) == b"jo"
    assert not file.exists()
    assert sealer.under(contact_key("one")).seal("contact.email", b"jo").key_id != "1"
    again = KeyStore(tmp_path).sealer("acme")
    assert again.open("contact.email", old) == b"jo"
    assert again.keyed_hash("c", b"v") == sealer.keyed_hash("c", b"v")


def test_a_broken_key_file_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "acme.json"
    file.write_text("{}")
    with pytest.raises(ConfigError, match=r"acme\.json"):
        KeyStore(tmp_path).sealer("acme")
    assert file.exists()


def test_a_key_file_that_differs_from_the_key_store_is_not_taken_in(tmp_path: Path) -> None:
    KeyStore(tmp_path).sealer("acme")
    file = an_old_file(tmp_path, os.urandom(64), os.urandom(32))
    with pytest.raises(ConfigError, match="different keys"):
        KeyStore(tmp_path).sealer("acme")
    assert file.exists()


@pytest.mark.parametrize("text", ["nonsense!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "encryption.keys").write_text(text)
    with pytest.raises(ConfigError) as caught:
        KeyStore(tmp_path).sealer("acme")
    assert caught.value.code is Code.SECRET_MISSING


def test_the_cache_gives_up_the_oldest_and_remembers_what_was_destroyed() -> None:
    cache = KeyCache(limit=2, ciphers=1)
    names = [contact_key(str(number)) for number in range(3)]
    for number, name in enumerate(names):
        cache.put(str(number), name, os.urandom(64))
    assert ["0" in cache, "1" in cache, "2" in cache] == [False, True, True]
    assert cache.named(names[0]) is None
    one, two = cache.named(names[1]), cache.named(names[2])
    assert one is not None
    assert two is not None
    assert cache.cipher("2") is two.cipher
    assert cache.cipher("1") is not one.cipher  # made anew: there is room for one
    cache.forget("2")
    cache.forget("never was")
    assert "2" in cache
    assert cache.cipher("2") is None
    assert cache.named(names[2]) is None
