"""A broker that dies and comes back is waited for; nothing is lost meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.integration.pipeline.conftest import Install, eventually

from calstream_ops.stack import EmbeddedBroker
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
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
    for number in range(6):
        person = calendar.add_attendee(f"p{number}@example.com", f"Person {number}")
        end = START + timedelta(minutes=30)
        event, told = calendar.book(Booking(HOST, EventType("t", "T"), START, end, "UTC"), person)
        events.append(event)
        installation.receive(told)
        if number == 2:
            own_broker.kill()
            own_broker.start()
    eventually(
        lambda: all(len(installation.hubspot.crm().meetings_of(event.id)) == 1 for event in events)
    )
    crm = installation.hubspot.crm()
    assert len(crm.contacts) == len(crm.meetings) == len(events)
    assert installation.processors.is_alive()
    assert installation.sinks.is_alive()
    assert installation.processors.stop() == 0
