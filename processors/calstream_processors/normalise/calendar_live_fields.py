"""Where each field comes from in calendar.live's webhooks: for the mapping document.

Below `data` of the body. A test compares it with what the normaliser makes of a full body.
"""

from collections.abc import Mapping
from types import MappingProxyType

SOURCE_OF_FIELD: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("contact", "email"): "attendee.email",
        ("contact", "full_name"): "attendee.full_name",
        ("contact", "phone"): "attendee.phone",
        ("contact", "phone_raw"): "attendee.phone",
        ("contact", "company"): "attendee.company",
        ("contact", "timezone"): "attendee.timezone",
        ("contact", "locale"): "attendee.locale",
        ("booking", "uid"): "event.uid",
        ("booking", "title"): "event.title",
        ("booking", "start_at"): "event.start, hold.start",
        ("booking", "end_at"): "event.end, hold.end",
        ("booking", "timezone"): "event.timezone, hold.timezone",
        ("booking", "wall_start"): "event.start in event.timezone",
        ("booking", "status"): "event.status, hold.released_reason",
        ("booking", "cancellation"): "event.cancellation, hold.released_reason",
        ("booking", "event_type"): "event.event_type.slug",
        ("booking", "event_kind"): "event.event_type.kind",
        ("booking", "paid"): "event.event_type.paid",
        ("booking", "host_id"): "event.host.id, hold.host.id",
        ("booking", "host_email"): "event.host.email",
        ("booking", "host_name"): "event.host.name",
        ("booking", "location_kind"): "event.location.kind",
        ("booking", "join_url"): "event.location.join_url",
        ("booking", "hold_id"): "hold.id",
        ("booking", "hold_expires_at"): "hold.expires_at",
        ("booking", "series_ref"): "event.recurrence.series_id",
        ("booking", "recurrence_id"): "event.recurrence.recurrence_id",
        ("booking", "origin_system"): "event.origin.system",
        ("booking", "origin_id"): "event.origin.external_id",
        ("attendance", "booking_ref"): "event.id",
        ("attendance", "contact_ref"): "attendee.id",
        ("attendance", "status"): "type",
        ("attendance", "answers"): "event.answers",
        ("payment", "booking_ref"): "event.id",
        ("payment", "attendance_ref"): "event.id, attendee.id",
        ("payment", "status"): "payment.status",
        ("payment", "failure_code"): "payment.failure_code",
        ("payment", "amount_minor"): "payment.amount_minor",
        ("payment", "currency"): "payment.currency",
        ("payment", "provider"): "payment.provider",
        ("payment", "session_id"): "payment.session_id",
        ("series", "rrule"): "event.recurrence.rrule",
        ("series", "exdates"): "event.recurrence.exdates",
        ("series", "timezone"): "event.timezone",
        ("consent", "contact_ref"): "attendee.id",
        ("consent", "purpose"): "consent.purpose",
        ("consent", "granted"): "consent.granted",
        ("consent", "basis"): "consent.basis",
        ("consent", "text_hash"): "consent.text_hash",
        ("consent", "decided_at"): "consent.at",
    }
)
"""By kind and field. A field that is not in it comes from elsewhere."""
