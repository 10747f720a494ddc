"""How people and bookings should look at HubSpot. Pure: no I/O, no clock."""

from collections.abc import Iterable, Sequence

from calstream_schemas.entities import Entity, Value, entity_key
from calstream_sinks.api import Link, NotWanted, Projection, View, Waiting
from calstream_sinks.hubspot.mapping import (
    BOOKING,
    CALENDAR_OBJECTS,
    CALENDAR_SYSTEM,
    CONTACT,
    EVENT_ID,
    OBJECT_TYPES,
    PAYMENT_STATUSES,
    UNIQUE_ID,
)
from calstream_sinks.hubspot.snapshots import texts_of

_IDENTIFYING = ("email", "phone", "firstname", "lastname")


def project_contact(entity: Entity) -> Projection | NotWanted:
    """A person as a contact; NotWanted without an e-mail address, phone and name."""
    fields = texts_of(CONTACT, entity.values)
    if not any(fields.get(name) for name in _IDENTIFYING):
        return NotWanted("it has no e-mail address, phone or name")
    fields[UNIQUE_ID] = entity.id
    attendee = _calendar_id(entity)
    if attendee is not None:
        fields["external_source_id"] = attendee
    return Projection(fields)


def project_booking(entity: Entity, view: View) -> Projection | Waiting | NotWanted:
    """A booking as a meeting on the timelines of the people who come.

    Waits for the first of them, by attendance id, whom HubSpot does not know yet.
    """
    event = _calendar_id(entity)
    if event is None:
        return NotWanted("it is no event in calendar.live yet")
    if not isinstance(entity.values.get("start_at"), int) or not entity.values.get("title"):
        return NotWanted("it has no schedule or no title yet")
    attendances = sorted(view.referring("attendance", "booking_ref", entity.id), key=_id)
    linked = _on_the_timeline(entity, attendances)
    links = _links(entity.workspace, linked, view)
    if isinstance(links, Waiting):
        return links
    if not links and not _goes_on_without_links(entity, attendances, view):
        return NotWanted("no attendee yet")
    fields = texts_of(BOOKING, entity.values)
    fields[EVENT_ID] = event
    payments = [a.values["payment_status"] for a in linked if "payment_status" in a.values]
    if payments:
        fields["payment_status"] = worst_payment(payments)
    return Projection(fields, links)


def worst_payment(statuses: Iterable[Value]) -> str | None:
    """The status to look at first among those of several people; None when nothing is owed."""
    present = set(statuses)
    return next((status for status in PAYMENT_STATUSES if status in present), None)


def _id(entity: Entity) -> str:
    return entity.id


def _calendar_id(entity: Entity) -> str | None:
    """The object's id in calendar.live. A merged person has several: always the same is taken."""
    object_type = CALENDAR_OBJECTS[entity.kind]
    ids = [
        copy.id.object_id
        for copy in entity.copies_of(CALENDAR_SYSTEM)
        if copy.id.object_type == object_type
    ]
    return min(ids, default=None)


def _on_the_timeline(booking: Entity, attendances: Sequence[Entity]) -> Sequence[Entity]:
    """Those who are coming. When nobody is left, a cancelled meeting stays with those who were.

    A one-to-one event has no life without its attendee, so there a cancelled attendance is the
    first sign of a cancelled booking.
    """
    coming = [a for a in attendances if a.values.get("status") != "cancelled"]
    if coming:
        return coming
    over = booking.values.get("status") == "cancelled"
    return attendances if over or booking.values.get("event_kind") == "one_to_one" else ()


def _goes_on_without_links(booking: Entity, attendances: Sequence[Entity], view: View) -> bool:
    """Whether a meeting that HubSpot has must hear that nobody comes, or that it is cancelled."""
    if view.external_id(booking.key) is None:
        return False
    return bool(attendances) or booking.values.get("status") == "cancelled"


def _links(workspace: str, attendances: Sequence[Entity], view: View) -> frozenset[Link] | Waiting:
    links = set()
    for attendance in attendances:
        contact_id = attendance.references.get("contact_ref")
        if contact_id is None:
            continue
        key = entity_key(workspace, CONTACT, contact_id)
        external_id = view.external_id(key)
        if external_id is not None:
            links.add(Link(OBJECT_TYPES[CONTACT], external_id))
            continue
        contact = view.entity(key)
        if contact is None or isinstance(project_contact(contact), Projection):
            return Waiting(key)
    return frozenset(links)
