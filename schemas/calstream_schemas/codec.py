"""The one place that knows how a record is framed: Avro single-object encoding.

A value is `C3 01`, the CRC-64-AVRO fingerprint of the writer's schema (8 bytes, little endian) and
the Avro body (Avro 1.12, "Single-object encoding"). No registry is needed; every schema ever
released is in this package, so old records stay readable.
"""

import io
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import fastavro
import orjson
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from calstream_core.errors import Code, InvariantError

MARKER = b"\xc3\x01"
_HEADER_BYTES = 10
_FILE = re.compile(r"^(?P<record>[A-Za-z]+)\.v(?P<version>\d+)\.avsc$")


@dataclass(frozen=True, slots=True)
class Schema:
    """One released version of one record.

    Attributes:
        source: the schema as it stands in its file.
        parsed: the same for encoding, without logical types: times stay integers.
    """

    record: str
    version: int
    source: Any
    parsed: Any
    header: bytes

    @property
    def without_logical_types(self) -> Any:
        """The source for encoding, not parsed yet."""
        return _without_logical_types(self.source)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record that could be read, in the newest version of its schema."""

    record: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes that can't be read. They go to the dead letters as they are."""

    raw: bytes = field(repr=False)  # may hold personal data
    code: Code
    reason: str


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_logical_types(v) for k, v in schema.items() if k != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


@cache
def all_schemas() -> tuple[Schema, ...]:
    """Every schema in the package, by record and version."""
    found = []
    for file in resources.files("calstream_schemas").joinpath("avro").iterdir():
        match = _FILE.match(file.name)
        if match is None:
            continue
        source = orjson.loads(file.read_bytes())
        crc = fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO")
        # fastavro gives the fingerprint's bytes in the order of the wire (little endian)
        header = MARKER + bytes.fromhex(crc)
        parsed = parse_schema(_without_logical_types(source))
        found.append(Schema(match["record"], int(match["version"]), source, parsed, header))
    return tuple(sorted(found, key=lambda s: (s.record, s.version)))


@cache
def newest(record: str) -> Schema:
    """The newest version of a record's schema.

    Raises:
        InvariantError: the package has no such record.
    """
    versions = [schema for schema in all_schemas() if schema.record == record]
    if not versions:
        raise InvariantError(Code.INVARIANT_BROKEN, f"There is no schema for {record}.")
    return versions[-1]


@cache
def _by_header() -> dict[bytes, Schema]:
    return {schema.header: schema for schema in all_schemas()}


def schema_of(raw: bytes) -> Schema | None:
    """The schema with which a value was written, or None where no schema of ours was."""
    return _by_header().get(raw[:_HEADER_BYTES])


def encode(record: str, body: dict[str, Any]) -> bytes:
    """Encodes a record with the newest version of its schema."""
    schema = newest(record)
    out = io.BytesIO()
    out.write(schema.header)
    fastavro.schemaless_writer(out, schema.parsed, body)
    return out.getvalue()


def encode_with(record: str, first: str, body: dict[str, Any], rest: bytes) -> bytes:
    """Encodes a record whose last fields are encoded already.

    Args:
        record: the record.
        first: the first of the fields that are encoded.
        body: the fields before it.
        rest: the others, one after the other as Avro writes them.
    """
    out = io.BytesIO()
    out.write(newest(record).header)
    fastavro.schemaless_writer(out, _before(record, first), body)
    out.write(rest)
    return out.getvalue()


@cache
def _before(record: str, first: str) -> Any:
    """A record's fields before one of them, as a schema of its own."""
    fields = newest(record).without_logical_types["fields"]
    place = next(n for n, field in enumerate(fields) if field["name"] == first)
    return parse_schema(
        {"type": "record", "name": f"calstream.{record}Front", "fields": fields[:place]}
    )


def decode(raw: bytes, expected: str | None = None) -> Decoded | Poison:
    """Decodes a value; never raises for what is in it.

    Args:
        raw: the value as it stands in Kafka.
        expected: the record it must be; None takes any.
    """
    schema = schema_of(raw)
    if schema is None:
        return Poison(raw, Code.RECORD_UNREADABLE, "no known schema has this header")
    if expected is not None and schema.record != expected:
        return Poison(raw, Code.RECORD_UNREADABLE, f"a {schema.record}, not a {expected}")
    target = newest(schema.record)
    reader_schema = None if target is schema else target.parsed
    stream = io.BytesIO(raw)
    stream.seek(_HEADER_BYTES)
    try:
        body = fastavro.schemaless_reader(stream, schema.parsed, reader_schema)
    except Exception as error:  # noqa: BLE001 - fastavro raises many kinds for broken bytes
        return Poison(raw, Code.RECORD_UNREADABLE, f"not readable as {schema.record}: {error!r}")
    if stream.tell() != len(raw):
        return Poison(raw, Code.RECORD_UNREADABLE, "bytes are left over")
    assert isinstance(body, dict)
    return Decoded(schema.record, body)
