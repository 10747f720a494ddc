"""Framing, poison values and schemas."""

from importlib import resources

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import example, given
from hypothesis import strategies as st

from calstream_core.errors import Code, InvariantError
from calstream_schemas import codec
from calstream_schemas.codec import Decoded, Poison
from calstream_schemas.entities.fields import KINDS, Kind
from calstream_schemas.ledger import (
    LedgerEntry,
    LedgerState,
    decode_ledger_entry,
    encode_ledger_entry,
)
from calstream_schemas.render import VERSION, render

ENTRY = LedgerEntry(LedgerState.DONE, 3, "op", 5, external_id="17", projection_hash="ab")


def test_the_fingerprint_is_the_one_of_the_avro_specification() -> None:
    # "int" in the specification's test vectors: 7275d51a3f395c8f, here in the order of the wire
    crc = fingerprint(to_parsing_canonical_form("int"), "CRC-64-AVRO")
    assert bytes.fromhex(crc)[::-1].hex() == "7275d51a3f395c8f"


def test_a_value_starts_with_the_marker_and_the_fingerprint() -> None:
    raw = encode_ledger_entry(ENTRY)
    assert raw[:2] == b"\xc3\x01"
    assert raw[:10] == codec.newest("LedgerEntry").header


def test_what_was_encoded_is_decoded() -> None:
    assert decode_ledger_entry(encode_ledger_entry(ENTRY)) == ENTRY


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xc3\x01")
def test_bytes_that_are_no_record_are_poison_and_never_an_exception(raw: bytes) -> None:
    result = codec.decode(raw)
    assert isinstance(result, Poison)
    assert result.raw == raw
    assert result.code is Code.RECORD_UNREADABLE


@given(st.data())
def test_a_record_that_was_cut_or_changed_is_poison_or_another_record(data: st.DataObject) -> None:
    raw = bytearray(encode_ledger_entry(ENTRY))
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert isinstance(codec.decode(bytes(raw[:cut])), Poison)
    raw[data.draw(st.integers(10, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert isinstance(codec.decode(bytes(raw)), Poison | Decoded)


def test_left_over_bytes_are_poison() -> None:
    assert isinstance(codec.decode(encode_ledger_entry(ENTRY) + b"x"), Poison)


def test_another_record_than_expected_is_poison() -> None:
    result = codec.decode(encode_ledger_entry(ENTRY), "Observation")
    assert isinstance(result, Poison)
    assert "LedgerEntry" in result.reason


def test_a_poison_value_does_not_show_its_bytes() -> None:
    assert "secret" not in repr(codec.decode(b"secret"))


def test_an_unknown_record_is_a_bug() -> None:
    with pytest.raises(InvariantError):
        codec.newest("Nothing")


def test_every_schema_has_a_header_of_its_own() -> None:
    headers = [schema.header for schema in codec.all_schemas()]
    assert len(set(headers)) == len(headers)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_committed_schema_is_the_one_of_the_catalogue(kind: Kind) -> None:
    newest = codec.newest(kind.record)
    assert newest.version == VERSION
    file = resources.files("calstream_schemas") / "avro" / f"{kind.record}.v{VERSION}.avsc"
    assert file.read_bytes() == render(kind), "run `make schemas`"
