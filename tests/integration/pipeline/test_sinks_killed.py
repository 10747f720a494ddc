"""The HubSpot sink makes each person and meeting once, whatever dies or fails in between."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from tests.integration.pipeline.conftest import (
    PATIENCE_SECONDS,
    Install,
    Installation,
    eventually,
)

from calstream_core.clock import now_microseconds
from calstream_core.errors import Code
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Event, EventType, Host
from calstream_schemas.entities import NaturalId, Stamp
from calstream_schemas.ledger import LedgerState
from calstream_schemas.observations import Fact, Observation, Statement
from calstream_schemas.topics import ENTITIES

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


def _starts_as_it_should(installation: Installation, event: Event) -> bool:
    crm = installation.hubspot.crm()
    (meeting,) = crm.meetings_of(event.id)
    starts = crm.meetings[meeting]["hs_meeting_start_time"] or ""
    return datetime.fromisoformat(starts) == event.start


def _assert_each_once(installation: Installation, events: list[Event]) -> None:
    crm = installation.hubspot.crm()
    for event in events:
        (meeting,) = crm.meetings_of(event.id)
        (attendance,) = event.attendances.values()
        (person,) = crm.contacts_with_email(attendance.attendee.email)
        assert crm.attendees[meeting] == (person,)
        assert _starts_as_it_should(installation, event)


def _has_been_asked(installation: Installation, times: int) -> bool:
    return len(installation.hubspot.requests()) >= times


def test_killed_while_calls_are_in_flight(installation: Installation, calendar: Calendar) -> None:
    chance = random.Random(3)
    installation.hubspot.fault("objects", latency_seconds=0.2, count=1000)
    events = []
    for round_ in range(2):
        wanted = len(installation.hubspot.requests()) + chance.randint(1, 3)
        events += [_book(installation, calendar, f"kill{round_}x{n}") for n in range(4)]
        eventually(partial(_has_been_asked, installation, wanted))
        installation.sinks.kill()
        installation.sinks.start()
    installation.hubspot.clear_faults()
    # made at the vendor, and nobody is left to hear of it
    installation.hubspot.fault(
        "objects/2026-09/meetings/batch/create", applied=True, hang_seconds=PATIENCE_SECONDS
    )
    events += [_book(installation, calendar, f"unheard{n}") for n in range(2)]
    eventually(lambda: any(installation.hubspot.crm().meetings_of(e.id) for e in events[-2:]))
    installation.sinks.kill()
    installation.sinks.start()
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


def test_what_a_vendor_does_not_take_now_waits_and_everything_else_goes_on(
    installation: Installation, calendar: Calendar
) -> None:
    known = _book(installation, calendar, "goes-on")
    eventually(lambda: _is_settled(installation, [known]))
    contacts = "objects/2026-09/contacts/batch/upsert"
    installation.hubspot.fault(contacts, status=503, count=1000)
    newcomers = [_book(installation, calendar, f"waits{number}") for number in range(3)]
    installation.receive(
        calendar.reschedule(known, START + timedelta(days=1), START + timedelta(days=1, hours=1))
    )
    eventually(lambda: _starts_as_it_should(installation, known))
    eventually(lambda: installation.sink_status()["pending"]["retry"] == len(newcomers))
    assert not any(installation.hubspot.crm().meetings_of(event.id) for event in newcomers)
    installation.hubspot.clear_faults()
    eventually(lambda: _is_settled(installation, newcomers))
    _assert_each_once(installation, [known, *newcomers])
    assert not any(installation.sink_status()["pending"].values())


def test_a_vendor_that_asks_to_wait_is_left_in_peace_by_all_keys(
    installation: Installation, calendar: Calendar
) -> None:
    before = len(installation.hubspot.requests())
    installation.hubspot.fault("objects", status=429, retry_after_seconds=3)
    first = _book(installation, calendar, "asks")
    eventually(lambda: installation.sink_status()["pending"]["retry"] == 1)
    others = [_book(installation, calendar, f"asks{number}") for number in range(3)]
    eventually(lambda: _is_settled(installation, [first, *others]))
    _assert_each_once(installation, [first, *others])
    refused, *later = installation.hubspot.requests()[before:]
    assert refused["status"] == 429
    asked_at, next_at = (datetime.fromisoformat(one["at"]) for one in (refused, later[0]))
    assert next_at - asked_at >= timedelta(seconds=3)


def test_records_that_nobody_of_ours_wrote_do_not_stop_the_sink(
    installation: Installation, calendar: Calendar
) -> None:
    strange = {b"\xff": b"no entity", b"acme/contact/strange": b"no entity"}
    for key, value in strange.items():
        installation.put(ENTITIES, key, value)
    event = _book(installation, calendar, "after-strange")
    eventually(lambda: _is_settled(installation, [event]))
    _assert_each_once(installation, [event])
    for key in strange:
        installation.put(ENTITIES, key, None)
    installation.flush()


def test_a_version_over_which_the_sink_stumbles_is_kept_and_the_next_one_is_written(
    installation: Installation, calendar: Calendar
) -> None:
    event = _book(installation, calendar, "stumbles")
    eventually(lambda: _is_settled(installation, [event]))
    beyond_all_calendars = {"start_at": 2**62, "end_at": 2**62}
    stamp = Stamp(event.sequence, now_microseconds(), by_self=False)
    installation.observe(
        Observation(
            id="beyond",
            workspace="acme",
            fact=Fact.STATE,
            kind="booking",
            natural_id=NaturalId("calendar_live", "event", event.id),
            role="calendar",
            received_at=stamp.modified_at,
            occurred_at=stamp.modified_at,
            statements=(Statement("schedule", beyond_all_calendars, stamp),),
        )
    )

    def codes() -> set[str | None]:
        return {
            one.error_code
            for one in installation.ledger().values()
            if one.state is LedgerState.DEAD
        }

    eventually(lambda: codes() == {Code.RECORD_FAILED})
    assert installation.sinks.is_alive()
    moved = START + timedelta(days=1)
    installation.receive(calendar.reschedule(event, moved, moved + timedelta(minutes=30)))
    eventually(lambda: _is_settled(installation, [event]))
    _assert_each_once(installation, [event])


def test_what_the_vendor_refuses_is_kept_and_does_not_hold_up_others(
    installation: Installation, calendar: Calendar
) -> None:
    longest = "x" * 70_000  # HubSpot takes 65,536 characters
    person = calendar.add_attendee("refused@example.com", "Jo Park", company=longest)
    end = START + timedelta(minutes=30)
    _event, told = calendar.book(Booking(HOST, EventType("t", "T"), START, end, "UTC"), person)
    installation.receive(told)
    other = _book(installation, calendar, "not-held-up")
    eventually(lambda: installation.hubspot.crm().meetings_of(other.id))

    def dead() -> list[str]:
        return [k for k, e in installation.ledger().items() if e.state is LedgerState.DEAD]

    eventually(lambda: len(dead()) == 2)  # the contact, and its meeting with it
    assert {key.split("/")[1] for key in dead()} == {"contact", "booking"}
    installation.receive(calendar.update_attendee(person, company="Shorter Now"))
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
