"""The staging cases: what happens to a booking, and what must then be in the CRM."""

from datetime import timedelta

from calstream_ops.demo.case import (
    ONE,
    WORKSHOP,
    Case,
    Result,
    add_person,
    book,
    instant,
    seen,
    start_in,
)
from calstream_ops.demo.decided_cases import DECIDED_CASES
from calstream_ops.demo.world import World


async def _new_booking(world: World) -> Result:
    person = world.calendar.add_attendee(
        " Jo.Park@Example.COM ", "Jo Park", phone="(415) 555-2671", company="Northwind"
    )
    event, webhooks = book(world, person, 0)
    await world.send(webhooks)
    crm = await world.quiet()
    actual = seen(crm, person, event, "starts", "outcome")
    people = crm.contacts_with_email("jo.park@example.com")
    actual["phone"] = crm.contacts[people[0]].get("phone") if people else None
    return Result(
        "event.created",
        {
            **ONE,
            "starts": instant(event.start),
            "outcome": "SCHEDULED",
            "phone": "+14155552671",
        },
        actual,
    )


async def _update(world: World) -> Result:
    person = add_person(world, "Ana Lima")
    event, webhooks = book(world, person, 2)
    await world.send(webhooks)
    first = (await world.quiet()).meetings_of(event.id)
    await world.send(world.calendar.update(event, title="Trial with the team"))
    await world.send(world.calendar.update_attendee(person, phone="+44 20 7946 0018"))
    crm = await world.quiet()
    people = crm.contacts_with_email(person.email)
    return Result(
        "event.updated, attendee.updated",
        {
            **ONE,
            "title": "Trial with the team",
            "phone": "+442079460018",
            "same meeting": True,
        },
        {
            **seen(crm, person, event, "title"),
            "phone": crm.contacts[people[0]].get("phone") if people else None,
            "same meeting": crm.meetings_of(event.id) == first,
        },
    )


async def _reschedule(world: World) -> Result:
    person = add_person(world, "Ben Okoro")
    event, webhooks = book(world, person, 4)
    await world.send(webhooks)
    first = (await world.quiet()).meetings_of(event.id)
    start = start_in(30)
    await world.send(world.calendar.reschedule(event, start, start + timedelta(minutes=30)))
    crm = await world.quiet()
    return Result(
        "event.rescheduled",
        {**ONE, "starts": instant(start), "same meeting": True},
        {
            **seen(crm, person, event, "starts"),
            "same meeting": crm.meetings_of(event.id) == first,
        },
    )


async def _cancel(world: World) -> Result:
    person = add_person(world, "Chen Wei")
    event, webhooks = book(world, person, 6)
    await world.send(webhooks)
    await world.quiet()
    await world.send(world.calendar.cancel(event, person, reason="ill", by="attendee"))
    crm = await world.quiet()
    return Result(
        "event.cancelled",
        {**ONE, "outcome": "CANCELED"},
        seen(crm, person, event, "outcome"),
    )


async def _failed_payment(world: World) -> Result:
    person = add_person(world, "Dora Novak")
    event, webhooks = book(world, person, 8, WORKSHOP)
    await world.send(webhooks)
    pending = seen(await world.quiet(), person, event, "payment")["payment"]
    await world.send(world.calendar.fail_payment(event, person, "card_declined"))
    crm = await world.quiet()
    return Result(
        "event.created (paid), payment.failed",
        {**ONE, "payment": "failed", "before": "pending"},
        {**seen(crm, person, event, "payment"), "before": pending},
    )


async def _replayed(world: World) -> Result:
    person = add_person(world, "Emil Berg")
    event, webhooks = book(world, person, 10)
    before = await world.duplicates_dropped()
    statuses = await world.send(webhooks, copies=3)
    crm = await world.quiet()
    dropped = await world.duplicates_dropped() - before
    return Result(
        "event.created, the same delivery 3 times",
        {**ONE, "answers": [200, 200, 200], "repeats dropped": 6},
        {**seen(crm, person, event), "answers": statuses, "repeats dropped": dropped},
    )


async def _out_of_order(world: World) -> Result:
    person = add_person(world, "Faye Adams")
    event, created = book(world, person, 12)
    start = start_in(32)
    moved = world.calendar.reschedule(event, start, start + timedelta(minutes=30))
    await world.send(moved)
    await world.quiet()
    await world.send(created)
    crm = await world.quiet()
    return Result(
        "event.rescheduled, then event.created",
        {**ONE, "starts": instant(start)},
        seen(crm, person, event, "starts"),
    )


async def _bad_signature(world: World) -> Result:
    person = add_person(world, "Mallory Quinn")
    event, webhooks = book(world, person, 14)
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
    person = add_person(world, "Gus Hale")
    id_ = await world.add_person(
        {"email": person.email, "firstname": "Augustus", "lastname": "Hale III"}
    )
    event, webhooks = book(world, person, 16)
    await world.send(webhooks)
    crm = await world.quiet()
    known = crm.contacts.get(id_, {})
    return Result(
        "event.created for a person the CRM has as Augustus Hale III",
        {
            **ONE,
            "same contact": True,
            "name": "Augustus Hale III",
            "external_source_id": person.id,
        },
        {
            **seen(crm, person, event),
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
    *DECIDED_CASES,
    Case(REPLAY_CASE, _wipe_and_replay),
)
"""In the order in which they run; the last one looks at what the others left."""
