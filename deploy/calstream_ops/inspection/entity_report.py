"""What is known of an entity and why, as plain data. Pure.

Personal values are in the clear here: it is for the operator who holds the keys, never for a log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from calstream_core.sealing import Erased
from calstream_ops.inspection.entity_log import Version
from calstream_ops.inspection.times import readable
from calstream_schemas.entities import (
    Copy,
    Entity,
    Field,
    FieldType,
    NaturalId,
    Value,
    entity_key,
    kind_of,
)


def describe(entity: Entity) -> dict[str, Any]:
    """An entity: each field with who decided it, when that was said, and by which rule."""
    return {
        "key": entity.key,
        "version": entity.version,
        "first_seen_at": readable(entity.created_at),
        "cause": {
            "observation_id": entity.cause.observation_id,
            "received_at": readable(entity.cause.received_at),
            "occurred_at": readable(entity.cause.occurred_at),
        },
        "erasure": _erasure(entity),
        "fields": _fields(entity),
        "references": _references(entity),
        "merge": _merge(entity),
        "apart": [entity_key(entity.workspace, entity.kind, id_) for id_ in entity.apart],
        "copies": [_copy(entity, entity.copies[id_]) for id_ in sorted(entity.copies)],
    }


def describe_history(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """What each version changed against the one before it in the log.

    Compaction may have taken versions out, so the first one here may not be the first there was;
    all that it holds counts as changed.
    """
    found: list[dict[str, Any]] = []
    before: Entity | None = None
    for version in versions:
        after = version.entity
        if after is None:
            found.append({"version": None, "deleted": True, "changes": [], "copies": []})
        else:
            found.append(
                {
                    "version": after.version,
                    "deleted": False,
                    "received_at": readable(after.cause.received_at),
                    "observation_id": after.cause.observation_id,
                    "changes": _changes(before, after),
                    "copies": _copy_changes(before, after),
                }
            )
        before = after
    return found


def shown_value(field: Field, value: Value) -> Any:
    """A field's value for JSON: times as text, what was erased as `erased`."""
    if field.type is FieldType.INSTANT and type(value) is int:
        return readable(value)
    if isinstance(value, Erased):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _fields(entity: Entity) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in kind_of(entity.kind).groups:
        decision = entity.decisions.get(group.name)
        if decision is None:
            continue
        register = entity.copies[decision.id].registers[group.name]
        for field in group.fields:
            found[field.name] = {
                "value": shown_value(field, entity.values.get(field.name)),
                "group": group.name,
                "source": _source(decision.id),
                "said_at": readable(register.modified_at),
                "rule": decision.rule,
            }
    return found


def _references(entity: Entity) -> dict[str, str]:
    fields = kind_of(entity.kind).field_by_name
    return {
        name: entity_key(entity.workspace, fields[name].reference or "", id_)
        for name, id_ in sorted(entity.references.items())
    }


def _erasure(entity: Entity) -> dict[str, str] | None:
    if entity.erasing_since is not None:
        return {"state": "erasing", "since": readable(entity.erasing_since)}
    if entity.erased_at is not None:
        return {"state": "erased", "since": readable(entity.erased_at)}
    return None


def _merge(entity: Entity) -> dict[str, Any] | None:
    if entity.merge is None:
        return None
    return {
        "into": entity_key(entity.workspace, entity.kind, entity.merge.into),
        "by": entity.merge.by,
        "at": readable(entity.merge.at),
        "objects": [str(id_) for id_ in entity.merge.objects],
    }


def _copy(entity: Entity, copy: Copy) -> dict[str, Any]:
    fields = kind_of(entity.kind).field_by_name
    return {
        **_source(copy.id),
        "role": copy.role,
        "gone": copy.gone,
        "differs": _differing(entity, copy),
        "groups": {
            name: {
                "values": {
                    field: shown_value(fields[field], value)
                    for field, value in sorted(register.values.items())
                },
                "said_at": readable(register.modified_at),
                "by_calstream": register.by_self,
            }
            for name, register in sorted(copy.registers.items())
        },
    }


def _differing(entity: Entity, copy: Copy) -> dict[str, Any]:
    """The fields that this copy has otherwise than the truth, as it has them."""
    fields = kind_of(entity.kind).field_by_name
    return {
        name: shown_value(fields[name], value)
        for register in copy.registers.values()
        for name, value in sorted(register.values.items())
        if entity.values.get(name) != value
    }


def _source(id_: NaturalId) -> dict[str, str]:
    return {"system": id_.system, "type": id_.object_type, "id": id_.object_id}


def _changes(before: Entity | None, after: Entity) -> list[dict[str, Any]]:
    old: Mapping[str, Value] = before.values if before else {}
    changes = []
    for group in kind_of(after.kind).groups:
        decision = after.decisions.get(group.name)
        for field in group.fields:
            was, now = old.get(field.name), after.values.get(field.name)
            if was != now:
                changes.append(
                    {
                        "field": field.name,
                        "before": shown_value(field, was),
                        "after": shown_value(field, now),
                        "source": _source(decision.id) if decision else None,
                        "rule": decision.rule if decision else None,
                    }
                )
    return changes + _reference_changes(before, after)


def _reference_changes(before: Entity | None, after: Entity) -> list[dict[str, Any]]:
    old = _references(before) if before else {}
    new = _references(after)
    return [
        {
            "field": f"{name} (id)",
            "before": old.get(name),
            "after": new.get(name),
            "source": None,
            "rule": None,
        }
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _copy_changes(before: Entity | None, after: Entity) -> list[dict[str, Any]]:
    """The copies that are new, gone, or hold something else than before."""
    old = before.copies if before else {}
    changes = []
    for id_ in sorted(old.keys() | after.copies.keys()):
        was, now = old.get(id_), after.copies.get(id_)
        if was == now:
            continue
        changes.append(
            {**_source(id_), "change": _copy_change(was, now), "groups": _moved(was, now)}
        )
    return changes


def _copy_change(was: Copy | None, now: Copy | None) -> str:
    if now is None:
        return "removed"
    if was is None:
        return "new"
    if was.gone != now.gone:
        return "gone" if now.gone else "back"
    return "changed"


def _moved(was: Copy | None, now: Copy | None) -> list[str]:
    old = was.registers if was else {}
    new = now.registers if now else {}
    return sorted(g for g in old.keys() | new.keys() if old.get(g) != new.get(g))
