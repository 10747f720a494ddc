"""calendar.live's webhooks as observations. The contract is in `docs/calendar-live.md`."""

from functools import partial

import orjson

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_processors.normalise.calendar_live_consent import read_consent, read_consent_update
from calstream_processors.normalise.calendar_live_hold import read_hold, schedule
from calstream_processors.normalise.calendar_live_reading import (
    SYSTEM,
    Read,
    Reading,
    attendee_of,
    event_of,
    hold_of,
    made_elsewhere,
)
from calstream_processors.normalise.calendar_live_series import read_series, recurrence
from calstream_processors.normalise.email import normalise_email
from calstream_processors.normalise.money import not_negative, read_amount
from calstream_processors.normalise.name import MAX_NAME, normalise_name
from calstream_processors.normalise.phone import normalise_phone
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import NO_VERSION, Fact, Observation
from calstream_schemas.rule_sets import CRM
from calstream_schemas.webhooks import ReceivedWebhook

# what an event's webhook says of the attendance that it carries
_ATTENDANCE_STATUS = {
    "event.created": "registered",
    "event.updated": "registered",
    "event.rescheduled": "registered",
    "event.cancelled": "cancelled",
    "event.completed": "attended",
    "event.no_show": "no_show",
}
_EVENT_STATUSES = frozenset({"tentative", "confirmed", "cancelled", "completed", "no_show"})
_HOLDS = frozenset({"hold.created", "hold.released"})
_PAYMENT_STATUSES = frozenset({"pending", "succeeded", "failed", "refunded"})


def read(
    webhook: ReceivedWebhook, body: Body, default_country: str
) -> tuple[list[Observation], str]:
    """The observations of one webhook: the person first, then what refers to them.

    Raises:
        RecordError: nothing of it can be used.
    """
    workspace = body.fields.get("workspace", webhook.workspace)
    if workspace != webhook.workspace:
        raise RecordError(
            Code.WORKSPACE_MISMATCH, "The body names another workspace.", field="workspace"
        )
    reading = Reading(webhook, body, default_country)
    data = body.child("data") or Body({}, "data", body.problems)
    if reading.type in _ATTENDANCE_STATUS:
        _read_event(reading, data)
    elif reading.type == "attendee.updated":
        _read_attendee(reading, _required(data, "attendee"))
    elif reading.type == "attendee.deleted":
        _read_deleted(reading, _required(data, "attendee"))
    elif reading.type.startswith("payment."):
        _read_payment(reading, data)
    elif reading.type in _HOLDS:
        read_hold(reading, _required(data, "hold"))
    elif reading.type == "consent.updated":
        read_consent_update(reading, _required(data, "attendee"), _required(data, "consent"))
    else:
        return [], "unknown"
    return reading.observations, "observed"


def _required(data: Body, name: str) -> Body:
    child = data.child(name)
    if child is None:
        raise RecordError(Code.BODY_INVALID, "missing", field=data.place(name))
    return child


def _read_event(reading: Reading, data: Body) -> None:
    event = _required(data, "event")
    attendee = data.child("attendee")
    payment = data.child("payment")
    event_id = event.required_text("id")
    version = event.attempt(lambda: event.whole("sequence"))
    stamp = Stamp(
        NO_VERSION if version is None or version < 0 else version,
        reading.instant(event, "last_modified"),
        by_self=False,
    )
    attendee_id = attendee.required_text("id") if attendee else None
    if attendee:
        # who books was there when they booked, though nothing of them may have changed since
        booked = reading.type == "event.created"
        _read_attendee(reading, attendee, there_at=stamp.modified_at if booked else 0)
    read_series(reading, event)
    hold_id = event.attempt(lambda: event.text("hold_id"))
    hold = hold_of(hold_id) if hold_id else None
    origin = _origin(event)
    elsewhere = made_elsewhere(origin) if origin else None
    # what that system says of its booking, before or later, is of this one; told first, so that
    # nothing it says can come in between, unless the event's booking is known by its hold
    if elsewhere and not hold:
        _read_elsewhere(reading, event, elsewhere, stamp, event_id)
    # with an attendee, `event.cancelled` cancels that attendance; the event says for itself
    reading.observe(
        event,
        "booking",
        event_of(event_id),
        stamp,
        _booking_groups(event, origin),
        same_as=hold or elsewhere,
    )
    if hold:  # it is no hold any more, and what is heard of it later finds this booking
        became = event_of(event_id)
        reading.observe(event, "booking", hold, stamp, {}, fact=Fact.GONE, same_as=became)
    if elsewhere and hold:
        _read_elsewhere(reading, event, elsewhere, stamp, event_id)
    if attendee_id:
        _read_attendance(reading, event, stamp, event_id, attendee_id)
    if payment and attendee_id:
        _read_payment_object(reading, payment, event_id, attendee_id)


def _booking_groups(event: Body, origin: Values | None) -> dict[str, Read]:
    groups: dict[str, Read] = {
        "uid": lambda: {"uid": event.text("uid")},
        "title": lambda: {"title": event.text("title")},
        "schedule": partial(schedule, event),
        "status": partial(_status, event),
        "event_type": partial(_event_type, event),
        "host": partial(_host, event),
        "location": partial(_location, event),
        "recurrence": partial(recurrence, event),
    }
    return groups if origin is None else {**groups, "origin": lambda: origin}


