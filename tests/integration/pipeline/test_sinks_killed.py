"""The HubSpot sink makes each person and meeting once, whatever dies or fails in between."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually

from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Event, EventType, Host
from calstream_schemas.ledger import LedgerState

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def installation(broker: str, install: Install) -> Installation:
    made = install(broker)
    made.hubspot.process.start().until_ready()
    made.set_up_hubspot()
    made.processors.start()
    made.sinks.start()
    made.processors.until_ready()
    made.sinks.until_ready()
    return made


@pytest.fixture
def calendar(request: pytest.FixtureRequest) -> Calendar:
    return Calendar("acme", seed=request.node.name)


@pytest.fixture(autouse=True)
def _no_fault_is_left(installation: Installation) -> Iterator[None]:
    yield
    installation.hubspot.clear_faults()


def _book(installation: Installation, calendar: Calendar, name: str) -> Event:
    person = calendar.add_attendee(f"{name}@example.com", name.title())
    end = START + timedelta(minutes=30)
    event, told = calendar.book(Booking(HOST, EventType("t", "T"), START, end, "UTC"), person)
    installation.receive(told)
    return event


def _is_settled(installation: Installation, events: list[Event]) -> bool:
    crm = installation.hubspot.crm()
    if not all(crm.meetings_of(event.id) for event in events):
        return False
    return all(entry.state is LedgerState.DONE for entry in installation.ledger().values())


def _assert_each_once(installation: Installation, events: list[Event]) -> None:
    crm = installation.hubspot.crm()
    for event in events:
        (meeting,) = crm.meetings_of(event.id)
        (attendance,) = event.attendances.values()
        (person,) = crm.contacts_with_email(attendance.attendee.email)
        assert crm.attendees[meeting] == (person,)
        starts = datetime.fromisoformat(crm.meetings[meeting]["hs_meeting_start_time"] or "")
        assert starts == event.start


def _has_been_asked(installation: Installation, times: int) -> bool:
    return len(installation.hubspot.requests()) >= times


def test_killed_while_calls_are_in_flight(installation: Installation, calendar: Calendar) -> None:
    chance = random.Random(3)
    installation.hubspot.fault("objects", latency_seconds=0.2, count=1000)
    events = []
    for round_ in range(4):
        wanted = len(installation.hubspot.requests()) + chance.randint(1, 3)
        events += [_book(installation, calendar, f"kill{round_}x{n}") for n in range(4)]
        eventually(partial(_has_been_asked, installation, wanted))
        installation.sinks.kill()
        installation.sinks.start()
    installation.hubspot.clear_faults()
    eventually(lambda: _is_settled(installation, events))
    _assert_each_once(installation, events)


@pytest.mark.parametrize("kind", ["contacts", "meetings"])
def test_a_reply_that_was_lost_after_the_write(
    installation: Installation, calendar: Calendar, kind: str
) -> None:
    installation.hubspot.fault(
        f"objects/2026-09/{kind}/batch/{'upsert' if kind == 'contacts' else 'create'}",
        applied_then_dropped=True,
    )
    event = _book(installation, calendar, f"lost-{kind}")
    eventually(lambda: _is_settled(installation, [event]))
    assert installation.hubspot.faults_left() == 0
    _assert_each_once(installation, [event])


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429, "retry_after_seconds": 1}, {"html": True}]
)
def test_a_vendor_that_is_away_for_a_while(
    installation: Installation, calendar: Calendar, fault: dict[str, object]
) -> None:
    installation.hubspot.fault("objects", count=3, **fault)
    name = "-".join(f"{key}{value}" for key, value in fault.items()).replace("_", "").lower()
    event = _book(installation, calendar, f"away-{name}")
    eventually(lambda: _is_settled(installation, [event]))
    assert installation.hubspot.faults_left() == 0
    _assert_each_once(installation, [event])


def test_what_the_vendor_refuses_is_kept_and_does_not_hold_up_others(
    installation: Installation, calendar: Calendar
) -> None:
    longest = "x" * 70_000  # HubSpot takes 65,536 characters
    person = calendar.add_attendee("refused@example.com", longest)
    end = START + timedelta(minutes=30)
    _event, told = calendar.book(Booking(HOST, EventType("t", "T"), START, end, "UTC"), person)
    installation.receive(told)
    other = _book(installation, calendar, "not-held-up")
    eventually(lambda: installation.hubspot.crm().meetings_of(other.id))

    def dead() -> list[str]:
        return [k for k, e in installation.ledger().items() if e.state is LedgerState.DEAD]

    eventually(lambda: len(dead()) == 2)  # the contact, and its meeting with it
    assert {key.split("/")[1] for key in dead()} == {"contact", "booking"}
    installation.receive(calendar.update_attendee(person, full_name="Shorter Now"))
    eventually(lambda: not dead())
    eventually(lambda: installation.hubspot.crm().contacts_with_email("refused@example.com"))


def test_a_person_who_was_deleted_in_the_crm_comes_back_when_a_meeting_needs_them(
    installation: Installation, calendar: Calendar
) -> None:
    event = _book(installation, calendar, "deleted")
    eventually(lambda: _is_settled(installation, [event]))
    (person,) = installation.hubspot.crm().contacts_with_email("deleted@example.com")
    installation.hubspot.delete_contact(person)
    (attendance,) = event.attendances.values()
    end = START + timedelta(minutes=30)
    again, told = calendar.book(
        Booking(HOST, EventType("t", "T"), START, end, "UTC"), attendance.attendee
    )
    installation.receive(told)
    eventually(lambda: _is_settled(installation, [again]))
    _assert_each_once(installation, [again])
    assert installation.hubspot.crm().contacts_with_email("deleted@example.com") != [person]


def test_the_delay_from_the_source_to_the_vendor_is_measured(installation: Installation) -> None:
    measured = installation.sinks.counts("calstream_sync_delay_seconds_count")
    assert measured["live", "hubspot"] > 0
