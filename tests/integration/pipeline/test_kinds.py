"""Holds, consents and series through the real pipeline."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually

from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Consent, EventType, Host, Recurrence
from calstream_schemas.entities import Entity
from calstream_schemas.topics import PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)
END = START + timedelta(minutes=30)


@pytest.fixture
def installation(broker: str, install: Install) -> Installation:
    return install(broker)


def _newest(installation: Installation, kind: str) -> list[Entity]:
    return [v[-1] for v in installation.versions().values() if v[-1].kind == kind]


def test_a_hold_becomes_an_event_and_a_consent_keeps_its_history(
    installation: Installation,
) -> None:
    calendar = Calendar("acme", seed="kinds")
    agreed = Consent("marketing", True, "consent", "sha256:9f2b", datetime.now(UTC))
    person = calendar.add_attendee("jo@example.com", "Jo Park", consent=agreed)
    hold, told = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(minutes=10))
    recurrence = Recurrence("ser_1", "20261127T150000Z", "FREQ=WEEKLY;COUNT=4")
    asked = Booking(HOST, EventType("t", "T"), START, END, "UTC", recurrence=recurrence, hold=hold)
    event, booked = calendar.book(asked, person)
    told += [*booked, *calendar.withdraw_consent(person)]
    told += calendar.release(hold, "confirmed", event)
    installation.processors.start().until_ready()
    installation.receive(told)
    eventually(lambda: installation.handled("normalise") == len(told))
    # contact, consent, series, booking twice and attendance of the event; four of the others
    eventually(lambda: installation.handled("resolve") == 1 + 6 + 2 + 2)

    (booking,) = _newest(installation, "booking")
    assert booking.values["status"] == "confirmed"
    assert {id_.object_type for id_ in booking.copies} == {"hold", "event"}
    (series,) = _newest(installation, "series")
    assert booking.references["series_ref"] == series.id
    (consent,) = _newest(installation, "consent")
    assert (consent.values["granted"], len(consent.copies)) == (False, 2)
    assert installation.end(PROCESSORS_DEAD) == 0
