"""Erases people at HubSpot: contacts by its GDPR delete, meetings that were theirs by archiving.

An object whose id we never learned is looked for by what we write into it. The contact's address is
not used to name it: HubSpot then bars an address that it does not find from ever coming back.
"""

from collections.abc import Mapping, Sequence

from calstream_schemas.erasure_facts import Done
from calstream_sinks.api import Deferred, Erased, ErasureOutcome, Going
from calstream_sinks.hubspot.client import HubSpotClient
from calstream_sinks.hubspot.errors import Failure, Trouble, outcome_of
from calstream_sinks.hubspot.mapping import (
    BOOKING,
    CALENDAR_OBJECTS,
    CALENDAR_SYSTEM,
    CONTACT,
    OBJECT_TYPES,
    UNIQUE_ID,
)
from calstream_sinks.hubspot.meetings import search_events
from calstream_sinks.hubspot.objects import read_objects

Found = Mapping[str, Sequence[str]]
"""HubSpot's ids by the key of our entity."""


async def erase_contacts(client: HubSpotClient, going: Sequence[Going]) -> list[ErasureOutcome]:
    """Deletes contacts for ever; one call for each, as HubSpot has no batch of it."""
    unknown = {one.entity.id: one.entity.key for one in going if not one.external_ids}
    found = await read_objects(client, CONTACT, unknown, id_property=UNIQUE_ID) if unknown else []
    if isinstance(found, Failure):
        return [_not_done(found)] * len(going)
    by_key: dict[str, list[str]] = {}
    for contact in found:
        owner = unknown.get(str((contact.get("properties") or {}).get(UNIQUE_ID)))
        if owner is not None:
            by_key.setdefault(owner, []).append(str(contact["id"]))
    return [
        await _delete(client, one.external_ids or by_key.get(one.entity.key, ())) for one in going
    ]


async def erase_meetings(client: HubSpotClient, going: Sequence[Going]) -> list[ErasureOutcome]:
    """Archives meetings that had nobody else."""
    events = {one.entity.key: _event(one) for one in going if not one.external_ids}
    asked = sorted({event for event in events.values() if event is not None})
    found = await search_events(client, asked) if asked else {}
    if isinstance(found, Failure):
        return [_not_done(found)] * len(going)
    ids = {
        one.entity.key: one.external_ids or _listed(found.get(events.get(one.entity.key) or ""))
        for one in going
    }
    every = sorted({id_ for each in ids.values() for id_ in each})
    if every:
        path = client.objects(OBJECT_TYPES[BOOKING], "batch/archive")
        answer = await client.write(path, {"inputs": [{"id": id_} for id_ in every]})
        if isinstance(answer, Failure):
            return [_not_done(answer) if ids[one.entity.key] else _NOTHING for one in going]
    return [_deleted(ids[one.entity.key]) for one in going]


async def _delete(client: HubSpotClient, ids: Sequence[str]) -> ErasureOutcome:
    path = client.objects(OBJECT_TYPES[CONTACT], "gdpr-delete")
    deleted = []
    for id_ in ids:
        answer = await client.write(path, {"objectId": id_})
        if not isinstance(answer, Failure):
            deleted.append(id_)
        elif answer.trouble is not Trouble.GONE:
            return _not_done(answer)  # doing it again is safe, also where it was done
    return _deleted(deleted)


_NOTHING = Erased(Done.NOTHING)


def _deleted(ids: Sequence[str]) -> Erased:
    return Erased(Done.DELETED, f"ids {', '.join(ids)}") if ids else _NOTHING


def _not_done(failure: Failure) -> ErasureOutcome:
    outcome = outcome_of(failure)
    if isinstance(outcome, Deferred):
        return outcome
    return Erased(Done.REFUSED, failure.summary)


def _event(one: Going) -> str | None:
    ids = [
        id_.object_id
        for id_ in one.entity.copies
        if (id_.system, id_.object_type) == (CALENDAR_SYSTEM, CALENDAR_OBJECTS[BOOKING])
    ]
    return min(ids, default=None)


def _listed(id_: str | None) -> tuple[str, ...]:
    return () if id_ is None else (id_,)
