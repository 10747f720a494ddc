"""calendar.live's webhooks as observations. The contract is in `docs/calendar-live.md`."""

from collections.abc import Callable
from functools import partial

import orjson

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_processors.normalise.email import normalise_email
from calstream_processors.normalise.instant import clamp, parse_instant, wall_clock
from calstream_processors.normalise.name import normalise_name
from calstream_processors.normalise.phone import normalise_phone
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import (
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)
from calstream_schemas.webhooks import ReceivedWebhook

SYSTEM = "calendar_live"
ROLE = "calendar"

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
_PAYMENT_STATUSES = frozenset({"pending", "succeeded", "failed", "refunded"})
_NO_USE_YET = frozenset({"hold.created", "hold.released", "consent.updated"})

Read = Callable[[], Values]


class _Webhook:
    """One webhook being read: what all its observations have in common."""

    def __init__(self, webhook: ReceivedWebhook, body: Body, default_country: str) -> None:
        self.webhook = webhook
        self.default_country = default_country
        self.type = body.required_text("type")
        event_id = body.text("id")
        self.event_id = event_id or webhook.delivery_id or webhook.id
        self.occurred_at = self.instant(body, "created_at")
        self.observations: list[Observation] = []

    def instant(self, body: Body, name: str) -> int:
        """A required time of change, clamped to when we received it."""
        at = parse_instant(body.required_text(name), body.place(name))
        return clamp(at, self.webhook.received_at)

    def observe(
        self,
        body: Body,
        kind: str,
        natural_id: NaturalId,
        stamp: Stamp,
        groups: dict[str, Read],
        *,
        fact: Fact = Fact.STATE,
        aspect: str = "",
    ) -> None:
        """Adds an observation with every group that can be read; the others become problems.

        `aspect` tells apart two observations of one object in one webhook.
        """
        statements = []
        for group, read in groups.items():
            values = body.attempt(read)
            if values is not None:
                statements.append(Statement(group, values, stamp))
        self.observations.append(
            Observation(
                id=observation_id(SYSTEM, self.event_id + aspect, fact, natural_id),
                workspace=self.webhook.workspace,
                fact=fact,
                kind=kind,
                natural_id=natural_id,
                role=ROLE,
                received_at=self.webhook.received_at,
                occurred_at=stamp.modified_at,
                statements=tuple(statements),
                event_id=self.event_id,
                event_type=self.type,
                delivery_id=self.webhook.delivery_id,
            )
        )


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
    reading = _Webhook(webhook, body, default_country)
    data = body.child("data") or Body({}, "data", body.problems)
    if reading.type in _ATTENDANCE_STATUS:
        _read_event(reading, data)
    elif reading.type == "attendee.updated":
        _read_attendee(reading, _required(data, "attendee"))
    elif reading.type == "attendee.deleted":
        _read_deleted(reading, _required(data, "attendee"))
    elif reading.type.startswith("payment."):
        _read_payment(reading, data)
    else:
        return [], "ignored" if reading.type in _NO_USE_YET else "unknown"
    return reading.observations, "observed"


def _required(data: Body, name: str) -> Body:
    child = data.child(name)
    if child is None:
        raise RecordError(Code.BODY_INVALID, "missing", field=data.place(name))
    return child


def _read_event(reading: _Webhook, data: Body) -> None:
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
        _read_attendee(reading, attendee)
    # with an attendee, `event.cancelled` cancels that attendance; the event says for itself
    reading.observe(
        event,
        "booking",
        NaturalId(SYSTEM, "event", event_id),
        stamp,
        {
            "uid": lambda: {"uid": event.text("uid")},
            "title": lambda: {"title": event.text("title")},
            "schedule": partial(_schedule, event),
            "status": partial(_status, event),
            "event_type": partial(_event_type, event),
            "host": partial(_host, event),
            "location": partial(_location, event),
            "recurrence": partial(_recurrence, event),
            "origin": partial(_origin, event),
        },
    )
    if attendee and attendee_id:
        status = _ATTENDANCE_STATUS[reading.type]
        reading.observe(
            event,
            "attendance",
            NaturalId(SYSTEM, "attendance", f"{event_id}/{attendee_id}"),
            stamp,
            {
                "booking": lambda: {"booking_ref": str(NaturalId(SYSTEM, "event", event_id))},
                "contact": lambda: {"contact_ref": str(NaturalId(SYSTEM, "attendee", attendee_id))},
                "status": lambda: {"status": status},
                "answers": partial(_answers, event),
            },
        )
    if payment and attendee_id:
        _read_payment_object(reading, payment, event_id, attendee_id)


