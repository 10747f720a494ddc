"""A broker that dies and comes back is waited for; nothing is lost meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from tests.integration.pipeline.conftest import Install, Installation, eventually

from calstream_ops.demo.crm import Crm
from calstream_ops.stack import EmbeddedBroker
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.ledger import LedgerState
from calstream_schemas.topics import ENTITIES, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
ROUNDS, BOOKINGS = 3, 10
START = datetime(2026, 11, 27, 15, tzinfo=UTC)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


def test_everything_goes_on_when_the_broker_is_back(
    own_broker: EmbeddedBroker, install: Install
) -> None:
    installation = install(own_broker.address)
    installation.hubspot.process.start().until_ready()
    installation.set_up_hubspot()
    installation.processors.start().until_ready()
    installation.sinks.start().until_ready()
    calendar = Calendar("acme", seed="broker")
    events = []
    for round_ in range(ROUNDS):
        for number in range(BOOKINGS):
            person = calendar.add_attendee(f"p{round_}x{number}@example.com", f"P {number}")
            end = START + timedelta(minutes=30)
            event, told = calendar.book(
                Booking(HOST, EventType("t", "T"), START, end, "UTC"), person
            )
            moved = START + timedelta(hours=number)
            told += calendar.reschedule(event, moved, moved + timedelta(minutes=30))
            events.append(event)
            installation.receive(told)
        if round_ < ROUNDS - 1:
            # in the middle of this round: a booking makes at least 4 versions
            done_before = 4 * BOOKINGS * round_
            eventually(partial(_has_versions, installation, done_before + BOOKINGS))
            own_broker.kill()
            own_broker.start()
    eventually(lambda: _starts(installation.hubspot.crm()) == {e.id: [e.start] for e in events})
    assert len(installation.hubspot.crm().contacts) == len(events)
    eventually(lambda: set(_states(installation)) == {LedgerState.DONE})
    for key, versions in installation.versions().items():
        numbers = [one.version for one in versions]
        assert numbers == sorted(numbers), key
    assert installation.end(PROCESSORS_DEAD) == 0
    assert installation.processors.is_alive()
    assert installation.sinks.is_alive()
    assert installation.processors.stop() == 0


def _has_versions(installation: Installation, count: int) -> bool:
    try:
        return installation.end(ENTITIES) >= count
    except KafkaException:  # a broker that has just started has no leaders yet
        return False


def _starts(crm: Crm) -> dict[str, list[datetime]]:
    """When the meetings of each event start."""
    found: dict[str, list[datetime]] = {}
    for meeting in crm.meetings.values():
        starts = datetime.fromisoformat(meeting["hs_meeting_start_time"] or "")
        found.setdefault(str(meeting["external_id"]), []).append(starts)
    return found


def _states(installation: Installation) -> list[LedgerState]:
    return [entry.state for entry in installation.ledger().values()]
