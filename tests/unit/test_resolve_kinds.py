"""Holds, consents and series: from calendar.live's webhooks to entities, in any order."""

import itertools
import json
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calstream_core.clock import to_microseconds
from calstream_core.errors import Code, RecordError
from calstream_processors.normalise import Normalised, normalise
from calstream_processors.normalise.calendar_live_fields import SOURCE_OF_FIELD
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Attendee, Consent, EventType, Host, Recurrence
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.webhooks import ReceivedWebhook

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = NOON + timedelta(days=7)
END = START + timedelta(minutes=30)
HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
TRIAL = EventType("trial", "Trial")


class Clock:
    """Later at each look."""

    def __init__(self, step: timedelta) -> None:
        self.now = NOON
        self._step = step

    def __call__(self) -> datetime:
        self.now += self._step
        return self.now


def _calendar(step: timedelta = timedelta(seconds=1)) -> Calendar:
    return Calendar("acme", seed="kinds", now=Clock(step))


def _booking(**more: Any) -> Booking:
    return Booking(HOST, TRIAL, START, END, "America/New_York", **more)


def _normalise(body: bytes) -> Normalised:
    webhook = ReceivedWebhook(
        id=str(uuid.UUID(int=1)),
        workspace="acme",
        source="calendar_live",
        received_at=to_microseconds(NOON + timedelta(hours=1)),
        delivery_id="dlv_1",
        scheme="hmac-sha256",
        secret_label="default",
        content_type="application/json",
        body=body,
    )
    return normalise(webhook, "US")


def _resolved(webhooks: Iterable[Webhook]) -> Workspace:
    workspace = Workspace()
    for webhook in webhooks:
        for observation in _normalise(webhook.raw).observations:
            for entity in resolve(workspace, observation, CALENDAR_TO_CRM):
                workspace.put(entity)
    return workspace


def _of(workspace: Workspace, kind: str) -> list[Entity]:
    return [entity for entity in workspace.entities.values() if entity.kind == kind]


def _truth(workspace: Workspace) -> list[Any]:
    """What does not depend on which object was heard of first: all but ids and versions."""
    by_id = {entity.id: sorted(map(str, entity.copies)) for entity in workspace.entities.values()}
    return sorted(
        (
            entity.kind,
            sorted(map(str, entity.copies)),
            sorted((name, str(value)) for name, value in entity.values.items()),
            sorted((field, by_id[id_]) for field, id_ in entity.references.items()),
        )
        for entity in workspace.entities.values()
    )


def _held_and_confirmed(step: timedelta = timedelta(seconds=1)) -> list[Webhook]:
    calendar = _calendar(step)
    person = calendar.add_attendee("jo@example.com", "Jo Park")
    hold, told = calendar.hold(HOST, START, END, "America/New_York", ttl=timedelta(minutes=10))
    event, booked = calendar.book(_booking(hold=hold), person)
    told += booked
    told += calendar.release(hold, "confirmed", event)
    moved = START + timedelta(days=1)
    return told + calendar.reschedule(event, moved, moved + timedelta(minutes=30))


def test_a_hold_is_a_booking_that_is_held() -> None:
    hold, told = _calendar().hold(HOST, START, END, "America/New_York", ttl=timedelta(minutes=10))
    (booking,) = _of(_resolved(told), "booking")
    assert booking.values["status"] == "held"
    assert booking.values["hold_id"] == hold.id
    assert booking.values["hold_expires_at"] == to_microseconds(hold.expires_at)
    assert booking.values["start_at"] == to_microseconds(START)
    assert booking.values["wall_start"] == "2026-11-27T07:00:00"
    assert booking.values["host_id"] == "usr_12"


@pytest.mark.parametrize("reason", ["expired", "abandoned"])
def test_a_hold_that_ends_is_cancelled_and_says_why(reason: str) -> None:
    calendar = _calendar()
    hold, told = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    told += calendar.release(hold, reason)
    for order in itertools.permutations(told):
        (booking,) = _of(_resolved(order), "booking")
        assert booking.values["status"] == "cancelled"
        assert booking.values["cancellation"] == json.dumps({"reason": reason}).replace(" ", "")


def test_a_booking_keeps_its_id_when_its_hold_is_confirmed() -> None:
    told = _held_and_confirmed()
    (held,) = _of(_resolved(told[:1]), "booking")
    (booked,) = _of(_resolved(told), "booking")
    assert booked.id == held.id
    assert booked.values["status"] == "confirmed"
    assert {id_.object_type for id_ in booked.copies} == {"hold", "event"}


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(0)], ids=["slow", "at_once"])
def test_a_hold_and_its_event_are_one_booking_in_every_order_of_their_webhooks(
    step: timedelta,
) -> None:
    told = _held_and_confirmed(step)
    expected = _truth(_resolved(told))
    assert ("status", "confirmed") in expected[0][2] + expected[1][2]
    for order in itertools.permutations(told):
        assert _truth(_resolved(order)) == expected


def test_an_attendance_that_was_heard_of_before_its_booking_finds_it() -> None:
    calendar = _calendar()
    person = calendar.add_attendee("jo@example.com", "Jo Park")
    paid = replace(TRIAL, paid=True, price_minor=100)
    hold, held = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    event, booked = calendar.book(replace(_booking(hold=hold), event_type=paid), person)
    workspace = _resolved([*calendar.pay(event, person), *held, *booked])
    (booking,) = _of(workspace, "booking")
    (attendance,) = _of(workspace, "attendance")
    (payment,) = _of(workspace, "payment")
    assert attendance.references["booking_ref"] == booking.id
    assert payment.references == {"booking_ref": booking.id, "attendance_ref": attendance.id}


