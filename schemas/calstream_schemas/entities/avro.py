"""Entities as records of the `entities` topic: bytes, headers, and back."""

from collections.abc import Callable
from typing import Any

import orjson

from calstream_core.errors import CalstreamError, Code
from calstream_core.sealing import Sealer
from calstream_schemas import codec
from calstream_schemas.cells import from_avro, to_avro
from calstream_schemas.codec import Poison
from calstream_schemas.entities.fields import KINDS, Kind, kind_of
from calstream_schemas.entities.head import targets_of
from calstream_schemas.entities.model import (
    Cause,
    Copy,
    Decision,
    Entity,
    Merge,
    NaturalId,
    Register,
    Stamp,
)

_KIND_BY_RECORD = {kind.record: kind for kind in KINDS.values()}

Headers = list[tuple[str, bytes]]


def encode_entity(entity: Entity, sealer: Sealer) -> bytes:
    """An entity's value. The same entity gives the same bytes."""
    kind = kind_of(entity.kind)
    order = sorted(entity.copies)
    body: dict[str, Any] = {
        "id": entity.id,
        "workspace": entity.workspace,
        "version": entity.version,
        "objects": [str(id_) for id_ in order],
        "targets": list(targets_of(entity)),
        "match_keys": list(entity.match_keys),
        "merge": _merge_to_avro(entity.merge) if entity.merge else None,
        "apart": list(entity.apart),
        "created_at": entity.created_at,
        "cause": {
            "observation_id": entity.cause.observation_id,
            "received_at": entity.cause.received_at,
            "occurred_at": entity.cause.occurred_at,
        },
        "copies": [_copy_to_avro(kind, entity.copies[id_], sealer) for id_ in order],
        "decisions": [
            {"group": name, "copy": order.index(decision.id), "rule": decision.rule}
            for name, decision in sorted(entity.decisions.items())
        ],
        "references": [{"field": f, "id": id_} for f, id_ in sorted(entity.references.items())],
    }
    for name, field in kind.field_by_name.items():
        body[name] = to_avro(kind.name, field, entity.values.get(name), sealer)
    return codec.encode(kind.record, body)


def content_hash(entity: Entity, sealer: Sealer) -> bytes:
    """A keyed hash of the truth alone: equal when the folded values are equal."""
    folded = orjson.dumps([sorted(entity.values.items()), sorted(entity.references.items())])
    return sealer.keyed_hash("entity.content", folded)


def entity_headers(entity: Entity, sealer: Sealer) -> Headers:
    """Headers by which a reader can skip a record without decoding it."""
    return [
        ("kind", entity.kind.encode()),
        ("version", str(entity.version).encode()),
        ("content_hash", content_hash(entity, sealer).hex().encode()),
        ("ce_id", entity.cause.observation_id.encode()),
        ("ce_time", str(entity.cause.received_at).encode()),
    ]


def decode_entity(raw: bytes, sealer_of: Callable[[str], Sealer]) -> Entity | Poison:
    """Reads an entity's value; never raises for what is in it.

    Args:
        raw: the value.
        sealer_of: gives the sealer of a workspace.
    """
    decoded = codec.decode(raw)
    if isinstance(decoded, Poison):
        return decoded
    kind = _KIND_BY_RECORD.get(decoded.record)
    if kind is None:
        return Poison(raw, Code.RECORD_UNREADABLE, f"a {decoded.record} is no entity")
    try:
        return _entity(kind, decoded.body, sealer_of(decoded.body["workspace"]))
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except (KeyError, IndexError, ValueError) as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not a {decoded.record}: {error!r}")


def _copy_to_avro(kind: Kind, copy: Copy, sealer: Sealer) -> dict[str, Any]:
    return {
        **copy.id._asdict(),
        "role": copy.role,
        "gone": copy.gone,
        "clamped": [{"modified_at": m, "received_at": r} for m, r in copy.clamped],
        "registers": [
            {
                "group": name,
                "cells": [
                    {
                        "field": field,
                        "value": to_avro(kind.name, kind.field_by_name[field], value, sealer),
                    }
                    for field, value in sorted(register.values.items())
                ],
                "stamps": [stamp._asdict() for stamp in register.stamps],
                "differed": register.differed._asdict() if register.differed else None,
            }
            for name, register in sorted(copy.registers.items())
        ],
    }


def _entity(kind: Kind, body: dict[str, Any], sealer: Sealer) -> Entity:
    copies = [_copy_from_avro(kind, item, sealer) for item in body["copies"]]
    decisions = {
        item["group"]: Decision(copies[item["copy"]].id, item["rule"])
        for item in body["decisions"]
        if item["group"] in kind.group_by_name
    }
    spoken = [field.name for name in decisions for field in kind.group_by_name[name].fields]
    return Entity(
        workspace=body["workspace"],
        kind=kind.name,
        id=str(body["id"]),
        version=body["version"],
        created_at=body["created_at"],
        cause=Cause(**body["cause"]),
        copies={copy.id: copy for copy in copies},
        values={
            name: from_avro(kind.name, kind.field_by_name[name], body[name], sealer)
            for name in spoken
        },
        decisions=decisions,
        references={item["field"]: item["id"] for item in body["references"]},
        match_keys=tuple(body["match_keys"]),
        merge=_merge_from_avro(body["merge"]) if body["merge"] else None,
        apart=tuple(body["apart"]),
    )


def _merge_to_avro(merge: Merge) -> dict[str, Any]:
    return {
        "into": merge.into,
        "by": merge.by,
        "at": merge.at,
        "objects": [str(id_) for id_ in merge.objects],
        "shared": [str(id_) for id_ in merge.shared],
    }


def _merge_from_avro(body: dict[str, Any]) -> Merge:
    return Merge(
        into=body["into"],
        by=body["by"],
        at=body["at"],
        objects=tuple(NaturalId.parse(text) for text in body["objects"]),
        shared=tuple(NaturalId.parse(text) for text in body["shared"]),
    )


def _copy_from_avro(kind: Kind, item: dict[str, Any], sealer: Sealer) -> Copy:
    registers = {}
    for register in item["registers"]:
        values = {
            cell["field"]: from_avro(
                kind.name, kind.field_by_name[cell["field"]], cell["value"], sealer
            )
            for cell in register["cells"]
        }
        differed = register["differed"]
        registers[register["group"]] = Register(
            values=values,
            stamps=tuple(Stamp(**stamp) for stamp in register["stamps"]),
            differed=Stamp(**differed) if differed else None,
        )
    return Copy(
        id=NaturalId(item["system"], item["object_type"], item["object_id"]),
        role=item["role"],
        registers=registers,
        gone=item["gone"],
        clamped=tuple((each["modified_at"], each["received_at"]) for each in item["clamped"]),
    )
