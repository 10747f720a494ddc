"""The calendar.live simulator's webhooks have the contract's shapes and tell its story."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from calstream_sandbox.calendar_live.builder import Webhook, WebhookBuilder
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import (
    Attendee,
    Consent,
    EventType,
    Host,
    Location,
    Origin,
    Recurrence,
)
from calstream_sandbox.calendar_live.signature import delivery_headers, sign
from calstream_sandbox.ids import IdSource

NOW = datetime(2026, 11, 20, 9, 15, 1, 998_000, tzinfo=UTC)
START = datetime(2026, 11, 27, 15, tzinfo=UTC)
END = START + timedelta(minutes=30)
HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
TRIAL = EventType("trial-30", "Trial, 30 min")
PAID = EventType("paid-60", "Workshop", kind="group", paid=True, price_minor=4900)
CONSENT = Consent("marketing", True, "consent", "sha256:9f2b", NOW - timedelta(milliseconds=498))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calendar(clock: Clock) -> Calendar:
    return Calendar("acme", seed="seed", now=clock)


def jo(calendar: Calendar) -> Attendee:
    return calendar.add_attendee(
        " Jo.Park@Example.COM ",
        "Jo Park",
        phone="(415) 555-2671",
        company="Northwind",
        timezone="America/Los_Angeles",
        locale="en-US",
        consent=CONSENT,
    )


def booking(event_type: EventType = TRIAL, **more: Any) -> Booking:
    return Booking(HOST, event_type, START, END, "America/New_York", **more)


def data(webhook: Webhook) -> dict[str, Any]:
    told: dict[str, Any] = webhook.body["data"]
    return told


def test_a_booking_gives_the_body_of_the_contract(calendar: Calendar, clock: Clock) -> None:
    answers = (("team_size", "51-200"), ("timeline", "this quarter"))
    event, (webhook,) = calendar.book(booking(title="Product trial", answers=answers), jo(calendar))
    attendee = next(iter(calendar.attendees.values()))
    assert orjson.loads(webhook.raw) == {
        "id": webhook.id,
        "type": "event.created",
        "created_at": "2026-11-20T09:15:01.998Z",
        "api_version": "2026-01-24",
        "workspace": "acme",
        "live_mode": True,
        "data": {
            "event": {
                "id": event.id,
                "uid": event.uid,
                "title": "Product trial",
                "status": "confirmed",
                "start": "2026-11-27T15:00:00Z",
                "end": "2026-11-27T15:30:00Z",
                "timezone": "America/New_York",
                "last_modified": "2026-11-20T09:15:01.998Z",
                "sequence": 0,
                "event_type": {
                    "slug": "trial-30",
                    "title": "Trial, 30 min",
                    "kind": "one_to_one",
                    "paid": False,
                    "price_minor": 0,
                    "currency": "USD",
                },
                "host": {"id": "usr_12", "email": "dana@acme.example", "name": "Dana Reyes"},
                "location": {"kind": "zoom", "join_url": None},
                "recurrence": None,
                "answers": {"team_size": "51-200", "timeline": "this quarter"},
                "cancellation": None,
                "origin": None,
            },
            "attendee": {
                "id": attendee.id,
                "email": " Jo.Park@Example.COM ",
                "full_name": "Jo Park",
                "phone": "(415) 555-2671",
                "company": "Northwind",
                "timezone": "America/Los_Angeles",
                "locale": "en-US",
                "last_modified": "2026-11-20T09:15:01.998Z",
                "consent": {
                    "purpose": "marketing",
                    "granted": True,
                    "basis": "consent",
                    "text_hash": "sha256:9f2b",
                    "at": "2026-11-20T09:15:01.500Z",
                },
            },
            "payment": None,
        },
    }
    assert webhook.id.startswith("evt_")
    assert event.id.startswith("cal_")
    assert event.uid.endswith("@calendar.live")
    assert clock.now == NOW


def test_a_reschedule_keeps_the_ids_and_raises_the_sequence(
    calendar: Calendar, clock: Clock
) -> None:
    event, (created,) = calendar.book(booking(), jo(calendar))
    clock.now += timedelta(minutes=5)
    (moved,) = calendar.reschedule(event, START + timedelta(days=1), END + timedelta(days=1))
    before, after = data(created)["event"], data(moved)["event"]
    assert moved.type == "event.rescheduled"
    assert (after["id"], after["uid"]) == (before["id"], before["uid"])
    assert (before["sequence"], after["sequence"]) == (0, 1)
    assert after["start"] == "2026-11-28T15:00:00Z"
    assert after["last_modified"] > before["last_modified"]
    assert before["start"] == "2026-11-27T15:00:00Z"  # what was built keeps its state


def test_last_modified_rises_even_when_the_clock_stands(calendar: Calendar) -> None:
    event, _ = calendar.book(booking(), jo(calendar))
    stamps = [data(*calendar.update(event, title=f"T{n}"))["event"] for n in range(3)]
    assert [one["sequence"] for one in stamps] == [1, 2, 3]
    assert [one["last_modified"][-4:] for one in stamps] == ["999Z", "000Z", "001Z"]


def test_a_group_event_tells_each_attendee_apart(calendar: Calendar) -> None:
    first, second = jo(calendar), calendar.add_attendee("dana@acme.example", "Dana Reyes")
    event, webhooks = calendar.book(booking(PAID), first, second)
    assert [data(one)["attendee"]["id"] for one in webhooks] == [first.id, second.id]
    assert len({one.id for one in webhooks}) == 2
    (left,) = calendar.cancel(event, first, reason="ill", by="attendee")
    told = data(left)
    assert told["attendee"]["id"] == first.id
    assert told["event"]["status"] == "confirmed"
    assert told["event"]["cancellation"] == {
        "reason": "ill",
        "by": "attendee",
        "at": told["event"]["last_modified"],
    }
    (moved,) = calendar.reschedule(event, START, END)
    assert data(moved)["attendee"]["id"] == second.id
    assert data(moved)["event"]["cancellation"] is None
    (joined,) = calendar.join(event, calendar.add_attendee("late@acme.example", "Late"))
    assert (joined.type, data(joined)["attendee"]["email"]) == (
        "event.created",
        "late@acme.example",
    )


def test_cancelling_an_event_tells_no_attendee(calendar: Calendar) -> None:
    event, _ = calendar.book(booking(PAID), jo(calendar))
    (cancelled,) = calendar.cancel(event, reason="host away")
    told = data(cancelled)
    assert told["attendee"] is None
    assert told["payment"] is None
    assert told["event"]["status"] == "cancelled"
    assert told["event"]["cancellation"]["by"] == "host"


def test_a_one_to_one_event_ends_with_its_attendance(calendar: Calendar) -> None:
    attendee = jo(calendar)
    event, _ = calendar.book(booking(), attendee)
    (cancelled,) = calendar.cancel(event, attendee, by="attendee")
    assert data(cancelled)["event"]["status"] == "cancelled"
    assert data(cancelled)["attendee"]["id"] == attendee.id


def test_a_payment_is_pending_until_it_is_settled(calendar: Calendar) -> None:
    attendee = jo(calendar)
    event, (created,) = calendar.book(booking(PAID), attendee)
    pending = data(created)["payment"]
    assert (pending["status"], pending["amount_minor"], pending["provider"]) == (
        "pending",
        4900,
        "stripe",
    )
    (failed,) = calendar.fail_payment(event, attendee, "card_declined")
    assert failed.type == "payment.failed"
    assert data(failed)["payment"]["failure_code"] == "card_declined"
    (paid,) = calendar.pay(event, attendee)
    assert data(paid) == {
        "event": {"id": event.id, "uid": event.uid},
        "attendee": {"id": attendee.id},
        "payment": data(paid)["payment"],
    }
    assert data(paid)["payment"]["failure_code"] is None
    (refunded,) = calendar.refund(event, attendee)
    assert data(refunded)["payment"]["session_id"] == pending["session_id"]
    assert data(refunded)["payment"]["status"] == "refunded"


def test_an_attendee_is_changed_and_deleted(calendar: Calendar) -> None:
    attendee = jo(calendar)
    (updated,) = calendar.update_attendee(attendee, company="Southwind")
    assert data(updated)["attendee"]["company"] == "Southwind"
    (withdrawn,) = calendar.withdraw_consent(attendee)
    assert withdrawn.type == "consent.updated"
    assert data(withdrawn)["attendee"] == {"id": attendee.id, "email": attendee.email}
    assert data(withdrawn)["consent"]["granted"] is False
    (deleted,) = calendar.delete_attendee(attendee)
    assert data(deleted) == {
        "attendee": {"id": attendee.id, "last_modified": "2026-11-20T09:15:02.001Z"}
    }


def test_a_hold_is_released_as_the_event_it_became(calendar: Calendar) -> None:
    hold, (created,) = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    assert data(created)["hold"]["expires_at"] == "2026-11-20T09:25:01.998Z"
    assert data(created)["hold"]["host"] == {"id": "usr_12"}
    event, (webhook,) = calendar.book(booking(hold=hold), jo(calendar))
    assert data(webhook)["event"]["hold_id"] == hold.id
    (released,) = calendar.release(hold, "confirmed", event)
    assert (released.type, data(released)["hold"]["event_id"]) == ("hold.released", event.id)


def test_what_is_seldom_there_is_told_too(calendar: Calendar) -> None:
    event, (webhook,) = calendar.book(
        booking(
            location=Location("in_person"),
            recurrence=Recurrence("ser_1", "20261127T150000Z", "FREQ=WEEKLY", ("20261204",)),
            origin=Origin("hubspot", "501"),
        )
    )
    told = data(webhook)["event"]
    assert data(webhook)["attendee"] is None
    assert told["location"] == {"kind": "in_person", "join_url": None}
    assert told["recurrence"]["exdates"] == ["20261204"]
    assert told["origin"] == {"system": "hubspot", "external_id": "501"}
    assert [data(*change)["event"]["status"] for change in (calendar.complete(event),)] == [
        "completed"
    ]
    assert calendar.no_show(event)[0].type == "event.no_show"


def test_an_offset_is_kept_as_it_was_given() -> None:
    eastern = datetime.fromisoformat("2026-11-27T10:00:00-05:00")
    calendar = Calendar("acme")
    _, (webhook,) = calendar.book(
        Booking(HOST, TRIAL, eastern, eastern + timedelta(hours=1), "America/New_York")
    )
    assert data(webhook)["event"]["start"] == "2026-11-27T10:00:00-05:00"


def test_a_seed_gives_the_same_ids_again_and_no_seed_never_does() -> None:
    def ids(seed: str | None) -> list[str]:
        source = IdSource(seed)
        return [source.next("evt") for _ in range(3)] + [source.uid("cal_1")]

    assert ids("a") == ids("a")
    assert len({*ids("a"), *ids("b"), *ids(None), *ids(None)}) == 16


def test_a_builder_wraps_any_data() -> None:
    builder = WebhookBuilder("acme", now=lambda: NOW, live_mode=False)
    webhook = builder.build("something.new", {"x": 1})
    assert (webhook.body["type"], webhook.body["live_mode"]) == ("something.new", False)


def test_the_signature_is_hex_hmac_sha256_of_the_raw_body() -> None:
    # RFC 4231, test case 2
    secret, body = "Jefe", b"what do ya want for nothing?"
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign(secret, body) == expected
    headers = delivery_headers(secret, body, "dlv_1")
    assert (headers["X-CL-Signature"], headers["X-CL-Delivery-ID"]) == (expected, "dlv_1")
