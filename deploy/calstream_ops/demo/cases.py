"""The staging cases: what happens to a booking, and what must then be in the CRM."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from calstream_ops.demo.crm import Crm
from calstream_ops.demo.world import World
from calstream_sandbox.calendar_live.calendar import Booking
from calstream_sandbox.calendar_live.model import Attendee, Event, EventType, Host

_TRIAL = EventType("trial-30", "Product trial")
_WORKSHOP = EventType("workshop", "Paid workshop", paid=True, price_minor=4900)
_DANA = Host("usr_12", "dana@acme.example", "Dana Reyes")


@dataclass(frozen=True, slots=True)
class Result:
    """What a case sent, what it expected and what it found."""

    sent: str
    expected: dict[str, Any]
    actual: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether all is as expected."""
        return self.expected == self.actual


Run = Callable[[World], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case by its name."""

    name: str
    run: Run


def _start(hours: int) -> datetime:
    """A whole hour some days ahead, so that the cases never meet in time."""
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return today + timedelta(days=7, hours=hours)


def _book(
    world: World, person: Attendee, hours: int, kind: EventType = _TRIAL
) -> tuple[Event, Any]:
    start = _start(hours)
    return world.calendar.book(
        Booking(_DANA, kind, start, start + timedelta(minutes=30), "America/New_York"), person
    )


def _person(world: World, name: str) -> Attendee:
    local = name.lower().replace(" ", ".")
    return world.calendar.add_attendee(f"{local}@example.com", name)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_PROPERTIES = {
    "starts": "hs_meeting_start_time",
    "outcome": "hs_meeting_outcome",
    "title": "hs_meeting_title",
    "payment": "payment_status",
}


def _seen(crm: Crm, person: Attendee, event: Event, *names: str) -> dict[str, Any]:
    """What a person would look at: how many, linked or not, and some of the meeting's values."""
    people = crm.contacts_with_email(person.email.strip().lower())
    meetings = crm.meetings_of(event.id)
    found: dict[str, Any] = {
        "contacts": len(people),
        "meetings": len(meetings),
        "linked": all(list(crm.attendees[id_]) == people for id_ in meetings),
    }
    for name in names:
        values = {crm.meetings[id_].get(_PROPERTIES[name]) for id_ in meetings}
        found[name] = _shorten(values.pop()) if len(values) == 1 else None
    return found


def _shorten(value: str | None) -> str | None:
    return value.replace(".000Z", "Z") if value else value


_ONE = {"contacts": 1, "meetings": 1, "linked": True}


async def _new_booking(world: World) -> Result:
    person = world.calendar.add_attendee(
        " Jo.Park@Example.COM ", "Jo Park", phone="(415) 555-2671", company="Northwind"
    )
    event, webhooks = _book(world, person, 0)
    await world.send(webhooks)
    crm = await world.quiet()
    actual = _seen(crm, person, event, "starts", "outcome")
    people = crm.contacts_with_email("jo.park@example.com")
    actual["phone"] = crm.contacts[people[0]].get("phone") if people else None
    return Result(
        "event.created",
        {
            **_ONE,
            "starts": _instant(event.start),
            "outcome": "SCHEDULED",
            "phone": "+14155552671",
        },
        actual,
    )


async def _update(world: World) -> Result:
    person = _person(world, "Ana Lima")
    event, webhooks = _book(world, person, 2)
    await world.send(webhooks)
    first = (await world.quiet()).meetings_of(event.id)
    await world.send(world.calendar.update(event, title="Trial with the team"))
    await world.send(world.calendar.update_attendee(person, phone="+44 20 7946 0018"))
    crm = await world.quiet()
    people = crm.contacts_with_email(person.email)
    return Result(
        "event.updated, attendee.updated",
        {
            **_ONE,
            "title": "Trial with the team",
            "phone": "+442079460018",
            "same meeting": True,
        },
        {
            **_seen(crm, person, event, "title"),
            "phone": crm.contacts[people[0]].get("phone") if people else None,
            "same meeting": crm.meetings_of(event.id) == first,
        },
    )


async def _reschedule(world: World) -> Result:
    person = _person(world, "Ben Okoro")
    event, webhooks = _book(world, person, 4)
    await world.send(webhooks)
    first = (await world.quiet()).meetings_of(event.id)
    start = _start(30)
    await world.send(world.calendar.reschedule(event, start, start + timedelta(minutes=30)))
    crm = await world.quiet()
    return Result(
        "event.rescheduled",
        {**_ONE, "starts": _instant(start), "same meeting": True},
        {
            **_seen(crm, person, event, "starts"),
            "same meeting": crm.meetings_of(event.id) == first,
        },
    )


async def _cancel(world: World) -> Result:
    person = _person(world, "Chen Wei")
    event, webhooks = _book(world, person, 6)
    await world.send(webhooks)
    await world.quiet()
    await world.send(world.calendar.cancel(event, person, reason="ill", by="attendee"))
    crm = await world.quiet()
    return Result(
        "event.cancelled",
        {**_ONE, "outcome": "CANCELED"},
        _seen(crm, person, event, "outcome"),
    )


async def _failed_payment(world: World) -> Result:
    person = _person(world, "Dora Novak")
    event, webhooks = _book(world, person, 8, _WORKSHOP)
    await world.send(webhooks)
    pending = _seen(await world.quiet(), person, event, "payment")["payment"]
    await world.send(world.calendar.fail_payment(event, person, "card_declined"))
    crm = await world.quiet()
    return Result(
        "event.created (paid), payment.failed",
        {**_ONE, "payment": "failed", "before": "pending"},
        {**_seen(crm, person, event, "payment"), "before": pending},
    )


async def _replayed(world: World) -> Result:
    person = _person(world, "Emil Berg")
    event, webhooks = _book(world, person, 10)
    before = await world.duplicates_dropped()
    statuses = await world.send(webhooks, copies=3)
    crm = await world.quiet()
    dropped = await world.duplicates_dropped() - before
    return Result(
        "event.created, the same delivery 3 times",
        {**_ONE, "answers": [200, 200, 200], "repeats dropped": 6},
        {**_seen(crm, person, event), "answers": statuses, "repeats dropped": dropped},
    )


async def _out_of_order(world: World) -> Result:
    person = _person(world, "Faye Adams")
    event, created = _book(world, person, 12)
    start = _start(32)
    moved = world.calendar.reschedule(event, start, start + timedelta(minutes=30))
    await world.send(moved)
    await world.quiet()
    await world.send(created)
    crm = await world.quiet()
    return Result(
        "event.rescheduled, then event.created",
        {**_ONE, "starts": _instant(start)},
        _seen(crm, person, event, "starts"),
    )


async def _bad_signature(world: World) -> Result:
    person = _person(world, "Mallory Quinn")
    event, webhooks = _book(world, person, 14)
    before = await world.rejected()
    statuses = await world.send(webhooks, secret="not the secret")  # noqa: S106 - wrong on purpose
    rejected = await world.until_rejected(before + 1) - before
    crm = await world.quiet()
    return Result(
        "event.created, signed with another secret",
        {"contacts": 0, "meetings": 0, "answers": [401], "kept as rejected": 1},
        {
            "contacts": len(crm.contacts_with_email(person.email)),
            "meetings": len(crm.meetings_of(event.id)),
            "answers": statuses,
            "kept as rejected": rejected,
        },
    )


async def _known_person(world: World) -> Result:
    person = _person(world, "Gus Hale")
    id_ = await world.add_person(
        {"email": person.email, "firstname": "Augustus", "lastname": "Hale III"}
    )
    event, webhooks = _book(world, person, 16)
    await world.send(webhooks)
    crm = await world.quiet()
    known = crm.contacts.get(id_, {})
    return Result(
        "event.created for a person the CRM has as Augustus Hale III",
        {
            **_ONE,
            "same contact": True,
            "name": "Augustus Hale III",
            "external_source_id": person.id,
        },
        {
            **_seen(crm, person, event),
            "same contact": crm.contacts_with_email(person.email) == [id_],
            "name": f"{known.get('firstname')} {known.get('lastname')}",
            "external_source_id": known.get("external_source_id"),
        },
    )


async def _wipe_and_replay(world: World) -> Result:
    before = (await world.quiet()).content()
    await world.wipe_crm()
    wiped = (await world.crm()).content()
    resync = await world.resync("hubspot", "verify")
    after = (await world.quiet()).content()
    same = [name for name, values in before.items() if after.get(name) == values]
    return Result(
        "CRM wiped, then `sink resync --verify`",
        {"after the wipe": 0, "missing": len(before), "the same again": len(before), "extra": 0},
        {
            "after the wipe": len(wiped),
            "missing": resync["missing"],
            "the same again": len(same),
            "extra": len(after.keys() - before.keys()),
        },
    )


REPLAY_CASE = "wipe-and-replay"

CASES = (
    Case("new-booking", _new_booking),
    Case("update", _update),
    Case("reschedule", _reschedule),
    Case("cancel", _cancel),
    Case("failed-payment", _failed_payment),
    Case("webhook-replay", _replayed),
    Case("out-of-order", _out_of_order),
    Case("bad-signature", _bad_signature),
    Case("known-person", _known_person),
    Case(REPLAY_CASE, _wipe_and_replay),
)
"""In the order in which they run; the last one looks at what the others left."""
