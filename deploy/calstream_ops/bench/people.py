"""A workspace of made-up contacts for benches: seeded, so that every run has the same ones."""

import random
from collections.abc import Iterator
from dataclasses import replace

from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.versions import with_copies
from calstream_schemas.entities import (
    Cause,
    Copy,
    Entity,
    NaturalId,
    Register,
    Stamp,
    Values,
    entity_id,
)
from calstream_schemas.observations import Fact, Observation, Statement

WORKSPACE = "bench"
_SEEN_AT = 1_795_166_102_000_000  # some day in November 2026
_GROUPS = {
    "email": ("email",),
    "name": ("full_name",),
    "phone": ("phone", "phone_raw"),
    "company": ("company",),
}
_HAVE_EMAIL, _HAVE_PHONE, _HAVE_COMPANY = 0.9, 0.6, 0.5
_SHARE_A_LINE = 0.05


def person(number: int) -> Values:
    """What is known of one person; some lack an address, some a number, some share a line."""
    chance = random.Random(number)  # noqa: S311 - makes people up, guards nothing
    has_email, has_phone = chance.random() < _HAVE_EMAIL, chance.random() < _HAVE_PHONE
    line = number // 4 * 4 if chance.random() < _SHARE_A_LINE else number
    phone = f"+1{2_010_000_000 + line}" if has_phone else None
    return {
        "full_name": f"Given{number % 5000} Family{number // 5000}",
        "email": f"person.{number}@company{number % 20_000}.example" if has_email else None,
        "phone": phone,
        "phone_raw": phone,
        "company": f"Company {number % 20_000} Inc."
        if chance.random() < _HAVE_COMPANY or not (has_email or has_phone)
        else None,
    }


def contact(number: int, workspace: Workspace) -> Entity:
    """A person as a contact with two copies, as after a booking that reached the CRM."""
    values = person(number)
    calendar = _copy(NaturalId("calendar_live", "attendee", f"att_{number}"), "calendar", values)
    crm = _copy(NaturalId("hubspot", "contact", str(number)), "crm", values, by_self=True)
    cause = Cause(f"o{number}", _SEEN_AT, _SEEN_AT)
    id_ = entity_id(WORKSPACE, "contact", calendar.id)
    nobody = Entity(WORKSPACE, "contact", id_, 0, _SEEN_AT, cause)
    copies = {calendar.id: calendar, crm.id: crm}
    return with_copies(workspace, nobody, copies, cause, CALENDAR_TO_CRM)


def bookings(contacts: int, count: int, seed: int) -> Iterator[Observation]:
    """Attendees under ids that nobody knows yet: four of five are contacts, the rest are new.

    A part of those that are known leaves the address out, so that weaker keys are looked for.
    """
    chance = random.Random(seed)  # noqa: S311 - makes people up, guards nothing
    for number in range(count):
        is_known = chance.random() < 0.8  # noqa: PLR2004 - as the docstring says
        who = chance.randrange(contacts) if is_known else contacts + chance.randrange(contacts)
        values = dict(person(who))
        if chance.random() < 0.2:  # noqa: PLR2004 - a part, any part
            values["email"] = None
        natural_id = NaturalId("calendar_live", "attendee", f"new_{seed}_{number}")
        stamp = Stamp(-1, _SEEN_AT + number, by_self=False)
        yield Observation(
            id=f"{seed}/{number}",
            workspace=WORKSPACE,
            fact=Fact.STATE,
            kind="contact",
            natural_id=natural_id,
            role="calendar",
            received_at=_SEEN_AT + number,
            occurred_at=_SEEN_AT + number,
            statements=tuple(
                Statement(group, {field: values[field] for field in fields}, stamp)
                for group, fields in _GROUPS.items()
            ),
        )


def _copy(id_: NaturalId, role: str, values: Values, *, by_self: bool = False) -> Copy:
    stamp = Stamp(-1, _SEEN_AT, by_self)
    copy = Copy(id_, role)
    registers = {
        group: Register({field: values[field] for field in fields}, (stamp,))
        for group, fields in _GROUPS.items()
    }
    return replace(copy, registers=registers)
