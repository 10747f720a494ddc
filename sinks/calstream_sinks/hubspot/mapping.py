"""What is what: Calstream's fields and HubSpot's properties. Data that the others read.

`docs/connect-hubspot.md` shows these tables to people (tested to be equal).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from calstream_sinks.hubspot.transforms import (
    INSTANT,
    LOCATION,
    NAME,
    OUTCOME,
    PHONE,
    TEXT,
    WHOLE,
    Transform,
)

CONTACT, BOOKING = "contact", "booking"
OBJECT_TYPES: Mapping[str, str] = MappingProxyType({CONTACT: "contacts", BOOKING: "meetings"})
"""HubSpot's object type by our kind."""

CALENDAR_SYSTEM = "calendar_live"
CALENDAR_OBJECTS: Mapping[str, str] = MappingProxyType({CONTACT: "attendee", BOOKING: "event"})
"""What calendar.live calls an object, by our kind."""

UNIQUE_ID = "calstream_id"  # contacts: unique, so an upsert by it is safe to repeat
EVENT_ID = "external_id"  # meetings: can't be unique there, so it is searched for

PROPERTY_GROUP, PROPERTY_GROUP_LABEL = "calstream", "Calstream"


class Direction(StrEnum):
    """Whether what HubSpot holds is read back."""

    BOTH = "both ways"
    WRITE = "to HubSpot"


@dataclass(frozen=True, slots=True)
class Row:
    """Fields of one of our groups, and the properties that hold them at HubSpot."""

    kind: str
    group: str
    fields: tuple[str, ...]
    properties: tuple[str, ...]
    transform: Transform
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True)
class Derived:
    """A property that is worked out (in `projection`) and never read back."""

    kind: str
    property_name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Property:
    """A property that must be there.

    Attributes:
        label: as HubSpot shows it; empty for HubSpot's own properties, which setup never makes.
        options: the values of an enumeration of ours.
        unique: whether no two objects may have the same value.
    """

    kind: str
    name: str
    type: str = "string"
    label: str = ""
    description: str = ""
    options: tuple[str, ...] = ()
    unique: bool = False


ROWS: tuple[Row, ...] = (
    Row(CONTACT, "email", ("email",), ("email",), TEXT),
    Row(CONTACT, "name", ("full_name",), ("firstname", "lastname"), NAME),
    Row(CONTACT, "phone", ("phone", "phone_raw"), ("phone",), PHONE),
    Row(CONTACT, "company", ("company",), ("company",), TEXT),
    Row(CONTACT, "lead_source", ("lead_source",), ("calstream_lead_source",), TEXT),
    Row(CONTACT, "lead_score", ("lead_score",), ("calstream_lead_score",), WHOLE),
    Row(CONTACT, "lead_status", ("lead_status",), ("hs_lead_status",), TEXT),
    Row(CONTACT, "lifecycle", ("lifecycle",), ("lifecyclestage",), TEXT),
    Row(CONTACT, "owner", ("owner_id",), ("hubspot_owner_id",), TEXT),
    Row(BOOKING, "uid", ("uid",), ("calendar_event_uid",), TEXT),
    Row(BOOKING, "title", ("title",), ("hs_meeting_title",), TEXT),
    Row(BOOKING, "schedule", ("start_at",), ("hs_meeting_start_time",), INSTANT),
    Row(BOOKING, "schedule", ("start_at",), ("hs_timestamp",), INSTANT, Direction.WRITE),
    Row(BOOKING, "schedule", ("end_at",), ("hs_meeting_end_time",), INSTANT),
    Row(BOOKING, "schedule", ("timezone",), ("event_timezone",), TEXT),
    Row(BOOKING, "schedule", ("wall_start",), ("event_wall_start",), TEXT),
    Row(BOOKING, "status", ("status",), ("hs_meeting_outcome",), OUTCOME),
    Row(BOOKING, "location", ("join_url", "location_kind"), ("hs_meeting_location",), LOCATION),
)

DERIVED: tuple[Derived, ...] = (
    Derived(CONTACT, UNIQUE_ID, "Calstream's id of the person"),
    Derived(CONTACT, "external_source_id", "the attendee's id in calendar.live"),
    Derived(BOOKING, EVENT_ID, "the event's id in calendar.live"),
    Derived(BOOKING, "payment_status", "the worst of its attendances'"),
)

PAYMENT_STATUSES = ("failed", "expired", "required", "pending", "refunded", "succeeded")
"""From worst to best: what somebody must look at comes first."""

PROPERTIES: tuple[Property, ...] = (
    Property(CONTACT, "email"),
    Property(CONTACT, "firstname"),
    Property(CONTACT, "lastname"),
    Property(CONTACT, "phone"),
    Property(CONTACT, "company"),
    Property(CONTACT, "hs_lead_status", "enumeration"),
    Property(CONTACT, "lifecyclestage", "enumeration"),
    Property(CONTACT, "hubspot_owner_id", "enumeration"),
    Property(
        CONTACT,
        UNIQUE_ID,
        label="Calstream id",
        description="Which person this is in Calstream. Written by Calstream.",
        unique=True,
    ),
    Property(
        CONTACT,
        "external_source_id",
        label="Attendee id",
        description="The attendee's id in calendar.live. Written by Calstream.",
    ),
    Property(
        CONTACT,
        "calstream_lead_source",
        label="Lead source (Calstream)",
        description="What brought the person, by Calstream's rules. Written by Calstream.",
    ),
    Property(
        CONTACT,
        "calstream_lead_score",
        "number",
        label="Lead score (Calstream)",
        description="How promising the answers of the forms are. Written by Calstream.",
    ),
    Property(BOOKING, "hs_timestamp", "datetime"),
    Property(BOOKING, "hs_meeting_title"),
    Property(BOOKING, "hs_meeting_start_time", "datetime"),
    Property(BOOKING, "hs_meeting_end_time", "datetime"),
    Property(BOOKING, "hs_meeting_outcome", "enumeration"),
    Property(BOOKING, "hs_meeting_location"),
    Property(
        BOOKING,
        EVENT_ID,
        label="Event id",
        description="The event's id in calendar.live. Written by Calstream.",
    ),
    Property(
        BOOKING,
        "calendar_event_uid",
        label="Calendar event UID",
        description="The iCalendar UID; it survives a reschedule. Written by Calstream.",
    ),
    Property(
        BOOKING,
        "event_timezone",
        label="Event time zone",
        description="The zone in which the event was booked. Written by Calstream.",
    ),
    Property(
        BOOKING,
        "event_wall_start",
        label="Event local start",
        description="When it starts on the clocks of that zone. Written by Calstream.",
    ),
    Property(
        BOOKING,
        "payment_status",
        "enumeration",
        label="Payment status",
        description="The state of the payment for this meeting. Written by Calstream.",
        options=PAYMENT_STATUSES,
    ),
)


def rows_of(kind: str) -> tuple[Row, ...]:
    """The rows of one kind, in the table's order."""
    return tuple(row for row in ROWS if row.kind == kind)


def properties_of(kind: str) -> tuple[Property, ...]:
    """The properties of one kind, in the table's order."""
    return tuple(item for item in PROPERTIES if item.kind == kind)


def property_names(kind: str) -> list[str]:
    """What to ask HubSpot for when an object of this kind is read."""
    return [item.name for item in properties_of(kind)]
