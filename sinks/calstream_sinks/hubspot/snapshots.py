"""What HubSpot holds, in Calstream's terms: objects as snapshots, copies as properties."""

from collections.abc import Collection, Mapping
from typing import Any

from calstream_schemas.entities import Copy, Value, Values
from calstream_sinks.api import FieldValues, Held, Snapshot
from calstream_sinks.hubspot.mapping import Direction, properties_of, rows_of
from calstream_sinks.hubspot.transforms import canonical_instant, clean, parse_instant


def texts_of(kind: str, values: Values) -> dict[str, str | None]:
    """Our values as HubSpot's properties; only what the values speak of."""
    fields: dict[str, str | None] = {}
    for row in rows_of(kind):
        if any(field in values for field in row.fields):
            texts = row.transform.write(tuple(values.get(field) for field in row.fields))
            fields.update(zip(row.properties, texts, strict=False))  # shorter: can't be told there
    return fields


def held_of(kind: str, copy: Copy) -> Held:
    """What HubSpot holds as far as a copy tells, and what of it somebody else wrote there."""
    if copy.gone:
        return Held()
    fields: dict[str, str | None] = {}
    edited: set[str] = set()
    for row in rows_of(kind):
        register = copy.registers.get(row.group)
        if register is None:
            continue
        if not any(field in register.values for field in row.fields):
            continue
        texts = row.transform.write(tuple(register.values.get(field) for field in row.fields))
        fields.update(zip(row.properties, texts, strict=False))
        if not register.by_self:
            edited.update(row.properties)
    return Held(fields, frozenset(edited & fields.keys()))


def snapshot_of(kind: str, found: Mapping[str, Any], *, tell_empty: bool = False) -> Snapshot:
    """An object that was read, as a snapshot.

    Args:
        kind: ours.
        found: the object as HubSpot gives it.
        tell_empty: whether an empty group is a statement. In an object that we meet for the first
            time it is none: nobody emptied it.
    """
    fields = _fields(kind, found)
    statements = statements_of(kind, fields, fields)
    return Snapshot(
        external_id=str(found["id"]),
        fields=fields,
        statements=statements if tell_empty else _without_empty(statements),
        modified_at=parse_instant(found.get("updatedAt")) or 0,
    )


def snapshot_of_write(kind: str, found: Mapping[str, Any], wanted: FieldValues) -> Snapshot:
    """An object as the answer to a write gives it, as a snapshot.

    HubSpot's answers to writes hold some properties only, and none that is empty. What is not
    among them is as we want it: it was just written, or it was so before. Statements are made of
    what HubSpot said alone.
    """
    given = _fields(kind, found)
    fields = {**wanted, **given}
    return Snapshot(
        external_id=str(found["id"]),
        fields=fields,
        statements=_without_empty(statements_of(kind, fields, given)),
        modified_at=parse_instant(found.get("updatedAt")) or 0,
    )


def statements_of(kind: str, fields: FieldValues, touched: Collection[str]) -> dict[str, Values]:
    """HubSpot's fields in our groups: each group of which a field is touched."""
    groups: dict[str, dict[str, Value]] = {}
    spoken: set[str] = set()
    for row in rows_of(kind):
        if row.direction is not Direction.BOTH:
            continue
        if not all(name in fields for name in row.properties):
            continue
        values = row.transform.read(tuple(fields[name] for name in row.properties))
        groups.setdefault(row.group, {}).update(zip(row.fields, values, strict=False))
        if any(name in touched for name in row.properties):
            spoken.add(row.group)
    return {group: values for group, values in groups.items() if group in spoken and values}


def _fields(kind: str, found: Mapping[str, Any]) -> dict[str, str | None]:
    given: Mapping[str, Any] = found.get("properties") or {}
    return {
        item.name: canonical_instant(given[item.name])
        if item.type == "datetime"
        else clean(given[item.name])
        for item in properties_of(kind)
        if item.name in given
    }


def _without_empty(statements: Mapping[str, Values]) -> dict[str, Values]:
    return {
        group: values
        for group, values in statements.items()
        if any(value is not None for value in values.values())
    }
