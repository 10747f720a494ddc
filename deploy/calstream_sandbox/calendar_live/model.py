"""What calendar.live knows: events, attendees, payments, holds. Plain values, changed by Calendar.

Every time is an aware datetime; `start` and `end` keep the offset they were given.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Host:
    """The person who offers the time."""

    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class EventType:
    """What can be booked. `kind` is one_to_one, group or webinar; the price is in minor units."""

    slug: str
    title: str
    kind: str = "one_to_one"
    paid: bool = False
    price_minor: int = 0
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agreed to, or took back."""

    purpose: str
    granted: bool
    basis: str
    text_hash: str
    at: datetime


@dataclass(slots=True)
class Attendee:
    """The person who booked; e-mail and phone are kept as they were typed."""

    id: str
    email: str
    full_name: str
    last_modified: datetime
    phone: str | None = None
    company: str | None = None
    timezone: str | None = None
    locale: str | None = None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """Where it happens. `kind` is zoom, phone, in_person or other."""

    kind: str = "zoom"
    join_url: str | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The series that an event is an occurrence of (RFC 5545, in the event's time zone)."""

    series_id: str
    recurrence_id: str
    rrule: str
    exdates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Why something does not take place. The contract leaves its fields open; these are ours."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """The system that created the event through the API."""

    system: str
    external_id: str


@dataclass(slots=True)
class Payment:
    """What one attendee owes for one event. `status`: pending, succeeded, failed, refunded."""

    session_id: str
    amount_minor: int
    currency: str
    last_modified: datetime
    status: str = "pending"
    failure_code: str | None = None


@dataclass(slots=True)
class Attendance:
    """One attendee at one event."""

    attendee: Attendee
    payment: Payment | None = None
    cancellation: Cancellation | None = None


@dataclass(slots=True)
class Event:
    """One booking. `sequence` and `last_modified` rise with every change of it."""

    id: str
    uid: str
    title: str
    start: datetime
    end: datetime
    timezone: str
    last_modified: datetime
    event_type: EventType
    host: Host
    status: str = "confirmed"
    sequence: int = 0
    location: Location = field(default_factory=Location)
    recurrence: Recurrence | None = None
    answers: dict[str, str] = field(default_factory=dict)
    cancellation: Cancellation | None = None
    origin: Origin | None = None
    hold_id: str | None = None
    attendances: dict[str, Attendance] = field(default_factory=dict)


@dataclass(slots=True)
class Hold:
    """A soft hold of a host's time. `released_reason`: expired, abandoned or confirmed."""

    id: str
    host_id: str
    start: datetime
    end: datetime
    timezone: str
    expires_at: datetime
    last_modified: datetime
    released_reason: str | None = None
    event_id: str | None = None
