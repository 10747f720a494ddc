"""Writes the entities' schemas from the catalogue of fields: `make schemas`.

The files are the contract and are committed; a test says when they and the catalogue differ. Once a
version is released it is never changed: a change makes the next version.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from calstream_schemas.entities.due import due_fields
from calstream_schemas.entities.fields import KINDS, Field, FieldType, Kind
from calstream_schemas.entities.slot import slot_fields

NAMESPACE = "calstream"
VERSION = 1

_SEALED = {
    "type": "record",
    "name": "Sealed",
    "doc": "A personal value: AES-SIV under a key named by its id, bound to workspace and field.",
    "fields": [{"name": "key_id", "type": "string"}, {"name": "box", "type": "bytes"}],
}
_MICROSECONDS = {"type": "long", "logicalType": "timestamp-micros"}
_AVRO: dict[FieldType, Any] = {
    FieldType.TEXT: "string",
    FieldType.WHOLE: "long",
    FieldType.INSTANT: _MICROSECONDS,
    FieldType.FLAG: "boolean",
    FieldType.TEXTS: {"type": "array", "items": "string"},
}


def _truth(field: Field) -> dict[str, Any]:
    kind = "Sealed" if field.sealed else _AVRO[field.type]
    return {"name": field.name, "doc": field.doc, "type": ["null", kind], "default": None}


def _stamp() -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Stamp",
        "doc": "When a system said something; source_version is -1 where it numbers nothing.",
        "fields": [
            {"name": "source_version", "type": "long"},
            {"name": "modified_at", "type": _MICROSECONDS},
            {"name": "by_self", "type": "boolean"},
        ],
    }


def _clamped() -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Clamped",
        "doc": "A time of change that lay in the future, and when we first heard of it.",
        "fields": [
            {"name": "modified_at", "type": _MICROSECONDS},
            {"name": "received_at", "type": _MICROSECONDS},
        ],
    }


def _enum(name: str, symbols: list[str], doc: str) -> dict[str, Any]:
    # the default makes a symbol that an older reader lacks readable for it
    return {
        "type": "enum",
        "name": name,
        "doc": doc,
        "symbols": ["unknown", *symbols],
        "default": "unknown",
    }


def _register(kind: Kind) -> dict[str, Any]:
    fields = sorted(kind.field_by_name)
    cell = {
        "type": "record",
        "name": f"{kind.record}Cell",
        "doc": "One field of a group as the system has it; an absent field has no cell.",
        "fields": [
            {"name": "field", "type": _enum(f"{kind.record}Field", fields, "The field.")},
            {
                "name": "value",
                "type": [
                    "null",
                    "boolean",
                    "long",
                    "string",
                    "Sealed",
                    {"type": "array", "items": "string"},
                ],
            },
        ],
    }
    groups = [group.name for group in kind.groups]
    return {
        "type": "record",
        "name": f"{kind.record}Register",
        "doc": "What the system last said of one group, and when.",
        "fields": [
            {"name": "group", "type": _enum(f"{kind.record}Group", groups, "The group.")},
            {"name": "cells", "type": {"type": "array", "items": cell}},
            {"name": "stamps", "type": {"type": "array", "items": _stamp()}},
            {"name": "differed", "type": ["null", "Stamp"], "default": None},
        ],
    }


def _identity() -> list[dict[str, Any]]:
    """What indexes are restored from; it stands in front, so that the rest need not be read."""
    texts = {"type": "array", "items": "string"}
    merge = {
        "type": "record",
        "name": "Merge",
        "doc": "Says that this entity is another one, whose copies its own are now.",
        "fields": [
            {"name": "into", "type": "string"},
            {"name": "by", "type": "string", "doc": "Who decided."},
            {"name": "at", "type": _MICROSECONDS},
            {"name": "objects", "type": texts, "doc": "The copies that it brought."},
            {"name": "shared", "type": texts, "doc": "Those of them that the other had too."},
        ],
    }
    return [
        {"name": "objects", "type": texts, "doc": "Natural ids of the copies.", "default": []},
        {
            "name": "targets",
            "type": texts,
            "doc": "What it refers to whose entity is learned, as kind/natural id.",
            "default": [],
        },
        {
            "name": "match_keys",
            "type": {"type": "array", "items": "bytes"},
            "doc": "What a contact is known by: a letter for the kind of key, and a keyed hash.",
            "default": [],
        },
        {"name": "merge", "type": ["null", merge], "default": None},
        *due_fields(_MICROSECONDS),
        {
            "name": "apart",
            "type": texts,
            "doc": "Ids of contacts of which somebody said that they are other people.",
            "default": [],
        },
    ]


def _copy(kind: Kind) -> dict[str, Any]:
    return {
        "type": "record",
        "name": f"{kind.record}Copy",
        "doc": "What one object of one system holds.",
        "fields": [
            {"name": "system", "type": "string"},
            {"name": "object_type", "type": "string"},
            {"name": "object_id", "type": "string"},
            {"name": "role", "type": "string"},
            {"name": "gone_at", "type": ["null", _MICROSECONDS], "default": None},
            {"name": "clamped", "type": {"type": "array", "items": _clamped()}, "default": []},
            {"name": "registers", "type": {"type": "array", "items": _register(kind)}},
        ],
    }


def _erasure() -> list[dict[str, Any]]:
    return [
        {
            "name": "erasing_since",
            "type": ["null", _MICROSECONDS],
            "doc": "When it was asked to erase what is personal here; until it is done.",
            "default": None,
        },
        {
            "name": "erased_at",
            "type": ["null", _MICROSECONDS],
            "doc": "When what was personal here was last erased.",
            "default": None,
        },
    ]


def entity_schema(kind: Kind) -> dict[str, Any]:
    """The Avro schema of a kind: what it is, what systems say of it, and the truth."""
    cause = {
        "type": "record",
        "name": "Cause",
        "doc": "The observation that made this version.",
        "fields": [
            {"name": "observation_id", "type": "string"},
            {"name": "received_at", "type": _MICROSECONDS},
            {"name": "occurred_at", "type": _MICROSECONDS},
        ],
    }
    decision = {
        "type": "record",
        "name": f"{kind.record}Decision",
        "doc": "Whose copy (by position) decided a group, and by which rule.",
        "fields": [
            {"name": "group", "type": f"{kind.record}Group"},
            {"name": "copy", "type": "int"},
            {"name": "rule", "type": "string"},
        ],
    }
    reference = {
        "type": "record",
        "name": "Reference",
        "doc": "A reference field and the id of the entity that it points to.",
        "fields": [{"name": "field", "type": "string"}, {"name": "id", "type": "string"}],
    }
    # Sealed is declared where it is used first; a kind without sealed fields uses it in the cells
    fields: list[dict[str, Any]] = [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "workspace", "type": "string"},
        {"name": "version", "type": "long"},
        *_identity(),
        *slot_fields(kind.name),
        {"name": "created_at", "type": _MICROSECONDS},
        {"name": "cause", "type": cause},
        *_erasure(),
        {"name": "references", "type": {"type": "array", "items": reference}},
        # what follows is what `entities.cells` encodes
        {"name": "copies", "type": {"type": "array", "items": _copy(kind)}},
        {"name": "decisions", "type": {"type": "array", "items": decision}},
        *(_truth(field) for field in kind.field_by_name.values()),
    ]
    schema = {
        "type": "record",
        "name": kind.record,
        "namespace": NAMESPACE,
        "doc": f"One version of one {kind.name}. Generated from the catalogue of fields.",
        "fields": fields,
    }
    return _declare_sealed_once(schema)


def _declare_sealed_once(schema: dict[str, Any]) -> dict[str, Any]:
    """Puts the declaration of `Sealed` where the name stands first, as Avro asks."""
    declared = False

    def visit(node: Any) -> Any:
        nonlocal declared
        if node == "Sealed" and not declared:
            declared = True
            return _SEALED
        if isinstance(node, dict):
            return {key: visit(value) if key != "doc" else value for key, value in node.items()}
        if isinstance(node, list):
            return [visit(item) for item in node]
        return node

    visited = visit(schema)
    assert isinstance(visited, dict)
    return visited


def render(kind: Kind) -> bytes:
    """The file's bytes for a kind."""
    return orjson.dumps(entity_schema(kind), option=orjson.OPT_INDENT_2) + b"\n"


def main() -> None:
    """Writes every kind's file into the package's `avro` folder."""
    folder = Path(__file__).parent / "avro"
    for kind in KINDS.values():
        file = folder / f"{kind.record}.v{VERSION}.avsc"
        file.write_bytes(render(kind))
        sys.stderr.write(f"wrote {file.name}\n")


if __name__ == "__main__":
    main()