def _read_attendee(reading: _Webhook, attendee: Body) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(attendee, "last_modified"), by_self=False)
    reading.observe(
        attendee,
        "contact",
        NaturalId(SYSTEM, "attendee", attendee.required_text("id")),
        stamp,
        {
            "email": partial(_email, attendee),
            "name": lambda: {"full_name": _name(attendee, "full_name")},
            "phone": partial(_phone, attendee, reading.default_country),
            "company": lambda: {"company": attendee.text("company")},
            "locale": lambda: {
                "timezone": attendee.text("timezone"),
                "locale": attendee.text("locale"),
            },
        },
    )


def _read_deleted(reading: _Webhook, attendee: Body) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(attendee, "last_modified"), by_self=False)
    natural_id = NaturalId(SYSTEM, "attendee", attendee.required_text("id"))
    reading.observe(attendee, "contact", natural_id, stamp, {}, fact=Fact.GONE)


def _read_payment(reading: _Webhook, data: Body) -> None:
    event, attendee = _required(data, "event"), _required(data, "attendee")
    _read_payment_object(
        reading,
        _required(data, "payment"),
        event.required_text("id"),
        attendee.required_text("id"),
    )


def _read_payment_object(reading: _Webhook, payment: Body, event_id: str, attendee_id: str) -> None:
    stamp = Stamp(NO_VERSION, reading.instant(payment, "last_modified"), by_self=False)
    booking = str(NaturalId(SYSTEM, "event", event_id))
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
            "amount": partial(_amount, payment),
            "session": lambda: {
                "provider": payment.text("provider"),
                "session_id": payment.text("session_id"),
            },
        },
    )
    # the attendance tells whether it is paid, so that whoever looks at it need not look further.
    # Its other groups come from the event's webhooks, before or after this one.
    reading.observe(
        payment,
        "attendance",
        attendance,
        stamp,
        {
            "booking": lambda: {"booking_ref": booking},
            "payment": lambda: {"payment_status": status, "payment_failure": failure},
        },
        aspect="#payment",
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
    text = body.text(field)
    return normalise_name(text) if text else None


def _phone(attendee: Body, default_country: str) -> Values:
    raw = attendee.text("phone")
    return {"phone": normalise_phone(raw, default_country) if raw else None, "phone_raw": raw}


def _schedule(event: Body) -> Values:
    start = parse_instant(event.required_text("start"), event.place("start"))
    end = parse_instant(event.required_text("end"), event.place("end"))
    if end < start:
        raise RecordError(Code.TIME_INVALID, "ends before it starts", field=event.place("end"))
    zone = event.text("timezone")
    return {
        "start_at": start,
        "end_at": end,
        "timezone": zone,
        "wall_start": wall_clock(start, zone) if zone else None,
    }


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


def _recurrence(event: Body) -> Values:
    recurrence = event.child("recurrence")
    if recurrence is None:
        return {"series_id": None, "recurrence_id": None, "rrule": None, "exdates": None}
    exdates = recurrence.fields.get("exdates") or []
    if not isinstance(exdates, list) or not all(isinstance(d, str) for d in exdates):
        raise RecordError(
            Code.BODY_INVALID, "not a list of texts", field=recurrence.place("exdates")
        )
    return {
        "series_id": recurrence.text("series_id"),
        "recurrence_id": recurrence.text("recurrence_id"),
        "rrule": recurrence.text("rrule"),
        "exdates": tuple(sorted(exdates)),
    }


def _origin(event: Body) -> Values:
    origin = event.child("origin")
    if origin is None:
        return {"origin_system": None, "origin_id": None}
    return {"origin_system": origin.text("system"), "origin_id": origin.text("external_id")}


def _amount(payment: Body) -> Values:
    amount = payment.whole("amount_minor")
    if amount is not None and amount < 0:
        raise RecordError(Code.BODY_INVALID, "negative", field=payment.place("amount_minor"))
    currency = payment.text("currency")
    return {"amount_minor": amount, "currency": currency.upper() if currency else None}


def _answers(event: Body) -> Values:
    answers = event.fields.get("answers")
    return {"answers": _json(answers) if answers else None}


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