def _agreed(calendar: Calendar, *, granted: bool) -> Consent:
    at = calendar._now()
    return Consent("marketing", granted, "consent", "sha256:9f2b", at)


def _person(calendar: Calendar) -> Attendee:
    return calendar.add_attendee(
        "jo@example.com", "Jo Park", consent=_agreed(calendar, granted=True)
    )


def test_a_consent_has_its_whole_history_in_every_order() -> None:
    calendar = _calendar()
    person = _person(calendar)
    _event, told = calendar.book(_booking(), person)
    told += calendar.withdraw_consent(person)
    told += calendar.consent(person, _agreed(calendar, granted=True))
    told += calendar.withdraw_consent(person)
    for order in itertools.permutations(told):
        (consent,) = _of(_resolved(order), "consent")
        assert consent.values["granted"] is False
        history = [
            copy.registers["decision"].values["granted"]
            for copy in sorted(consent.copies.values(), key=lambda copy: copy.id.object_id)
        ]
        assert history == [True, False, True, False]


def test_a_consent_is_the_contact_s() -> None:
    calendar = _calendar()
    person = _person(calendar)
    _event, told = calendar.book(_booking(), person)
    workspace = _resolved(calendar.withdraw_consent(person) + told)
    (contact,) = _of(workspace, "contact")
    (consent,) = _of(workspace, "consent")
    assert consent.references == {"contact_ref": contact.id}
    assert consent.values["purpose"] == "marketing"


def test_a_consent_for_another_purpose_is_another() -> None:
    calendar = _calendar()
    person = _person(calendar)
    told = calendar.consent(person, _agreed(calendar, granted=True))
    other = replace(_agreed(calendar, granted=False), purpose="profiling")
    workspace = _resolved(told + calendar.consent(person, other))
    found = {
        entity.values["purpose"]: entity.values["granted"] for entity in _of(workspace, "consent")
    }
    assert found == {"marketing": True, "profiling": False}


@pytest.mark.parametrize(
    ("field", "value"), [("granted", "yes"), ("purpose", ""), ("at", "2026-11-20T09:15:01")]
)
def test_a_consent_that_can_t_be_read_is_refused_and_the_booking_is_used(
    field: str, value: object
) -> None:
    calendar = _calendar()
    _event, (webhook,) = calendar.book(_booking(), _person(calendar))
    body = json.loads(webhook.raw)
    body["data"]["attendee"]["consent"][field] = value
    result = _normalise(json.dumps(body).encode())
    assert [problem.field for problem in result.problems] == [f"data.attendee.consent.{field}"]
    assert [o.kind for o in result.observations] == ["contact", "booking", "attendance"]


def test_a_hold_with_an_unknown_end_has_a_code() -> None:
    calendar = _calendar()
    hold, _ = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    (webhook,) = calendar.release(hold, "teleported")
    with pytest.raises(RecordError) as caught:
        _normalise(webhook.raw)
    assert caught.value.code is Code.BODY_INVALID


def test_the_occurrences_of_a_series_refer_to_it() -> None:
    calendar = _calendar()
    person = calendar.add_attendee("jo@example.com", "Jo Park")
    told = []
    for week in ("20261127T120000Z", "20261204T120000Z"):
        recurrence = Recurrence("ser_1", week, "FREQ=WEEKLY;COUNT=4", ("20261211T120000Z",))
        told += calendar.book(_booking(recurrence=recurrence), person)[1]
    workspace = _resolved(told)
    (series,) = _of(workspace, "series")
    assert series.values == {
        "rrule": "FREQ=WEEKLY;COUNT=4",
        "exdates": ("20261211T120000Z",),
        "timezone": "America/New_York",
    }
    bookings = _of(workspace, "booking")
    assert {booking.references["series_ref"] for booking in bookings} == {series.id}
    assert {str(b.values["recurrence_id"])[:8] for b in bookings} == {"20261127", "20261204"}


def test_the_rule_of_a_series_is_the_one_that_was_told_last_whatever_occurrence_told_it() -> None:
    calendar = _calendar()
    told = []
    for number, rule in enumerate(("FREQ=WEEKLY", "FREQ=DAILY")):
        recurrence = Recurrence("ser_1", f"2026112{number}T120000Z", rule)
        event, webhooks = calendar.book(_booking(recurrence=recurrence))
        told += webhooks
        if number == 0:  # the first occurrence has the higher sequence
            told += calendar.update(event, title="Changed")
    for order in itertools.permutations(told):
        (series,) = _of(_resolved(order), "series")
        assert series.values["rrule"] == "FREQ=DAILY"


def test_the_mapping_document_knows_where_every_field_comes_from() -> None:
    calendar = _calendar()
    person = _person(calendar)
    hold, told = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    paid = replace(TRIAL, paid=True, price_minor=100)
    recurrence = Recurrence("ser_1", "20261127T120000Z", "FREQ=WEEKLY")
    asked = replace(_booking(hold=hold, recurrence=recurrence), event_type=paid)
    _event, booked = calendar.book(asked, person)
    said = {
        (observation.kind, field)
        for webhook in told + booked
        for observation in _normalise(webhook.raw).observations
        for statement in observation.statements
        for field in statement.values
    }
    assert said == set(SOURCE_OF_FIELD)


def test_a_copy_of_a_consent_names_its_entity() -> None:
    assert NaturalId("s", "consent", "att_1/a/b/17").parent == NaturalId(
        "s", "consent", "att_1/a/b"
    )
