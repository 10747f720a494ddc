"""What contacts and meetings have in common: reading by id, updating by id, empty values."""

from collections.abc import Iterable, Sequence
from typing import Any

from calstream_sinks.api import Applied, Change, FieldValues, Outcome
from calstream_sinks.hubspot.batches import BatchRow, BatchWriter, RowResult
from calstream_sinks.hubspot.client import (
    MAX_OBJECTS_PER_CALL,
    HubSpotClient,
    errors_of,
    results_of,
)
from calstream_sinks.hubspot.errors import Failure, Trouble, failure_of_row, outcome_of
from calstream_sinks.hubspot.mapping import OBJECT_TYPES, property_names
from calstream_sinks.hubspot.snapshots import snapshot_of_write

MERGED_IDS = "hs_merged_object_ids"  # of an object into which others were merged, `;` between

Outcomes = dict[str, Outcome]
"""Outcomes by the key of the change's entity."""

Objects = dict[str, dict[str, Any]]
"""Objects as HubSpot gives them, by the id that was asked for."""


def texts(fields: FieldValues) -> dict[str, str]:
    """Properties as HubSpot takes them: every value is a string, and "" empties a property."""
    return {name: value or "" for name, value in fields.items()}


async def read_objects(
    client: HubSpotClient,
    kind: str,
    ids: Iterable[str],
    *,
    id_property: str | None = None,
    also: Sequence[str] = (),
) -> list[dict[str, Any]] | Failure:
    """The objects with these ids, in no order; one that is not there is left out.

    Args:
        client: the account.
        kind: ours.
        ids: at HubSpot, or values of `id_property`.
        id_property: a unique property, or `email` of contacts.
        also: properties to read beside those of the mapping.
    """
    wanted = sorted(set(ids))
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), MAX_OBJECTS_PER_CALL):
        body: dict[str, Any] = {
            "inputs": [{"id": item} for item in wanted[start : start + MAX_OBJECTS_PER_CALL]],
            "properties": [*property_names(kind), *also],
            "propertiesWithHistory": [],
        }
        if id_property is not None:
            body["idProperty"] = id_property
        answer = await client.read(client.objects(OBJECT_TYPES[kind], "batch/read"), body)
        if isinstance(answer, Failure):
            if answer.trouble is Trouble.GONE:
                continue  # none of them is there
            return answer
        if "results" not in answer:
            return Failure(Trouble.DOWN, "HubSpot's answer to a read has no results.")
        failures = map(failure_of_row, errors_of(answer))
        unread = next((item for item in failures if item.trouble is not Trouble.GONE), None)
        if unread is not None:
            return unread
        found += [item for item in results_of(answer) if "id" in item]
    return found


async def read_by_id(client: HubSpotClient, kind: str, ids: Sequence[str]) -> Objects | Failure:
    """Objects by the id that was asked for. A merged one is the object it was merged into."""
    found = await read_objects(client, kind, ids, also=(MERGED_IDS,))
    if isinstance(found, Failure):
        return found
    by_id: Objects = {}
    for item in found:
        merged = str((item.get("properties") or {}).get(MERGED_IDS) or "")
        by_id |= {old.strip(): item for old in merged.split(";") if old.strip()}
    by_id |= {str(item["id"]): item for item in found}
    return {id_: by_id[id_] for id_ in ids if id_ in by_id}


async def update_objects(
    client: HubSpotClient, kind: str, changes: Sequence[Change]
) -> dict[str, RowResult]:
    """Writes the fields of changes that have an id; the object or the failure by entity key.

    A change without fields is read instead, so that it is noticed when its object is gone.
    """
    writer = BatchWriter(
        client, client.objects(OBJECT_TYPES[kind], "batch/update"), repeatable=True
    )
    keys = {change.entity.id: change.entity.key for change in changes}
    written = await writer.write(
        [
            BatchRow(
                change.entity.id,
                {"id": str(change.external_id), "properties": texts(change.fields)},
            )
            for change in changes
            if change.fields
        ]
    )
    results = {keys[trace_id]: result for trace_id, result in written.items()}
    unwritten = [change for change in changes if not change.fields]
    if unwritten:
        ids = [str(change.external_id) for change in unwritten]
        found = await read_by_id(client, kind, ids)
        gone = Failure(Trouble.GONE, "HubSpot no longer has the object.")
        for change, id_ in zip(unwritten, ids, strict=True):
            read = found if isinstance(found, Failure) else found.get(id_, gone)
            results[change.entity.key] = read
    return results


def update_outcome(change: Change, result: RowResult) -> Outcome:
    """What became of an update by id."""
    if isinstance(result, Failure):
        return outcome_of(result)
    return Applied(snapshot_of_write(change.entity.kind, result, change.projection.fields))


def not_sent(changes: Iterable[Change], stop: Failure) -> Outcomes:
    """The outcomes of changes that were not sent because of an earlier failure."""
    return {change.entity.key: outcome_of(stop.unsent()) for change in changes}
