"""People as contacts: adopted by e-mail address, made by upsert, updated by id."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from calstream_core.errors import Code
from calstream_sinks.api import Applied, Change, Found, Outcome, Refused
from calstream_sinks.hubspot.batches import BatchRow, BatchWriter, first_stop
from calstream_sinks.hubspot.client import HubSpotClient
from calstream_sinks.hubspot.errors import Failure, Trouble, outcome_of
from calstream_sinks.hubspot.mapping import CONTACT, OBJECT_TYPES, UNIQUE_ID
from calstream_sinks.hubspot.objects import (
    Objects,
    Outcomes,
    not_sent,
    read_by_id,
    read_objects,
    texts,
    update_objects,
    update_outcome,
)
from calstream_sinks.hubspot.snapshots import snapshot_of, snapshot_of_write

_MORE_EMAILS = "hs_additional_emails"  # a contact answers to these as well; `;` between


async def deliver_contacts(client: HubSpotClient, changes: Sequence[Change]) -> Outcomes:
    """Makes contacts so. One call for those with an id, two for those without."""
    known = [change for change in changes if change.external_id is not None]
    new = [change for change in changes if change.external_id is None]
    results = await update_objects(client, CONTACT, known)
    outcomes = {c.entity.key: update_outcome(c, results[c.entity.key]) for c in known}
    stop = first_stop(results.values())
    return outcomes | (not_sent(new, stop) if stop else await _create(client, new))


async def _create(client: HubSpotClient, changes: Sequence[Change]) -> Outcomes:
    """Adopts or makes contacts. An unknown outcome needs no care: the upsert is by our own id."""
    if not changes:
        return {}
    first, later = _by_first_of_email(changes)
    found = await _read_by_email(client, first)
    if isinstance(found, Failure) and found.trouble is not Trouble.REFUSED:
        return not_sent(changes, found)
    # An address that HubSpot won't look up must not hold up the others: the upsert judges it.
    existing = {} if isinstance(found, Failure) else found
    outcomes: Outcomes = {}
    to_write: list[Change] = []
    for change in first:
        contact = existing.get(_email(change))
        if contact is None or _is_ours(contact, change):
            to_write.append(change)
        else:
            outcomes[change.entity.key] = Found(snapshot_of(CONTACT, contact))
    written, stop = await _upsert(client, to_write)
    outcomes |= written
    return outcomes | (not_sent(later, stop) if stop else await _create(client, later))


async def _upsert(
    client: HubSpotClient, changes: Sequence[Change]
) -> tuple[Outcomes, Failure | None]:
    """Makes contacts under our id; also gives the failure after which nothing more can be sent."""
    path = client.objects(OBJECT_TYPES[CONTACT], "batch/upsert")
    rows = [
        BatchRow(
            change.entity.id,
            {
                "id": change.entity.id,
                "idProperty": UNIQUE_ID,
                "properties": texts(
                    {k: v for k, v in change.projection.fields.items() if k != UNIQUE_ID}
                ),
            },
            id_property=UNIQUE_ID,
        )
        for change in changes
    ]
    results = await BatchWriter(client, path, repeatable=True).write(rows)
    outcomes: Outcomes = {}
    taken: list[tuple[Change, Failure]] = []
    for change in changes:
        result = results[change.entity.id]
        if not isinstance(result, Failure):
            outcomes[change.entity.key] = Applied(
                snapshot_of_write(CONTACT, result, change.projection.fields)
            )
        elif result.trouble is Trouble.TAKEN:
            taken.append((change, result))
        else:
            outcomes[change.entity.key] = _upsert_outcome(result)
    return outcomes | await _find_instead(client, taken), first_stop(results.values())


def _upsert_outcome(failure: Failure) -> Outcome:
    if failure.trouble is Trouble.GONE:  # an upsert names no object that could be gone
        return Refused(Code.VENDOR_REFUSED, failure.summary)
    return outcome_of(failure)


async def _find_instead(client: HubSpotClient, taken: Sequence[tuple[Change, Failure]]) -> Outcomes:
    """Contacts that were there after all: made meanwhile, or not found by their address."""
    if not taken:
        return {}
    named = [failure.existing_id for _, failure in taken if failure.existing_id]
    by_id = await read_by_id(client, CONTACT, named)
    by_email = await _read_by_email(client, [c for c, f in taken if not f.existing_id])
    outcomes: Outcomes = {}
    for change, failure in taken:
        found = by_id if failure.existing_id else by_email
        if isinstance(found, Failure):
            outcomes[change.entity.key] = outcome_of(found)
            continue
        contact = found.get(failure.existing_id or _email(change))
        outcomes[change.entity.key] = (
            outcome_of(failure) if contact is None else Found(snapshot_of(CONTACT, contact))
        )
    return outcomes


async def _read_by_email(client: HubSpotClient, changes: Iterable[Change]) -> Objects | Failure:
    emails = {email for change in changes if (email := _email(change))}
    found = await read_objects(client, CONTACT, emails, id_property="email", also=(_MORE_EMAILS,))
    if isinstance(found, Failure):
        return found
    by_email: Objects = {}
    for contact in found:
        properties = contact.get("properties") or {}
        more = str(properties.get(_MORE_EMAILS) or "").split(";")
        for email in (*more, str(properties.get("email") or "")):
            by_email[email.strip().casefold()] = contact
    return {email: contact for email, contact in by_email.items() if email in emails}


def _by_first_of_email(changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """The first change of every address, and the others: those will find the first's contact."""
    first: list[Change] = []
    later: list[Change] = []
    seen: set[str] = set()
    for change in changes:
        email = _email(change)
        (later if email and email in seen else first).append(change)
        seen.add(email)
    return first, later


def _email(change: Change) -> str:
    return (change.projection.fields.get("email") or "").casefold()


def _is_ours(contact: Mapping[str, Any], change: Change) -> bool:
    return bool((contact.get("properties") or {}).get(UNIQUE_ID) == change.entity.id)
