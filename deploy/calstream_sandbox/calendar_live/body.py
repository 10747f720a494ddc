"""Webhook bodies: the JSON shapes of calendar.live's contract, as pure functions of the model."""

from datetime import datetime
from typing import Any

from calstream_sandbox.calendar_live.model import (
    Attendance,
    Attendee,
    Cancellation,
    Consent,
    Event,
    Hold,
    Payment,
)
from calstream_sandbox.delivery_log import stamp

API_VERSION = "2026-01-24"


def wall(time: datetime) -> str:
    """A start or an end: whole seconds, Z for UTC, else the offset it was given with."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def envelope(
    webhook_id: str,
    webhook_type: str,
    data: dict[str, Any],
    *,
    workspace: str,
    created_at: datetime,
    live_mode: bool = True,
) -> dict[str, Any]:
    """The whole body of one webhook."""
    return {
        "id": webhook_id,
        "type": webhook_type,
        "created_at": stamp(created_at),
        "api_version": API_VERSION,
        "workspace": workspace,
        "live_mode": live_mode,
        "data": data,
    }


def event_data(event: Event, attendance: Attendance | None) -> dict[str, Any]:
    """The `data` of every `event.*`; without an attendance the webhook is about all of them."""
    return {
        "event": event_json(event, attendance),
        "attendee": None if attendance is None else attendee_json(attendance.attendee),
        "payment": None
        if attendance is None or attendance.payment is None
        else payment_json(attendance.payment),
    }


def event_json(event: Event, attendance: Attendance | None = None) -> dict[str, Any]:
    """An event; one attendance's own cancellation shows where the event itself stands."""
    cancellation = event.cancellation or (attendance.cancellation if attendance else None)
    held = {} if event.hold_id is None else {"hold_id": event.hold_id}
    return {
        "id": event.id,
        "uid": event.uid,
        "title": event.title,
        "status": event.status,
        "start": wall(event.start),
        "end": wall(event.end),
        "timezone": event.timezone,
        "last_modified": stamp(event.last_modified),
        "sequence": event.sequence,
        "event_type": {
            "slug": event.event_type.slug,
            "title": event.event_type.title,
            "kind": event.event_type.kind,
            "paid": event.event_type.paid,
            "price_minor": event.event_type.price_minor,
            "currency": event.event_type.currency,
        },
        "host": {"id": event.host.id, "email": event.host.email, "name": event.host.name},
        "location": {"kind": event.location.kind, "join_url": event.location.join_url},
        "recurrence": _recurrence_json(event),
        "answers": dict(event.answers),
        "cancellation": None if cancellation is None else _cancellation_json(cancellation),
        "origin": None
        if event.origin is None
        else {"system": event.origin.system, "external_id": event.origin.external_id},
        **held,
    }


def attendee_json(attendee: Attendee) -> dict[str, Any]:
    """An attendee."""
    return {
        "id": attendee.id,
        "email": attendee.email,
        "full_name": attendee.full_name,
        "phone": attendee.phone,
        "company": attendee.company,
        "timezone": attendee.timezone,
        "locale": attendee.locale,
        "last_modified": stamp(attendee.last_modified),
        "consent": None if attendee.consent is None else consent_json(attendee.consent),
    }


def consent_json(consent: Consent) -> dict[str, Any]:
    """A consent."""
    return {
        "purpose": consent.purpose,
        "granted": consent.granted,
        "basis": consent.basis,
        "text_hash": consent.text_hash,
        "at": stamp(consent.at),
    }


def payment_json(payment: Payment) -> dict[str, Any]:
    """A payment."""
    return {
        "session_id": payment.session_id,
        "provider": "stripe",
        "status": payment.status,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "failure_code": payment.failure_code,
        "last_modified": stamp(payment.last_modified),
    }


def hold_json(hold: Hold) -> dict[str, Any]:
    """A hold."""
    return {
        "id": hold.id,
        "host": {"id": hold.host_id},
        "start": wall(hold.start),
        "end": wall(hold.end),
        "timezone": hold.timezone,
        "expires_at": stamp(hold.expires_at),
        "last_modified": stamp(hold.last_modified),
        "released_reason": hold.released_reason,
        "event_id": hold.event_id,
    }


def _recurrence_json(event: Event) -> dict[str, Any] | None:
    if event.recurrence is None:
        return None
    return {
        "series_id": event.recurrence.series_id,
        "recurrence_id": event.recurrence.recurrence_id,
        "rrule": event.recurrence.rrule,
        "exdates": list(event.recurrence.exdates),
    }


def _cancellation_json(cancellation: Cancellation) -> dict[str, Any]:
    return {
        "reason": cancellation.reason,
        "by": cancellation.by,
        "at": stamp(cancellation.at),
    }
