"""The catalogue of fields: for each kind its groups, for each group its fields.

Fields that only make sense together are one group; a group is what a system says, what a register
holds and what an owner decides. To add a field, add it here and run `make schemas`.
`docs/fields.md` shows it all.
"""

from collections.abc import Mapping
from types import MappingProxyType

from calstream_core.errors import Code, InvariantError
from calstream_schemas.entities.structure import Field, FieldType, Group, Kind

__all__ = ["KINDS", "Field", "FieldType", "Group", "Kind", "kind_of"]

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
        Group("lead_source", (Field("lead_source", _T, "What brought the person to us."),)),
        Group("lead_status", (Field("lead_status", _T, "Lead status, as the CRM names it."),)),
        Group("lead_score", (Field("lead_score", _N, "How promising; higher is better."),)),
        Group("lifecycle", (Field("lifecycle", _T, "Lifecycle stage, as the CRM names it."),)),
        Group("owner", (Field("owner_id", _T, "The owner's id in the CRM."),)),
    ),
    doc="A person, with the side of them that is a lead.",
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
                Field("status", _T, "held, tentative, confirmed, cancelled, completed or no_show."),
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
            "hold",
            (
                Field("hold_id", _T, "The hold that it is, or was before it was confirmed."),
                Field("hold_expires_at", _I, "When the hold ends if nobody confirms it, UTC."),
            ),
        ),
        Group(
            "recurrence",
            (
                Field("series_ref", _T, "Its series, if it is an occurrence.", reference="series"),
                Field("recurrence_id", _T, "Which occurrence of the series (RFC 5545)."),
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
    doc="One occurrence of a meeting, from its hold to its end.",
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
                Field("payment_status", _T, "required, or as its payment: pending and so on."),
                Field("payment_failure", _T, "Why it failed, as the provider names it."),
            ),
        ),
    ),
    doc="One person at a booking.",
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
                Field("status", _T, "pending, succeeded, failed, expired or refunded."),
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
    doc="One amount that is owed for an attendance.",
)

SERIES = Kind(
    "series",
    "Series",
    (
        Group(
            "recurrence",
            (
                Field("rrule", _T, "The rule (RFC 5545), in the series' zone."),
                Field("exdates", _S, "Occurrences that are left out."),
                Field("timezone", _T, "The IANA zone in which the rule is meant."),
            ),
        ),
    ),
    doc="A recurring booking; each occurrence is a booking of its own.",
)

CONSENT = Kind(
    "consent",
    "Consent",
    (
        Group("contact", (Field("contact_ref", _T, "Who agreed or not.", reference="contact"),)),
        Group("purpose", (Field("purpose", _T, "What for, for example marketing."),)),
        Group(
            "decision",
            (
                Field("granted", _F, "Whether it stands."),
                Field("basis", _T, "The legal basis, as the source names it."),
                Field("text_hash", _T, "Hash of the wording that was shown."),
                Field("decided_at", _I, "When it was granted or withdrawn, UTC."),
            ),
        ),
    ),
    doc="What a person agreed to for one purpose, with every grant and withdrawal as a copy.",
    is_history=True,
)

MESSAGE = Kind(
    "message",
    "Message",
    (
        Group(
            "purpose",
            (
                Field(
                    "message_kind",
                    _T,
                    "booked, high_score, moved, conflict, arbitration or payment_link.",
                ),
                Field("audience", _T, "ops, host, owner, attendee or endpoint."),
            ),
        ),
        Group(
            "recipient",
            (
                Field("contact_ref", _T, "The person it is about.", reference="contact"),
                Field("recipient", _T, "A channel or address, if not the audience's.", sealed=True),
            ),
        ),
        Group("booking", (Field("booking_ref", _T, "What it is about.", reference="booking"),)),
        Group("content", (Field("content", _T, "What it says, as JSON.", sealed=True),)),
        Group("deadline", (Field("not_after", _I, "When it is no longer of use, UTC."),)),
        Group("status", (Field("status", _T, "due, withdrawn or expired."),)),
    ),
    doc="One message that is sent once, and never after its deadline.",
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (CONTACT, BOOKING, ATTENDANCE, PAYMENT, SERIES, CONSENT, MESSAGE)}
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
