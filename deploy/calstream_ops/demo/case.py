"""What a case of the demonstration is, and what cases book and look at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from calstream_ops.demo.crm import Crm
from calstream_ops.demo.world import World
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking
from calstream_sandbox.calendar_live.model import Attendee, Event, EventType, Host

TRIAL = EventType("trial-30", "Product trial")
WORKSHOP = EventType("workshop", "Paid workshop", paid=True, price_minor=4900)
_DANA = Host("usr_12", "dana@acme.example", "Dana Reyes")
ONE = {"contacts": 1, "meetings": 1, "linked": True}
"""What must be seen of a person with one booking."""


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


def start_in(hours: int) -> datetime:
    """A whole hour some days ahead, so that the cases never meet in time."""
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return today + timedelta(days=7, hours=hours)


def book(
    world: World, person: Attendee, hours: int, kind: EventType = TRIAL
) -> tuple[Event, list[Webhook]]:
    """Books half an hour; returns the event and the webhooks that tell of it."""
    start = start_in(hours)
    return world.calendar.book(
        Booking(_DANA, kind, start, start + timedelta(minutes=30), "America/New_York"), person
    )


def add_person(world: World, name: str, phone: str | None = None) -> Attendee:
    """Somebody with an address that follows from the name."""
    local = name.lower().replace(" ", ".")
    return world.calendar.add_attendee(f"{local}@example.com", name, phone=phone)


def instant(moment: datetime) -> str:
    """An instant as the CRM's dump shows it, shortened."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_PROPERTIES = {
    "starts": "hs_meeting_start_time",
    "outcome": "hs_meeting_outcome",
    "title": "hs_meeting_title",
    "payment": "payment_status",
}


def seen(crm: Crm, person: Attendee, event: Event, *names: str) -> dict[str, Any]:
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
