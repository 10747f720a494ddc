"""A workspace's webhooks for benches: people who book, move and cancel, as calendar.live tells it.

Seeded, so that every run has the same ones; the time is told, not read.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from calstream_core.clock import to_microseconds
from calstream_sandbox.calendar_live.body import attendee_json
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import (
    Attendee,
    Consent,
    Event,
    EventType,
    Host,
    Location,
)
from calstream_schemas.webhooks import ReceivedWebhook

WORKSPACE = "bench"
NEW, CHANGED = 0.6, 0.9
"""Of ten webhooks six tell of a new booking, three of a change, and one comes again."""

_BEGAN = datetime(2026, 11, 20, 9, tzinfo=UTC)
_TICK = timedelta(milliseconds=20)
_HOSTS = 50
_SLOTS_A_DAY = 16
_KNOWN, _HAVE_PHONE, _CONSENTS, _PAID = 0.5, 0.6, 0.2, 0.1
_REPEATED_AFTER = 500  # a repeat is one of so many webhooks before
_FIRST_DAY = datetime(2026, 12, 1, 8, tzinfo=UTC)
_HALF_AN_HOUR = timedelta(minutes=30)
_TYPES = (
    EventType("trial-30", "Trial, 30 min"),
    EventType("intro-30", "Introduction"),
    EventType("review-30", "Quarterly review"),
)
_PAID_TYPE = EventType("advice-30", "Advice", paid=True, price_minor=9900)
_ZONES = ("America/New_York", "America/Los_Angeles", "Europe/Berlin", "Europe/London")
_SIZES = ("1-10", "11-50", "51-200", "201-1000")


class Bookings:
    """The webhooks of one workspace.

    Args:
        seed: decides everything.
        people: how many are known before the first booking.
    """

    def __init__(self, seed: int, people: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - makes people up, guards nothing
        self._now = _BEGAN
        self._calendar = Calendar(WORKSPACE, seed=f"bench-{seed}", now=lambda: self._now)
        self._hosts = [
            Host(f"usr_{n}", f"host.{n}@bench.example", f"Host Number{n}") for n in range(_HOSTS)
        ]
        self._known = [self._person(number) for number in range(people)]
        self._standing: list[Event] = []
        self._booked = 0

    def people(self) -> Iterator[ReceivedWebhook]:
        """What made the people known: one webhook each."""
        for number, attendee in enumerate(self._known):
            event_id = f"evt_known{number}"
            body = {
                "id": event_id,
                "type": "attendee.updated",
                "created_at": "2026-11-20T08:59:59.000Z",
                "workspace": WORKSPACE,
                "data": {"attendee": attendee_json(attendee)},
            }
            yield self._received(event_id, orjson.dumps(body))

    def webhooks(self, count: int) -> Iterator[ReceivedWebhook]:
        """The next so many: new bookings, changes and repeats, in a random order."""
        told: list[ReceivedWebhook] = []
        while len(told) < count:
            dice = self._chance.random()
            if dice >= CHANGED and told:
                again = told[-self._chance.randrange(1, _REPEATED_AFTER) :][0]
                assert isinstance(again.body, bytes)
                made = [self._received(str(again.delivery_id), again.body)]
            elif dice >= NEW and self._standing:
                made = [self._received(one.id, one.raw) for one in self._change()]
            else:
                made = [self._received(one.id, one.raw) for one in self._book()]
            told += made
            yield from made

    def _book(self) -> list[Webhook]:
        chance, number = self._chance, self._booked
        self._booked += 1
        if self._known and chance.random() < _KNOWN:
            attendee = chance.choice(self._known)
        else:
            attendee = self._person(len(self._known) + number)
        host = self._hosts[number % _HOSTS]
        day, slot = divmod(number // _HOSTS, _SLOTS_A_DAY)
        start = _FIRST_DAY + timedelta(days=day) + slot * _HALF_AN_HOUR
        event, webhooks = self._calendar.book(
            Booking(
                host=host,
                event_type=_PAID_TYPE if chance.random() < _PAID else chance.choice(_TYPES),
                start=start,
                end=start + _HALF_AN_HOUR,
                timezone=chance.choice(_ZONES),
                location=Location("zoom"),
                answers=(("team_size", chance.choice(_SIZES)), ("timeline", "this quarter")),
            ),
            attendee,
        )
        self._standing.append(event)
        return webhooks

    def _change(self) -> list[Webhook]:
        chance = self._chance
        place = chance.randrange(len(self._standing))
        event = self._standing[place]
        changes: tuple[Callable[[], list[Webhook]], ...] = (
            lambda: self._calendar.reschedule(
                event, event.start + timedelta(days=90), event.end + timedelta(days=90)
            ),
            lambda: self._calendar.update(event, location=Location("zoom", _link(event))),
            lambda: self._calendar.update(event, answers={"team_size": chance.choice(_SIZES)}),
            lambda: self._calendar.cancel(event, next(iter(event.attendances.values())).attendee),
            lambda: self._calendar.complete(event),
        )
        which = chance.choices(range(len(changes)), (4, 2, 1, 2, 1))[0]
        if which >= 3:  # noqa: PLR2004 - the last ones end it
            self._standing[place] = self._standing[-1]
            self._standing.pop()
        return changes[which]()

    def _person(self, number: int) -> Attendee:
        chance = random.Random(number)  # noqa: S311 - makes people up, guards nothing
        consent = Consent("marketing", True, "consent", "sha256:9f2b", self._now)
        phone = 2_010_000_000 + number
        return self._calendar.add_attendee(
            f" Person.{number}@Company{number % 20_000}.Example",
            f"Given{number % 5000} Family{number // 5000}",
            phone=f"({phone // 10**7}) {phone // 10**4 % 1000}-{phone % 10**4:04d}"
            if chance.random() < _HAVE_PHONE
            else None,
            company=f"Company {number % 20_000} Inc.",
            timezone=_ZONES[number % len(_ZONES)],
            locale="en-US",
            consent=consent if chance.random() < _CONSENTS else None,
        )

    def _received(self, delivery_id: str, body: bytes) -> ReceivedWebhook:
        self._now += _TICK
        received_at = to_microseconds(self._now)
        return ReceivedWebhook(
            id=str(UUID(int=received_at)),
            workspace=WORKSPACE,
            source="calendar_live",
            received_at=received_at,
            delivery_id=delivery_id,
            scheme="hmac-sha256",
            secret_label="default",  # noqa: S106 - names a secret
            content_type="application/json",
            body=body,
        )


def _link(event: Event) -> str:
    return f"https://zoom.example/j/{event.id}"
