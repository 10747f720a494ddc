"""Schemas stay readable for ever, judged by Apache Avro's own checker."""

import itertools
from copy import deepcopy
from typing import Any

import avro.compatibility
import avro.schema
import orjson
import pytest

from calstream_schemas.codec import Schema, all_schemas
from calstream_schemas.entities.fields import KINDS, FieldType
from calstream_schemas.render import entity_schema

# entities and ledgers are read by everybody at any time: old readers read new records too
_FULL = {*(kind.record for kind in KINDS.values()), "LedgerEntry"}


def _reads(reader: Any, writer: Any) -> bool:
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # has no types
    result = checker.get_compatibility(
        avro.schema.parse(orjson.dumps(reader).decode()),
        avro.schema.parse(orjson.dumps(writer).decode()),
    )
    return result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible


def _pairs() -> list[tuple[Schema, Schema]]:
    return [
        (one, other)
        for one, other in itertools.product(all_schemas(), repeat=2)
        if one.record == other.record and (one.version >= other.version or one.record in _FULL)
    ]


@pytest.mark.parametrize(("reader", "writer"), _pairs(), ids=lambda s: f"{s.record}.v{s.version}")
def test_a_version_reads_what_it_must(reader: Schema, writer: Schema) -> None:
    assert _reads(reader.source, writer.source)


def test_the_checker_finds_a_change_that_breaks_readers() -> None:
    contact = entity_schema(KINDS["contact"])
    broken = deepcopy(contact)
    field = next(f for f in broken["fields"] if f["name"] == "company")
    field["type"] = "long"
    del field["default"]
    assert not _reads(broken, contact)


def test_adding_a_field_to_the_catalogue_breaks_no_reader() -> None:
    contact = KINDS["contact"]
    group = contact.groups[0]
    grown = type(contact)(
        contact.name,
        contact.record,
        (
            type(group)(
                group.name,
                (*group.fields, type(group.fields[0])("backup_email", FieldType.TEXT, "Another.")),
            ),
            *contact.groups[1:],
            type(group)("nickname", (type(group.fields[0])("nickname", FieldType.TEXT, "Short."),)),
        ),
    )
    old, new = entity_schema(contact), entity_schema(grown)
    assert _reads(new, old)
    assert _reads(old, new)
