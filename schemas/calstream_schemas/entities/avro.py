"""Entities as records of the `entities` topic: bytes, headers, and back."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.sealing import Erased, KeyName, Sealer, contact_key, object_key
from calstream_schemas import codec
from calstream_schemas.cells import read_values
from calstream_schemas.codec import Decoded, Poison
from calstream_schemas.entities.cells import ENCODED_FROM, encode_cells
from calstream_schemas.entities.due import expires_at
from calstream_schemas.entities.fields import CONTACT, KINDS, Kind, kind_of
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
from calstream_schemas.entities.slot import slot_to_avro
from calstream_schemas.key_loading import load_keys

_KIND_BY_RECORD = {kind.record: kind for kind in KINDS.values()}

Headers = list[tuple[str, bytes]]


def key_of(entity: Entity) -> KeyName:
    """What an entity is sealed with: the key of the person whose it is, else one of its own.

    An entity that refers to a person is that person's, once we know who it is.
    """
    if entity.kind == CONTACT.name:
        return contact_key(entity.id)
    for _group, field in kind_of(entity.kind).references:
        person = entity.references.get(field.name)
        if field.reference == CONTACT.name and person is not None:
            return contact_key(person)
    return object_key(entity.kind, entity.id)


def encode_entity(entity: Entity, sealer: Sealer) -> bytes:
    """An entity's value. The same entity gives the same bytes while the key is the same."""
    return codec.encode_with(
        kind_of(entity.kind).record,
        ENCODED_FROM,
        {
            "id": entity.id,
            "workspace": entity.workspace,
            "version": entity.version,
            "objects": [str(id_) for id_ in sorted(entity.copies)],
            "targets": targets_of(entity),
            "match_keys": entity.match_keys,
            "merge": _merge_to_avro(entity.merge) if entity.merge else None,
            "expires_at": expires_at(entity),
            "deleted_at": entity.deleted_at,
            "apart": entity.apart,
            **slot_to_avro(entity),
            "created_at": entity.created_at,
            "cause": {
                "observation_id": entity.cause.observation_id,
                "received_at": entity.cause.received_at,
                "occurred_at": entity.cause.occurred_at,
            },
            "erasing_since": entity.erasing_since,
            "erased_at": entity.erased_at,
            "references": [{"field": f, "id": id_} for f, id_ in sorted(entity.references.items())],
        },
        encode_cells(entity, sealer.under(key_of(entity))),
    )


def content_hash(entity: Entity, sealer: Sealer) -> bytes:
    """A keyed hash of the truth alone: equal when the folded values are equal."""
    folded = orjson.dumps(
        [sorted(entity.values.items()), sorted(entity.references.items())],
        default=_erased,
        option=orjson.OPT_PASSTHROUGH_DATACLASS,
    )
    return sealer.keyed_hash("entity.content", folded)


def email_hash(email: str, sealer: Sealer) -> str:
    """By what a contact is found by its address without opening anything."""
    return sealer.keyed_hash("contact.email", email.encode()).hex()


def entity_headers(entity: Entity, sealer: Sealer) -> Headers:
    """Headers by which a reader can skip a record without decoding it."""
    headers = [
        ("kind", entity.kind.encode()),
        ("version", str(entity.version).encode()),
        ("content_hash", content_hash(entity, sealer).hex().encode()),
        ("ce_id", entity.cause.observation_id.encode()),
        ("ce_time", str(entity.cause.received_at).encode()),
    ]
    email = entity.values.get("email")
    if entity.kind == CONTACT.name and isinstance(email, str) and entity.erasing_since is None:
        headers.append(("email_hash", email_hash(email, sealer).encode()))
    return headers


def _erased(value: Any) -> str:
    if isinstance(value, Erased):
        return f"erased {value.box.data.hex()}"
    raise TypeError


def decode_entity(raw: bytes, sealer_of: Callable[[str], Sealer]) -> Entity | Poison:
    """Reads an entity's value; never raises for what is in it.

    Args:
        raw: the value.
        sealer_of: gives the sealer of a workspace.

    Raises:
        UnavailableError: the key store does not answer.
    """
    return _opened(codec.decode(raw), raw, sealer_of)


def decode_entities(
    raws: Sequence[bytes], sealer_of: Callable[[str], Sealer]
) -> list[Entity | Poison]:
    """Reads several values, with one query for all keys that are not at hand.

    Raises:
        UnavailableError: the key store does not answer.
    """
    decoded = [codec.decode(raw) for raw in raws]
    load_keys(decoded, _key_ids, sealer_of)
    return [_opened(each, raw, sealer_of) for each, raw in zip(decoded, raws, strict=True)]


def _key_ids(decoded: Decoded) -> Iterator[str]:
    # those of the truth: as a rule the copies have no other
    for value in decoded.body.values():
        if isinstance(value, dict) and "box" in value:
            yield value["key_id"]


def _opened(
    decoded: Decoded | Poison, raw: bytes, sealer_of: Callable[[str], Sealer]
) -> Entity | Poison:
    if isinstance(decoded, Poison):
        return decoded
    kind = _KIND_BY_RECORD.get(decoded.record)
    if kind is None:
        return Poison(raw, Code.RECORD_UNREADABLE, f"a {decoded.record} is no entity")
    try:
        return _entity(kind, decoded.body, sealer_of(decoded.body["workspace"]))
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except (KeyError, IndexError, ValueError) as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not a {decoded.record}: {error!r}")


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
        values=read_values(kind.name, {name: body[name] for name in spoken}, sealer),
        decisions=decisions,
        references={item["field"]: item["id"] for item in body["references"]},
        match_keys=tuple(body["match_keys"]),
        merge=_merge_from_avro(body["merge"]) if body["merge"] else None,
        apart=tuple(body["apart"]),
        erasing_since=body["erasing_since"],
        erased_at=body["erased_at"],
        deleted_at=body["deleted_at"],
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
        cells = {cell["field"]: cell["value"] for cell in register["cells"]}
        differed = register["differed"]
        registers[register["group"]] = Register(
            values=read_values(kind.name, cells, sealer),
            stamps=tuple([_stamp(stamp) for stamp in register["stamps"]]),
            differed=_stamp(differed) if differed else None,
        )
    return Copy(
        id=NaturalId(item["system"], item["object_type"], item["object_id"]),
        role=item["role"],
        registers=registers,
        gone_at=item["gone_at"],
        clamped=tuple((each["modified_at"], each["received_at"]) for each in item["clamped"]),
    )


def _stamp(body: dict[str, Any]) -> Stamp:
    return Stamp(body["source_version"], body["modified_at"], body["by_self"])
