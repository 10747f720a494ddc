"""Bookings as meetings: made once, updated by id, on the timelines of those who come.

HubSpot documents no unique property for meetings, so a call to make one can't be repeated blindly:
after an unknown outcome the meeting is searched for by the event's id first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from calstream_core.errors import Code
from calstream_sinks.api import Applied, Change, Deferred, Missing, Outcome, Refused
from calstream_sinks.hubspot.associations import Wish, inline, sync_associations
from calstream_sinks.hubspot.batches import BatchRow, BatchWriter, first_stop
from calstream_sinks.hubspot.client import HubSpotClient, results_of
from calstream_sinks.hubspot.errors import Failure, Trouble, outcome_of
from calstream_sinks.hubspot.mapping import BOOKING, CONTACT, EVENT_ID, OBJECT_TYPES
from calstream_sinks.hubspot.objects import (
    Outcomes,
    not_sent,
    read_objects,
    texts,
    update_objects,
    update_outcome,
)
from calstream_sinks.hubspot.snapshots import snapshot_of_write

_IDS_PER_SEARCH, _SEARCH_PAGE = 50, 200  # each id may stand twice in the 100 values of a filter
_SEARCH_BEHIND = "HubSpot's search still has a meeting that is gone."
_LINK_GONE = "A contact of the meeting is no longer in HubSpot; it waits until that is made again."


async def deliver_meetings(client: HubSpotClient, changes: Sequence[Change]) -> Outcomes:
    """Makes meetings so.

    One call for all that are new. Two for those with an id, and one or two more if attendees
    changed. One search for 50 with an unknown outcome.
    """
    unsure = [c for c in changes if c.external_id is None and c.outcome_unknown]
    found = await search_events(client, sorted({_event_id(change) for change in unsure}))
    if isinstance(found, Failure):
        return not_sent(changes, found)
    made = [replace(c, external_id=found.get(_event_id(c))) for c in unsure]
    sure = [c for c in changes if c.external_id is not None or not c.outcome_unknown]
    known = [c for c in (*made, *sure) if c.external_id is not None]
    new = [c for c in (*made, *sure) if c.external_id is None]
    outcomes, stop = await _update(client, known)
    for change in made:  # nobody gave us an id that could be gone: search was behind
        if isinstance(outcomes.get(change.entity.key), Missing):
            outcomes[change.entity.key] = Deferred(
                Code.OUTCOME_UNKNOWN, _SEARCH_BEHIND, unknown=True
            )
    return outcomes | (not_sent(new, stop) if stop else await _create(client, new))


async def search_events(client: HubSpotClient, events: Sequence[str]) -> dict[str, str] | Failure:
    """The meetings of events by the event's id; of several the oldest, by HubSpot's id."""
    found: dict[str, str] = {}
    path = client.objects(OBJECT_TYPES[BOOKING], "search")
    for start in range(0, len(events), _IDS_PER_SEARCH):
        asked = events[start : start + _IDS_PER_SEARCH]
        # HubSpot indexes texts in lower case, and compares the values of IN as they are.
        values = sorted({*asked, *(event.lower() for event in asked)})
        body = {
            "filterGroups": [
                {"filters": [{"propertyName": EVENT_ID, "operator": "IN", "values": values}]}
            ],
            "properties": [EVENT_ID],
            "sorts": [],
            "limit": _SEARCH_PAGE,
            "after": "0",
        }
        answer = await client.read(path, body)
        if isinstance(answer, Failure):
            return answer
        if "results" not in answer:
            return Failure(Trouble.DOWN, "HubSpot's answer to a search has no results.")
        for meeting in sorted(results_of(answer), key=_age):
            event = str((meeting.get("properties") or {}).get(EVENT_ID))
            found.setdefault(event, str(meeting["id"]))
    return found


async def _update(
    client: HubSpotClient, changes: Sequence[Change]
) -> tuple[Outcomes, Failure | None]:
    """Writes properties, then who comes; also the failure after which nothing can be sent."""
    results = await update_objects(client, BOOKING, changes)
    stop = first_stop(results.values())
    written = {c.entity.key: r for c in changes if isinstance(r := results[c.entity.key], dict)}
    ids = {key: str(meeting["id"]) for key, meeting in written.items()}
    wishes = {ids[c.entity.key]: _wish(c) for c in changes if c.entity.key in ids}
    if stop is None:
        failures = await sync_associations(client, wishes)
        stop = first_stop(failures.values())
    else:
        failures = dict.fromkeys(wishes, stop.unsent())
    outcomes: Outcomes = {}
    for change in changes:
        failure = failures.get(ids.get(change.entity.key, ""))
        outcomes[change.entity.key] = (
            update_outcome(change, results[change.entity.key])
            if failure is None
            else _half_done(failure)
        )
    return outcomes, stop


async def _create(client: HubSpotClient, changes: Sequence[Change]) -> Outcomes:
    path = client.objects(OBJECT_TYPES[BOOKING], "batch/create")
    rows = [BatchRow(change.entity.id, _new(change), id_property=EVENT_ID) for change in changes]
    results = await BatchWriter(client, path, repeatable=False).write(rows)
    outcomes: Outcomes = {}
    refused: list[Change] = []
    for change in changes:
        result = results[change.entity.id]
        if not isinstance(result, Failure):
            snapshot = snapshot_of_write(BOOKING, result, change.projection.fields)
            outcomes[change.entity.key] = Applied(snapshot)
            continue
        outcomes[change.entity.key] = _creation_outcome(result)
        if result.trouble is Trouble.REFUSED and not result.fields:
            refused.append(change)
    return outcomes | await _wait_for_lost_contacts(client, refused)


def _creation_outcome(failure: Failure) -> Outcome:
    if failure.trouble is Trouble.GONE:  # a new meeting names no objects but its contacts
        return Deferred(Code.ENTITY_NOT_FOUND, _LINK_GONE)
    return outcome_of(failure)


async def _wait_for_lost_contacts(client: HubSpotClient, refused: Sequence[Change]) -> Outcomes:
    """The changes among the refused ones whose contacts were deleted at HubSpot.

    HubSpot refuses their associations without saying why. The contact is made again when its own
    loss is noticed, and the meeting then has another id to name.
    """
    if not refused:
        return {}
    contacts = frozenset().union(*(_contact_ids(change) for change in refused))
    found = await read_objects(client, CONTACT, contacts)
    if isinstance(found, Failure):
        return not_sent(refused, found)
    lost = contacts - {str(contact["id"]) for contact in found}
    waits = Deferred(Code.ENTITY_NOT_FOUND, _LINK_GONE)
    return {change.entity.key: waits for change in refused if _contact_ids(change) & lost}


def _half_done(failure: Failure) -> Outcome:
    """The outcome of a meeting whose properties are written but whose contacts are not."""
    if failure.trouble is Trouble.GONE:
        return Deferred(Code.ENTITY_NOT_FOUND, _LINK_GONE, unknown=True)
    outcome = outcome_of(failure)
    if isinstance(outcome, Refused):
        return replace(outcome, field=outcome.field or "associations")
    return replace(outcome, unknown=True) if isinstance(outcome, Deferred) else outcome


def _new(change: Change) -> dict[str, Any]:
    fields = {name: text for name, text in change.projection.fields.items() if text}
    return {"properties": texts(fields), "associations": inline(_contact_ids(change))}


def _wish(change: Change) -> Wish:
    """A cancelled meeting keeps whom it had: it stays on their timelines, as cancelled."""
    cancelled = change.projection.fields.get("hs_meeting_outcome") == "CANCELED"
    return Wish(_contact_ids(change), removes=not cancelled)


def _contact_ids(change: Change) -> frozenset[str]:
    return frozenset(link.external_id for link in change.projection.links)


def _event_id(change: Change) -> str:
    return str(change.projection.fields[EVENT_ID])


def _age(meeting: Mapping[str, Any]) -> tuple[int, str]:
    id_ = str(meeting["id"])  # HubSpot counts its ids up
    return (len(id_), id_)
