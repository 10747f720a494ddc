"""Sealed values: what opens them and what does not, and what stands where a key was destroyed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.errors import Code, ConfigError, SecurityError
from calstream_core.sealing import Box, Erased, KeyStore, Sealer, contact_key, day_key, object_key

ONE = contact_key("one")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


def sealed(sealer: Sealer, plain: bytes) -> Box:
    return sealer.under(ONE).seal("contact.email", plain)


@settings(deadline=None)
@given(plain=st.binary(max_size=300))
def test_what_was_sealed_opens_and_equal_values_have_equal_boxes(
    keys: KeyStore, plain: bytes
) -> None:
    sealer = keys.sealer("acme")
    box = sealed(sealer, plain)
    assert sealer.open("contact.email", box) == plain
    assert sealed(sealer, plain) == box
    assert len(plain) < 4 or plain not in box.data


@settings(deadline=None)
@given(data=st.data(), plain=st.binary(min_size=1, max_size=50))
def test_a_box_that_was_changed_does_not_open(
    keys: KeyStore, data: st.DataObject, plain: bytes
) -> None:
    box = sealed(keys.sealer("acme"), plain)
    changed = bytearray(box.data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecurityError) as caught:
        keys.sealer("acme").open("contact.email", Box(box.key_id, bytes(changed)))
    assert caught.value.code is Code.SEAL_BROKEN


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 15])
def test_a_box_that_is_too_short_does_not_open(keys: KeyStore, data: bytes) -> None:
    sealer = keys.sealer("acme")
    with pytest.raises(SecurityError):
        sealer.open("contact.email", Box(sealed(sealer, b"jo").key_id, data))


def test_a_box_opens_only_in_its_context_workspace_and_key(keys: KeyStore) -> None:
    acme = keys.sealer("acme")
    box = sealed(acme, b"jo@example.com")
    another = acme.under(contact_key("two")).seal("contact.email", b"jo@example.com")
    assert another.data != box.data
    for sealer, context, key_id in (
        ("acme", "contact.name", box.key_id),
        ("other", "contact.email", box.key_id),
        ("acme", "contact.email", another.key_id),
        ("acme", "contact.email", "never was"),
    ):
        with pytest.raises(SecurityError):
            keys.sealer(sealer).open(context, Box(key_id, box.data))


def test_scopes_do_not_share_keys(keys: KeyStore) -> None:
    sealer = keys.sealer("acme")
    names = [contact_key("1"), object_key("1"), object_key("crm", "contact", "1"), day_key(0)]
    assert len({sealer.under(name).seal("c", b"value").data for name in names}) == len(names)
    assert day_key(0).name == "1970-01-01"


def test_a_value_whose_key_is_destroyed_reads_as_erased_and_others_stay(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    sealer = store.sealer("acme")
    box, other = sealed(sealer, b"jo"), sealer.under(contact_key("two")).seal("c", b"value")
    assert store.destroy("acme", [ONE, contact_key("never was")]) == 1
    assert sealer.open("contact.email", box) == Erased(box)
    assert str(sealer.open("contact.email", box)) == "erased"
    assert sealer.open("c", other) == b"value"
    # for who starts afterwards too, and who comes again later gets another key
    assert KeyStore(tmp_path).sealer("acme").open("contact.email", box) == Erased(box)
    again = sealed(sealer, b"jo")
    assert again.key_id != box.key_id
    assert sealer.open("contact.email", again) == b"jo"
    assert store.destroy("acme", [ONE]) == 1


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
