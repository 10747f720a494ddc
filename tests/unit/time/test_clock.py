"""Ticks of the clock: what expires and what is forgotten, at recorded instants."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.stage_scene import StageScene, replayed

from calstream_core.clock import to_microseconds
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_ops.decision import erasure_order
from calstream_processors.normalise.normaliser import normalise
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.time.clock import Clock
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement, rules_changed, tick
from calstream_schemas.refolds import Refold
from calstream_schemas.topics import CONFLICTS, ENTITIES, MATCH_REVIEWS
from calstream_schemas.webhooks import ReceivedWebhook

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
START, END = NOW + timedelta(days=7), NOW + timedelta(days=7, minutes=30)
DAY = 24 * 3600 * 1_000_000
MINUTE = 60 * 1_000_000
SETTINGS = Settings()


def _at(minutes: float) -> int:
    return to_microseconds(NOW) + int(minutes * MINUTE)


def _tick(minutes: float) -> Observation:
    return tick("acme", _at(minutes))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def scene(keys: KeyStore) -> StageScene:
    return StageScene(SETTINGS, keys)


class Platform:
    """calendar.live, with a clock that a test sets."""

    def __init__(self) -> None:
        self.minutes = 0.0
        self.calendar = Calendar("acme", seed="clock", now=self._now)

    def _now(self) -> datetime:
        return NOW + timedelta(minutes=self.minutes)

    def told(self, webhooks: Iterable[Webhook]) -> list[Observation]:
        return [each for webhook in webhooks for each in self._read(webhook)]

    def _read(self, webhook: Webhook) -> tuple[Observation, ...]:
        received = ReceivedWebhook(
            id="w",
            workspace="acme",
            source="calendar_live",
            received_at=_at(self.minutes),
            delivery_id=None,
            scheme="hmac-sha256",
            secret_label="default",
            content_type="application/json",
            body=webhook.raw,
        )
        return tuple(normalise(received, "US").observations)

    def holds(self, ttl_minutes: float = 10) -> Observation:
        self.hold, webhooks = self.calendar.hold(
            HOST, START, END, "UTC", ttl=timedelta(minutes=ttl_minutes)
        )
        (self._held,) = self.told(webhooks)
        return self._held

    def extends(self, minutes: float) -> Observation:
        """The hold lasts longer: a later version of it, which says so."""
        at = _at(self.minutes)
        statements = tuple(
            replace(
                each,
                stamp=Stamp(-1, at, by_self=False),
                values={**each.values, "hold_expires_at": _at(minutes)}
                if each.group == "hold"
                else each.values,
            )
            for each in self._held.statements
        )
        return replace(
            self._held, id=f"until-{minutes}", received_at=at, occurred_at=at, statements=statements
        )


def _booking(scene: StageScene) -> Entity:
    (found,) = scene.entities("booking")
    return found


def test_a_hold_expires_by_the_first_tick_after_its_end(scene: StageScene) -> None:
    scene.hear(Platform().holds())
    assert scene.due(_at(9.9)) == []
    scene.hear(_tick(9.9))
    assert _booking(scene).values["status"] == "held"
    assert scene.due(_at(10)) == ["acme"]
    scene.hear(_tick(12))
    after = _booking(scene)
    assert after.values["status"] == "cancelled"
    assert after.values["cancellation"] == '{"reason":"expired"}'
    assert after.cause.received_at == _at(12)
    assert after.cause.occurred_at == _at(10)
    assert scene.due(_at(10_000)) == []


def test_a_hold_that_was_confirmed_does_not_expire(scene: StageScene) -> None:
    platform = Platform()
    held = platform.holds()
    platform.minutes = 5
    event, booked = platform.calendar.book(
        Booking(HOST, EventType("t", "T"), START, END, "UTC", hold=platform.hold)
    )
    released = platform.told(platform.calendar.release(platform.hold, "confirmed", event))
    scene.hear(held, *released, _tick(11))  # the event itself is late
    assert _booking(scene).values["status"] == "held"
    scene.hear(*platform.told(booked), _tick(12))
    assert _booking(scene).values["status"] == "confirmed"


def test_what_the_platform_says_late_counts_more_than_the_clock(scene: StageScene) -> None:
    platform = Platform()
    held = platform.holds()
    platform.minutes = 5
    extended = platform.extends(60)
    scene.hear(held, _tick(11))
    assert _booking(scene).values["status"] == "cancelled"
    scene.hear(extended)
    assert _booking(scene).values["status"] == "held"
    scene.hear(_tick(60))
    assert _booking(scene).values["status"] == "cancelled"


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.lists(st.floats(1, 90), max_size=4))
def test_facts_and_ticks_in_any_order_end_the_same(
    keys: KeyStore, shuffle: random.Random, ticks: list[float]
) -> None:
    platform = Platform()
    facts = [platform.holds()]
    platform.minutes = 5
    facts.append(platform.extends(30))
    platform.minutes = 20
    facts.append(platform.extends(60))
    log = [*facts, *(_tick(minutes) for minutes in ticks)]
    shuffle.shuffle(log)
    scene = StageScene(SETTINGS, keys)
    scene.hear(*log, _tick(100))
    booking = _booking(scene)
    assert booking.values["status"] == "cancelled"
    assert booking.values["hold_expires_at"] == _at(60)
    register = booking.copies[facts[0].natural_id].registers["status"]
    assert register.modified_at == _at(20) + 1


def _message(not_after: int, status: str = "due") -> Observation:
    stamp = Stamp(-1, _at(0), by_self=False)
    groups: dict[str, Values] = {
        "purpose": {"message_kind": "booked", "audience": "host"},
        "deadline": {"not_after": not_after},
        "status": {"status": status},
    }
    return Observation(
        id=f"message-{status}",
        workspace="acme",
        fact=Fact.STATE,
        kind="message",
        natural_id=NaturalId("rules", "message", "m1"),
        role="rules",
        received_at=_at(0),
        occurred_at=_at(0),
        statements=tuple(Statement(group, values, stamp) for group, values in groups.items()),
    )


@pytest.mark.parametrize(("status", "after"), [("due", "expired"), ("withdrawn", "withdrawn")])
def test_a_message_expires_when_it_is_of_no_use_any_more(
    scene: StageScene, status: str, after: str
) -> None:
    scene.hear(_message(_at(30), status), _tick(31))
    (message,) = scene.entities("message")
    assert message.values["status"] == after


# deletion


def _deleted_contact(platform: Platform) -> Iterator[Observation]:
    person = platform.calendar.add_attendee("jo@example.com", "Jo Park", phone="+14155552671")
    other = platform.calendar.add_attendee("jo@other.example", "Jo Park", phone="+14155552671")
    for number, each in enumerate((person, other)):  # not at once: there is nothing else to do
        later = timedelta(hours=number)
        booking = Booking(HOST, EventType("t", "T"), START + later, END + later, "UTC")
        yield from platform.told(platform.calendar.book(booking, each)[1])
    platform.minutes = 3
    yield from platform.told(platform.calendar.delete_attendee(person))


def test_a_deletion_becomes_a_tombstone_after_forty_days(scene: StageScene) -> None:
    log = list(_deleted_contact(Platform()))
    scene.hear(*log)
    gone = next(each for each in scene.entities("contact") if each.deleted_at is not None)
    assert gone.deleted_at == _at(3)
    assert scene.table(MATCH_REVIEWS)
    before = scene.due(_at(3) + 40 * DAY - 1)
    assert before == []
    scene.hear(tick("acme", _at(3) + 40 * DAY - 1))
    assert gone.key in scene.table(ENTITIES)
    scene.hear(tick("acme", _at(3) + 40 * DAY))
    assert gone.key not in scene.table(ENTITIES)
    assert (ENTITIES.name, gone.key.encode(), None) in scene.written
    assert scene.table(MATCH_REVIEWS) == {}
    assert not any(key.startswith(gone.key) for key in scene.table(CONFLICTS))
    assert scene.outcomes["forgotten"] == 1
    refers = [each.references.get("contact_ref") for each in scene.entities("attendance")]
    assert gone.id not in refers
    assert scene.due(_at(3) + 400 * DAY) == []


def test_a_worker_that_takes_over_knows_what_is_due(scene: StageScene) -> None:
    scene.hear(Platform().holds(), *_deleted_contact(Platform()))
    later = _at(3) + 40 * DAY
    scene.start()
    assert scene.due(_at(9)) == []
    assert scene.due(_at(10)) == ["acme"]
    scene.hear(tick("acme", later))
    scene.start()
    assert scene.due(later + 400 * DAY) == []
    assert len(scene.entities("contact")) == 1


def test_who_books_again_after_that_is_a_new_contact(scene: StageScene) -> None:
    platform = Platform()
    log = list(_deleted_contact(platform))
    scene.hear(*log)
    gone = next(each for each in scene.entities("contact") if each.deleted_at is not None)
    scene.hear(tick("acme", _at(3) + 40 * DAY))
    platform.minutes = 3 + 41 * 24 * 60
    person = platform.calendar.add_attendee("jo@example.com", "Jo Park")
    booking = Booking(HOST, EventType("t", "T"), START, END, "UTC")
    scene.hear(*platform.told(platform.calendar.book(booking, person)[1]))
    found = [c for c in scene.entities("contact") if c.values["email"] == "jo@example.com"]
    assert [(c.id == gone.id, c.created_at, c.deleted_at) for c in found] == [
        (False, _at(platform.minutes), None)
    ]


def test_the_rules_say_for_how_long_a_deletion_is_kept(scene: StageScene) -> None:
    longer = replace(CALENDAR_TO_CRM, tombstone_after_days=50)
    scene.hear(*_deleted_contact(Platform()), rules_changed("acme", longer, "e", _at(4)))
    assert scene.due(_at(3) + 49 * DAY) == []
    assert scene.due(_at(3) + 50 * DAY) == ["acme"]


def test_rules_and_ticks_come_where_somebody_was_erased_and_an_erasure_is_no_deletion(
    scene: StageScene,
) -> None:
    scene.hear(*_deleted_contact(Platform()), Platform().holds())
    contact = next(each for each in scene.entities("contact") if each.deleted_at is not None)
    order = erasure_order(contact, ("hubspot",), 30, "dana")
    other = rules_changed("acme", CALENDAR_TO_CRM, "e", _at(5))
    slice_ = Refold.begun(other, [contact.key]).next("acme")
    scene.hear(order, other, slice_, tick("acme", _at(3) + 40 * DAY))
    assert _booking_with_a_hold(scene).values["status"] == "cancelled"
    assert contact.key in scene.table(ENTITIES)


def _booking_with_a_hold(scene: StageScene) -> Entity:
    (found,) = [each for each in scene.entities("booking") if each.values.get("hold_id")]
    return found


def test_a_replay_of_the_log_writes_the_same_bytes(scene: StageScene) -> None:
    platform = Platform()
    log = [
        platform.holds(),
        *_deleted_contact(platform),
        _tick(11),
        _message(_at(30)),
        _tick(31),
        _tick(31),
        tick("acme", _at(3) + 40 * DAY),
    ]
    scene.hear(*log)
    assert scene.outcomes["duplicate"] == 1
    assert replayed(scene, log, SETTINGS).written == scene.written


# the clock itself


def test_a_clock_ticks_where_something_is_due_and_waits_until_it_is_handled() -> None:
    now, due = [_at(0) + 1], {"acme": 0}
    clock = Clock(SETTINGS, "nowhere", lambda _now: due.items(), lambda: now[0])
    assert clock.wanted() == (["acme"], _at(0))
    clock.sent(["acme"], _at(0))
    now[0] += 2_000_000
    assert clock.wanted() == ([], _at(0) + 2_000_000)
    now[0] += 40_000_000
    assert clock.wanted()[0] == ["acme"]  # it may have got lost
    due["acme"] = _at(0)
    now[0] -= 40_000_000
    assert clock.wanted()[0] == ["acme"]


def test_two_clocks_make_the_same_tick() -> None:
    assert tick("acme", 5_000_000) == tick("acme", 5_000_000)
    assert tick("acme", 5_000_000).id != tick("acme", 6_000_000).id
