"""Processors that are killed at any moment lose nothing and do nothing twice."""

import random
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually, received

from calstream_processors.normalise import normalise
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.entities import Entity
from calstream_schemas.observations import Observation
from calstream_schemas.topics import ENTITIES, PROCESSORS_DEAD, WEBHOOKS
from calstream_schemas.webhooks import ReceivedWebhook, decode_received

pytestmark = pytest.mark.broker

SEED = 7
BOOKINGS = 30
KILLS = 5
HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)


def _life(calendar: Calendar, number: int, chance: random.Random) -> list[Webhook]:
    """What calendar.live says of one booking: made, moved, paid for or not, cancelled or not."""
    person = calendar.add_attendee(f"p{number % 20}@example.com", f"Person {number}")
    kind = EventType("trial", "Trial", paid=number % 3 == 0, price_minor=100)
    begin = START + timedelta(hours=number)
    event, told = calendar.book(
        Booking(HOST, kind, begin, begin + timedelta(minutes=30), "America/New_York"), person
    )
    moved = begin + timedelta(days=1)
    told += calendar.reschedule(event, moved, moved + timedelta(minutes=30))
    if kind.paid:
        told += (
            calendar.pay(event, person)
            if number % 2
            else calendar.fail_payment(event, person, "card_declined")
        )
    if chance.random() < 0.3:
        told += calendar.cancel(event, person)
    return told


def _webhooks(chance: random.Random) -> list[Webhook]:
    """The lives of all bookings, mixed: some webhooks twice, neighbours out of order."""
    calendar = Calendar("acme", seed="killed")
    told = [one for number in range(BOOKINGS) for one in _life(calendar, number, chance)]
    told += chance.sample(told, len(told) // 5)
    return sorted(told, key=lambda one: told.index(one) + chance.uniform(-25, 25))


def _expected(webhooks: list[ReceivedWebhook]) -> dict[str, Entity]:
    """What the pure functions make of the log, without Kafka, Faust or a crash."""
    workspace, rules = Workspace(), CALENDAR_TO_CRM
    seen: set[str] = set()

    def apply(observation: Observation) -> list[Change]:
        made = resolve(workspace, observation, rules)
        changes = [Change(workspace.put(entity), entity, observation) for entity in made]
        workspace.double_bookings.settle(rules.double_booking, observation)
        return changes

    for webhook in webhooks:
        for observation in normalise(webhook, "US").observations:
            if observation.id not in seen:
                seen.add(observation.id)
                follow_up(workspace, apply(observation), rules, CONSEQUENCES, apply)
    return workspace.entities


@pytest.fixture
def installation(broker: str, install: Install) -> Installation:
    return install(broker)


def _has_versions(installation: Installation, count: int) -> bool:
    return installation.end(ENTITIES) >= count


def test_after_kills_at_any_moment_the_truth_is_that_of_a_run_without(
    installation: Installation,
) -> None:
    chance = random.Random(SEED)
    webhooks = _webhooks(chance)
    parts = [webhooks[n :: KILLS + 1] for n in range(KILLS + 1)]
    for number, part in enumerate(parts):
        installation.processors.start()
        before = installation.end(ENTITIES)
        installation.receive(part)
        if number < KILLS:
            # far fewer than the part makes, whatever the last kill left to do
            wanted = before + chance.randint(1, 12)
            eventually(partial(_has_versions, installation, wanted))
            installation.processors.kill()
    sentinel = Calendar("acme", seed="sentinel")
    person = sentinel.add_attendee("sentinel@example.com", "Sentinel")
    _event, told = sentinel.book(
        Booking(HOST, EventType("t", "T"), START, START + timedelta(hours=1), "UTC"), person
    )
    installation.receive(told)
    log = [
        decode_received(record.value() or b"", installation.keys.sealer)
        for record in installation.records(WEBHOOKS)
    ]
    expected = _expected([one for one in log if isinstance(one, ReceivedWebhook)])
    eventually(lambda: expected.keys() <= installation.versions().keys())
    installation.processors.stop()

    versions = installation.versions()
    assert versions.keys() == expected.keys()
    for key, entity in expected.items():
        found = versions[key]
        newest = found[-1]
        assert newest.values == entity.values, key
        assert newest.copies == entity.copies, key
        assert newest.references == entity.references, key
        assert [one.version for one in found] == sorted(one.version for one in found), key
    assert installation.end(PROCESSORS_DEAD) == 0


def test_what_was_seen_before_a_restart_is_a_repeat_after_it(installation: Installation) -> None:
    calendar = Calendar("acme", seed="restart")
    person = calendar.add_attendee("jo@example.com", "Jo Park")
    _event, told = calendar.book(
        Booking(HOST, EventType("t", "T"), START, START + timedelta(hours=1), "UTC"), person
    )
    installation.processors.start().until_ready()
    installation.receive(told)
    eventually(lambda: installation.handled("resolve") == 3)
    assert installation.processors.stop() == 0
    installation.processors.start().until_ready()
    installation.put_webhook(received("acme", told[0].raw))
    installation.flush()
    eventually(lambda: installation.handled("resolve") == 3)
    counts = installation.processors.counts("calstream_stage_events_total")
    assert counts["duplicate", "resolve"] == 3
    assert installation.end(ENTITIES) == 3
