"""The cases in which people have a hand: an edit in the CRM, who is who, and an erasure."""

import asyncio

from calstream_ops.demo.case import ONE, Case, Result, add_person, book, seen
from calstream_ops.demo.crm import Crm
from calstream_ops.demo.world import World
from calstream_sandbox.calendar_live.model import Event
from calstream_schemas.entities import NaturalId

_LINE = "+1 415 555 0142"


async def _crm_edit(world: World) -> Result:
    person = add_person(world, "Hana Sato")
    event, webhooks = book(world, person, 18)
    await world.send(webhooks)
    (meeting,) = (await world.quiet()).meetings_of(event.id)
    # a title is calendar.live's; the CRM has no webhook to tell of the edit yet, so we tell it
    await world.edit("meetings", meeting, {"hs_meeting_title": "Changed by hand"})
    edited = seen(await world.crm(), person, event, "title")["title"]
    booking = await asyncio.to_thread(world.truth.find, "booking", _event_id(event))
    await asyncio.to_thread(
        lambda: world.truth.edited(booking, meeting, "title", title="Changed by hand")
    )
    crm = await world.quiet()
    return Result(
        "a title edited in the CRM, which does not own it",
        {
            "contacts": 1,
            "meetings": 1,
            "linked": True,
            "title": event.title,
            "edited": "Changed by hand",
        },
        {**seen(crm, person, event, "title"), "edited": edited},
    )


async def _merge(world: World) -> Result:
    home = add_person(world, "Ida Moreau", phone=_LINE)
    work = world.calendar.add_attendee("ida@moreau.example", "Ida Moreau", phone=_LINE)
    first, webhooks = book(world, home, 20)
    second, more = book(world, work, 22)
    await world.send([*webhooks, *more])
    before = await world.quiet()
    person, same = [
        await asyncio.to_thread(world.truth.find, "contact", _attendee_id(one.id))
        for one in (home, work)
    ]
    await asyncio.to_thread(world.truth.merge, same, person)
    merged = await world.quiet()
    await asyncio.to_thread(world.truth.unmerge, same)
    apart = await world.quiet()
    ida = before.contacts_with_email(home.email)
    other = before.contacts_with_email(work.email)
    return Result(
        "two bookings with one number and two addresses; merge, unmerge",
        {
            "asked, not guessed": [ida, other],
            "merged": [ida, ida],
            "unmerged": [ida, other],
            "the same as before": True,
        },
        {
            "asked, not guessed": _attendees(before, first, second),
            "merged": _attendees(merged, first, second),
            "unmerged": _attendees(apart, first, second),
            "the same as before": apart.content() == before.content(),
        },
    )


async def _erasure(world: World) -> Result:
    person = add_person(world, "Noa Lindt")
    event, webhooks = book(world, person, 24)
    await world.send(webhooks)
    before = seen(await world.quiet(), person, event)
    contact = await asyncio.to_thread(world.truth.find, "contact", _attendee_id(person.id))
    done = await asyncio.to_thread(world.truth.erase, contact)
    erased = seen(await world.quiet(), person, event)
    await world.send(webhooks)
    repeated = seen(await world.quiet(), person, event)
    again, more = book(world, person, 26)
    await world.send(more)
    newcomer = seen(await world.quiet(), person, again)
    nobody = {"contacts": 0, "meetings": 0, "linked": True}
    return Result(
        "a booking; its person is erased; the same webhook again; another booking",
        {"booked": ONE, "done": True, "erased": nobody, "repeated": nobody, "again": ONE},
        {
            "booked": before,
            "done": done,
            "erased": erased,
            "repeated": repeated,
            "again": newcomer,
        },
    )


def _attendees(crm: Crm, *events: Event) -> list[list[str]]:
    """Whom the meeting of each event is linked to."""
    return [[who for id_ in crm.meetings_of(e.id) for who in crm.attendees[id_]] for e in events]


def _event_id(event: Event) -> NaturalId:
    return NaturalId("calendar_live", "event", event.id)


def _attendee_id(id_: str) -> NaturalId:
    return NaturalId("calendar_live", "attendee", id_)


DECIDED_CASES = (
    Case("crm-edit", _crm_edit),
    Case("merge-and-unmerge", _merge),
    Case("erasure", _erasure),
)
"""In the order in which they run."""