def _read_attendance(
    reading: Reading, event: Body, stamp: Stamp, event_id: str, attendee_id: str
) -> None:
    status = _ATTENDANCE_STATUS[reading.type]
    reading.observe(
        event,
        "attendance",
        NaturalId(SYSTEM, "attendance", f"{event_id}/{attendee_id}"),
        stamp,
        {
            "booking": lambda: {"booking_ref": str(event_of(event_id))},
            "contact": lambda: {"contact_ref": str(attendee_of(attendee_id))},
            "status": lambda: {"status": status},
            "answers": partial(_answers, event),
        },
    )


def _read_attendee(reading: Reading, attendee: Body, there_at: int = 0) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(attendee, "last_modified"), by_self=False)
    reading.observe(
        attendee,
        "contact",
        attendee_of(attendee.required_text("id")),
        stamp,
        {
            "email": partial(_email, attendee),
            "name": lambda: {"full_name": _name(attendee, "full_name")},
            "phone": partial(_phone, attendee, reading.default_country),
            "company": lambda: {"company": attendee.text("company", most=MAX_NAME)},
            "locale": lambda: {
                "timezone": attendee.text("timezone"),
                "locale": attendee.text("locale"),
            },
        },
        there_at=there_at,
    )
    consent = attendee.child("consent")
    if consent is not None:
        attendee_id = attendee.required_text("id")
        consent.attempt(lambda: read_consent(reading, attendee_id, consent))


def _read_deleted(reading: Reading, attendee: Body) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(attendee, "last_modified"), by_self=False)
    natural_id = attendee_of(attendee.required_text("id"))
    reading.observe(attendee, "contact", natural_id, stamp, {}, fact=Fact.GONE)


def _read_payment(reading: Reading, data: Body) -> None:
    event, attendee = _required(data, "event"), _required(data, "attendee")
    _read_payment_object(
        reading,
        _required(data, "payment"),
        event.required_text("id"),
        attendee.required_text("id"),
    )


def _read_payment_object(reading: Reading, payment: Body, event_id: str, attendee_id: str) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(payment, "last_modified"), by_self=False)
    booking = str(event_of(event_id))
    attendance = NaturalId(SYSTEM, "attendance", f"{event_id}/{attendee_id}")
    status = payment.attempt(lambda: _one_of(payment, "status", _PAYMENT_STATUSES))
    if status is None:
        return
    failure = payment.attempt(lambda: payment.text("failure_code"))
    reading.observe(
        payment,
        "payment",
        NaturalId(SYSTEM, "payment", attendance.object_id),
        stamp,
        {
            "booking": lambda: {"booking_ref": booking},
            "attendance": lambda: {"attendance_ref": str(attendance)},
            "status": lambda: {"status": status, "failure_code": failure},
            "amount": partial(read_amount, payment),
            "session": lambda: {
                "provider": payment.text("provider"),
                "session_id": payment.text("session_id"),
            },
        },
    )


def _one_of(body: Body, name: str, known: frozenset[str]) -> str:
    value = body.required_text(name)
    if value not in known:
        raise RecordError(Code.BODY_INVALID, "not a known value", field=body.place(name))
    return value


def _email(attendee: Body) -> Values:
    text = attendee.text("email")
    return {"email": normalise_email(text) if text else None}


def _name(body: Body, field: str) -> str | None:
    text = body.text(field, most=MAX_NAME)
    return normalise_name(text) if text else None


def _phone(attendee: Body, default_country: str) -> Values:
    raw = attendee.text("phone", most=MAX_NAME)
    number = normalise_phone(raw, default_country) if raw else None
    if raw and number is None:
        attendee.keep_raw(Code.PHONE_UNREADABLE, "phone", "no number of any country")
    return {"phone": number, "phone_raw": raw}


def _status(event: Body) -> Values:
    status = _one_of(event, "status", _EVENT_STATUSES)
    # an event that stands may carry the cancellation of one attendance
    cancellation = event.fields.get("cancellation") if status == "cancelled" else None
    return {
        "status": status,
        "cancellation": None if cancellation is None else _json(cancellation),
    }


def _event_type(event: Body) -> Values:
    kind = event.child("event_type")
    if kind is None:
        return {"event_type": None, "event_kind": None, "paid": None}
    not_negative(kind, "price_minor")
    return {
        "event_type": kind.text("slug"),
        "event_kind": kind.text("kind"),
        "paid": kind.fields.get("paid") is True,
    }


def _host(event: Body) -> Values:
    host = event.child("host")
    if host is None:
        return {"host_id": None, "host_email": None, "host_name": None}
    email = host.text("email")
    return {
        "host_id": host.text("id"),
        "host_email": normalise_email(email) if email else None,
        "host_name": _name(host, "name"),
    }


def _location(event: Body) -> Values:
    location = event.child("location")
    if location is None:
        return {"location_kind": None, "join_url": None}
    return {"location_kind": location.text("kind"), "join_url": location.text("join_url")}


def _origin(event: Body) -> Values | None:
    """What made it through the API; None where that can't be read."""

    def read() -> Values:
        origin = event.child("origin")
        if origin is None:
            return {"origin_system": None, "origin_id": None}
        return {"origin_system": origin.text("system"), "origin_id": origin.text("external_id")}

    return event.attempt(read)


def _read_elsewhere(
    reading: Reading, event: Body, elsewhere: NaturalId, stamp: Stamp, event_id: str
) -> None:
    became = event_of(event_id)
    reading.observe(event, "booking", elsewhere, stamp, {}, same_as=became, role=CRM)


def _answers(event: Body) -> Values:
    answers = event.fields.get("answers")
    return {"answers": _json(answers) if answers else None}


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
