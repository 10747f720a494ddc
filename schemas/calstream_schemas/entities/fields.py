"""The catalogue of fields: for each kind its groups, for each group its fields.

Fields that only make sense together are one group; a group is what a system says, what a register
holds and what an owner decides. To add a field, add it here and run `make schemas`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from calstream_core.errors import Code, InvariantError


class FieldType(StrEnum):
    """What a field's value is in Python and in Avro."""

    TEXT = "string"
    WHOLE = "long"
    INSTANT = "instant"  # microseconds since 1970 in UTC, an int in Python
    FLAG = "boolean"
    TEXTS = "strings"  # a tuple of str in Python


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: unique within its kind.
        type: what it holds.
        doc: one line for the reference page.
        sealed: whether it is personal and encrypted before it is written; only TEXT can be.
        reference: the kind whose natural id (`system/type/id`) the field holds, if it is one.
    """

    name: str
    type: FieldType
    doc: str
    sealed: bool = False
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are said, kept and decided together."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Kind:
    """One kind of entity.

    Attributes:
        name: as in keys, for example `booking`.
        record: the Avro record's name, for example `Booking`.
        groups: its groups, in the order in which they are written.
    """

    name: str
    record: str
    groups: tuple[Group, ...]

    @cached_property
    def group_by_name(self) -> Mapping[str, Group]:
        """Its groups by name."""
        return MappingProxyType({group.name: group for group in self.groups})

    @cached_property
    def field_by_name(self) -> Mapping[str, Field]:
        """All fields of all groups by name."""
        return MappingProxyType({f.name: f for group in self.groups for f in group.fields})

    @cached_property
    def references(self) -> tuple[tuple[str, Field], ...]:
        """The fields that point to other entities, each with the name of its group."""
        return tuple((g.name, f) for g in self.groups for f in g.fields if f.reference)


_T, _N, _I, _F, _S = (
    FieldType.TEXT,
    FieldType.WHOLE,
    FieldType.INSTANT,
    FieldType.FLAG,
    FieldType.TEXTS,
)

CONTACT = Kind(
    "contact",
    "Contact",
    (
        Group("email", (Field("email", _T, "E-mail address, trimmed, lower case.", sealed=True),)),
        Group("name", (Field("full_name", _T, "Name as written.", sealed=True),)),
        Group(
            "phone",
            (
                Field("phone", _T, "Phone in E.164, or null where it can't be read.", sealed=True),
                Field("phone_raw", _T, "Phone as it was given.", sealed=True),
            ),
        ),
        Group("company", (Field("company", _T, "Company as written."),)),
        Group(
            "locale",
            (
                Field("timezone", _T, "IANA zone, for display."),
                Field("locale", _T, "BCP 47 language tag."),
            ),
        ),
        Group("lead_status", (Field("lead_status", _T, "Lead status, as the CRM names it."),)),
        Group("lifecycle", (Field("lifecycle", _T, "Lifecycle stage, as the CRM names it."),)),
        Group("owner", (Field("owner_id", _T, "The owner's id in the CRM."),)),
    ),
)

BOOKING = Kind(
    "booking",
    "Booking",
    (
        Group("uid", (Field("uid", _T, "iCalendar UID; survives a reschedule."),)),
        Group("title", (Field("title", _T, "Title."),)),
        Group(
            "schedule",
            (
                Field("start_at", _I, "Start, UTC."),
                Field("end_at", _I, "End, UTC."),
                Field("timezone", _T, "The event's IANA zone."),
                Field("wall_start", _T, "Start on the wall clock of that zone."),
            ),
        ),
        Group(
            "status",
            (
                Field("status", _T, "tentative, confirmed, cancelled, completed or no_show."),
                Field("cancellation", _T, "Why and by whom, as JSON.", sealed=True),
            ),
        ),
        Group(
            "event_type",
            (
                Field("event_type", _T, "Slug of the event type."),
                Field("event_kind", _T, "one_to_one, group or webinar."),
                Field("paid", _F, "Whether the event costs money."),
            ),
        ),
        Group(
            "host",
            (
                Field("host_id", _T, "The host's id in the scheduling platform."),
                Field("host_email", _T, "The host's e-mail address.", sealed=True),
                Field("host_name", _T, "The host's name.", sealed=True),
            ),
        ),
        Group(
            "location",
            (
                Field("location_kind", _T, "zoom, phone, in_person or other."),
                Field("join_url", _T, "The link to join.", sealed=True),
            ),
        ),
        Group(
            "recurrence",
            (
                Field("series_id", _T, "The series, if it is an occurrence."),
                Field("recurrence_id", _T, "Which occurrence of the series (RFC 5545)."),
                Field("rrule", _T, "The rule (RFC 5545), in the event's zone."),
                Field("exdates", _S, "Occurrences that are left out."),
            ),
        ),
        Group(
            "origin",
            (
                Field("origin_system", _T, "The system that made it through the API."),
                Field("origin_id", _T, "Its id there."),
            ),
        ),
    ),
)

ATTENDANCE = Kind(
    "attendance",
    "Attendance",
    (
        Group("booking", (Field("booking_ref", _T, "The booking.", reference="booking"),)),
        Group("contact", (Field("contact_ref", _T, "The person.", reference="contact"),)),
        Group("status", (Field("status", _T, "registered, cancelled, attended or no_show."),)),
        Group("answers", (Field("answers", _T, "The form's answers, as JSON.", sealed=True),)),
        Group(
            "payment",
            (
                Field("payment_status", _T, "pending, succeeded, failed or refunded."),
                Field("payment_failure", _T, "Why it failed, as the provider names it."),
            ),
        ),
    ),
)

PAYMENT = Kind(
    "payment",
    "Payment",
    (
        Group("booking", (Field("booking_ref", _T, "The booking.", reference="booking"),)),
        Group("attendance", (Field("attendance_ref", _T, "Who owes it.", reference="attendance"),)),
        Group(
            "status",
            (
                Field("status", _T, "pending, succeeded, failed or refunded."),
                Field("failure_code", _T, "Why it failed, as the provider names it."),
            ),
        ),
        Group(
            "amount",
            (
                Field("amount_minor", _N, "Amount in minor units."),
                Field("currency", _T, "ISO 4217."),
            ),
        ),
        Group(
            "session",
            (
                Field("provider", _T, "Who takes the money."),
                Field("session_id", _T, "The provider's Checkout Session."),
            ),
        ),
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (CONTACT, BOOKING, ATTENDANCE, PAYMENT)}
)
"""Every kind by name."""


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        InvariantError: there is none.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise InvariantError(Code.INVARIANT_BROKEN, f"There is no kind {name!r}.") from None
