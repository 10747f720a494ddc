"""What an erasure takes, what it leaves, and what is not taken in again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.erasure_scene import Town

from calstream_core.errors import Code, RecordError
from calstream_core.sealing import contact_key, object_key
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.suppression import suppressed_by
from calstream_processors.resolve.versions import cause_of
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
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.erasure_facts import Done
from calstream_schemas.erasures import ErasureState
from calstream_schemas.observations import Fact, rules_changed, tick

BEGIN = datetime(2026, 11, 20, 9, tzinfo=UTC)
LINE = "+14155552671"
TRIAL, CLASS = EventType("trial", "Trial"), EventType("class", "Class", kind="group")


class Story:
    """A calendar, and the town that hears of it."""

    def __init__(self) -> None:
        self.time = BEGIN
        self.calendar = Calendar("acme", seed="erasing", now=lambda: self.time)
        self.town = Town(self._now())
        self.sent: list[Webhook] = []

    def _now(self) -> int:
        return int(self.time.timestamp() * 1_000_000)

    def later(self) -> None:
        self.time += timedelta(minutes=1)
        self.town.now = self._now()

    def person(self, name: str, **more: Any) -> Attendee:
        self.later()
        return self.calendar.add_attendee(f"{name}@person.example", name.title(), **more)

    def books(self, kind: EventType, *people: Attendee) -> Event:
        self.later()
        host = Host("usr_12", "dana@acme.example", "Dana Reyes")
        end = BEGIN + timedelta(days=9)
        booking = Booking(
            host,
            kind,
            BEGIN,
            end,
            "UTC",
            location=Location("zoom", "https://zoom.example/j/1"),
            answers=(("note", "secret"),),
        )
        event, told = self.calendar.book(booking, *people)
        self.tells(told)
        return event

    def tells(self, told: list[Webhook]) -> None:
        self.sent += told
        self.later()
        self.town.receives(told)

    def who(self, person: Attendee) -> str:
        (id_,) = self.town.who(person.id)
        return id_

    def booking(self, event: Event) -> Entity:
        natural_id = NaturalId("calendar_live", "event", event.id)
        id_ = self.town.workspace.index.find("booking", natural_id)
        assert id_ is not None
        return self.town.get("booking", id_)


@pytest.fixture
def story() -> Story:
    return Story()


def _personal(entity: Entity) -> dict[str, object]:
    """What is personal in an entity, wherever it stands."""
    found: dict[str, object] = {}
    names = {"email", "full_name", "phone", "phone_raw", "answers", "join_url", "host_email"}
    names |= {"host_name", "cancellation", "company", "contact_ref"}
    found |= {name: entity.values.get(name) for name in names if entity.values.get(name)}
    for copy in entity.copies.values():
        for register in copy.registers.values():
            found |= {n: v for n, v in register.values.items() if n in names and v}
    return found


def test_the_order_marks_what_sinks_must_delete_and_hides_the_person(story: Story) -> None:
    jo, kim = story.person("jo"), story.person("kim")
    alone, together = story.books(TRIAL, jo), story.books(CLASS, jo, kim)
    contact = story.who(jo)
    marked = story.town.orders(contact, "hubspot")
    assert {entity.key for entity in marked} == {
        f"acme/contact/{contact}",
        story.booking(alone).key,
    }
    assert all(entity.erasing_since == story.town.now for entity in marked)
    assert story.booking(together).erasing_since is None
    assert story.town.get("contact", contact).match_keys == ()
    erasure = story.town.erasure(contact)
    assert (erasure.state, erasure.asked_by) == (ErasureState.ASKED, "dana")
    assert erasure.waits_for == [
        ("hubspot", f"contact/{contact}"),
        ("hubspot", f"booking/{story.booking(alone).id}"),
    ]
    assert story.town.orders(contact) == []  # it stands so already


def test_the_keys_are_the_persons_and_nobody_elses(story: Story) -> None:
    jo, kim = story.person("jo", phone=LINE), story.person("kim", phone=LINE)
    alone, together = story.books(TRIAL, jo), story.books(CLASS, jo, kim)
    contact = story.who(jo)
    story.town.orders(contact, "hubspot")
    keys = set(story.town.erasure(contact).keys)
    assert {
        contact_key(contact),
        object_key("calendar_live", "attendee", jo.id),
        object_key("calendar_live", "attendance", f"{together.id}/{jo.id}"),
        object_key("calendar_live", "event", alone.id),
        object_key("booking", story.booking(alone).id),
        object_key("hubspot", "contact", f"~{contact}"),
    } <= keys
    others = {
        contact_key(story.who(kim)),
        object_key("calendar_live", "attendee", kim.id),
        object_key("calendar_live", "attendance", f"{together.id}/{kim.id}"),
        object_key("calendar_live", "event", together.id),
        object_key("booking", story.booking(together).id),
    }
    assert not keys & others


def test_the_last_versions_hold_nothing_personal(story: Story) -> None:
    jo, kim = story.person("jo", phone=LINE, company="Northwind"), story.person("kim", phone=LINE)
    alone, together = story.books(TRIAL, jo), story.books(CLASS, jo, kim)
    story.tells(story.calendar.cancel(alone, reason="a private matter"))
    contact, other = story.who(jo), story.town.get("contact", story.who(kim))
    story.town.erases(contact)
    erased = [e for e in story.town.workspace.entities.values() if e.erased_at is not None]
    assert {entity.kind for entity in erased} == {"contact", "attendance", "booking"}
    assert [_personal(entity) for entity in erased] == [{}] * len(erased)
    assert story.booking(alone).values["status"] == "cancelled"
    assert story.booking(alone).values["start_at"] is not None
    assert _personal(story.booking(together))
    assert story.town.get("contact", other.id) == other
    assert story.town.erasure(contact).state is ErasureState.DONE


def test_everybody_who_was_merged_goes_too(story: Story) -> None:
    jo, same = story.person("jo"), story.person("jo.2")
    story.books(TRIAL, jo)
    story.books(TRIAL, same)
    one, two = story.who(jo), story.who(same)
    story.later()
    merge = story.town.fact(Fact.MERGE, two, NaturalId("calstream", "decision", "1"))
    story.town.hears(replace(merge, other=one, decided_by="dana"))
    story.town.erases(two)  # by the name of either
    for id_ in (one, two):
        contact = story.town.get("contact", id_)
        assert (contact.copies, contact.match_keys) == ({}, ())
        assert contact.erased_at is not None
    assert {contact_key(one), contact_key(two)} <= set(story.town.erasure(one).keys)
    undo = story.town.fact(Fact.UNMERGE, two, NaturalId("calstream", "decision", "2"))
    with pytest.raises(RecordError) as refused:
        story.town.hears(replace(undo, decided_by="dana"))
    assert refused.value.code is Code.MERGE_REFUSED


@given(order=st.permutations(range(5)), cut=st.integers(0, 5))
@settings(max_examples=40)
def test_old_facts_bring_nobody_back_in_any_order(order: list[int], cut: int) -> None:
    story = Story()
    agreed = Consent("marketing", True, "consent", "sha256:1", BEGIN)
    jo = story.person("jo", consent=agreed)
    event = story.books(TRIAL, jo)
    story.tells(story.calendar.update_attendee(jo, full_name="Jo Other"))
    story.tells(story.calendar.withdraw_consent(jo))
    story.tells(story.calendar.update(event, title="Moved"))
    story.tells(story.calendar.cancel(event, reason="private"))
    contact = story.who(jo)
    story.later()
    story.town.orders(contact)
    said = [story.sent[place] for place in order]
    story.town.receives(said[:cut])  # some come before the keys are gone
    story.town.destroys(contact)
    before = dict(story.town.workspace.entities)
    story.later()
    story.town.receives(said[cut:] + said)
    assert story.town.workspace.entities == before
    assert story.town.who(jo.id) == []
    assert all(not _personal(entity) for entity in before.values() if entity.kind != "series")
    cause = cause_of(story.town.log[0])
    other_rules = replace(CALENDAR_TO_CRM, ignore_dots=True, ignore_plus_addresses=True)
    again = list(refold(story.town.workspace, before.values(), other_rules, cause))
    assert [entity.key for entity in again if _personal(entity)] == []


def test_a_repeat_has_its_keys_destroyed_as_well(story: Story) -> None:
    jo = story.person("jo")
    story.books(TRIAL, jo)
    contact = story.who(jo)
    story.town.erases(contact)
    story.town.receives(story.sent)
    erasure = story.town.erasure(contact)
    assert (erasure.state, erasure.dropped) == (ErasureState.SWEEPING, 3)
    story.town.answers("contact", contact, "calstream", Done.KEYS_DESTROYED, seen=2)
    assert story.town.erasure(contact).state is ErasureState.SWEEPING  # one came meanwhile
    story.town.destroys(contact)
    assert story.town.erasure(contact).state is ErasureState.DONE


def test_an_old_booking_that_ends_brings_nobody_back(story: Story) -> None:
    jo, kim = story.person("jo"), story.person("kim")
    alone, together = story.books(TRIAL, jo), story.books(CLASS, jo, kim)
    story.town.erases(story.who(jo))
    story.later()
    story.tells(story.calendar.complete(alone))
    story.tells(story.calendar.complete(together))
    assert story.town.who(jo.id) == []
    assert story.booking(alone).values["status"] == "completed"
    assert story.booking(together).values["status"] == "completed"
    attendances = [each for each in story.town.all("attendance") if each.erased_at is not None]
    assert [_personal(each) for each in attendances] == [{}, {}]


def test_who_books_again_is_somebody_new_and_has_not_agreed(story: Story) -> None:
    agreed = Consent("marketing", True, "consent", "sha256:1", BEGIN)
    jo = story.person("jo", consent=agreed)
    story.books(TRIAL, jo)
    story.tells(story.calendar.withdraw_consent(jo))
    first = story.who(jo)
    story.town.erases(first)
    event = story.books(TRIAL, jo)
    second = story.who(jo)
    assert second != first
    assert story.town.get("contact", second).values["email"] == "jo@person.example"
    assert story.town.get("contact", first).copies == {}
    attends = {
        attendance.references["contact_ref"]
        for attendance in story.town.all("attendance")
        if any(event.id in id_.object_id for id_ in attendance.copies)
    }
    assert attends == {second}
    theirs = [c for c in story.town.all("consent") if c.references.get("contact_ref") == second]
    assert [consent.values["granted"] for consent in theirs] == [False]
    old = [c for c in story.town.all("consent") if c.references.get("contact_ref") == first]
    assert [len(consent.copies) for consent in old] == [2]  # the history is kept

    story.town.erases(second)
    story.books(TRIAL, jo)
    third = story.who(jo)
    assert third not in {first, second}


def test_an_attendee_who_was_never_heard_of_is_known_by_the_address(story: Story) -> None:
    jo = story.person("jo")
    twin = story.calendar.add_attendee(jo.email.upper(), "Jo")
    _, lost = story.calendar.book(
        Booking(Host("u", "d@acme.example", "D"), TRIAL, BEGIN, BEGIN, "UTC"), twin
    )
    story.books(TRIAL, jo)
    story.town.erases(story.who(jo))
    story.later()
    story.town.receives(lost)  # it was under way since before
    assert story.town.who(twin.id) == []
    assert story.town.all("attendance") == [
        each for each in story.town.all("attendance") if each.erased_at is not None
    ]


def test_an_address_that_two_people_have_tells_nothing_of_the_erased(story: Story) -> None:
    jo, kim = story.person("jo"), story.person("kim")
    story.books(TRIAL, jo)
    story.books(TRIAL, kim)
    story.tells(story.calendar.update_attendee(kim, email=jo.email))
    other = story.town.get("contact", story.who(kim))
    assert other.values["email"] == jo.email
    gone = story.who(jo)
    story.town.erases(gone)
    assert story.town.erasure(gone).people == frozenset()
    story.town.receives(story.sent)
    assert story.town.get("contact", other.id) == other
    assert story.town.who(jo.id) == []


def test_what_a_sink_still_says_of_the_erased_is_dropped(story: Story) -> None:
    jo = story.person("jo")
    story.books(TRIAL, jo)
    contact = story.who(jo)
    story.town.orders(contact, "hubspot")
    late = story.town.fact(Fact.RESULT, contact, NaturalId("hubspot", "contact", "501"))
    assert story.town.hears(late) == []
    assert story.town.erasure(contact).dropped == 1
    story.town.answers("contact", contact, "hubspot", Done.DELETED)
    told = story.town.answers("booking", story.town.all("booking")[0].id, "hubspot", Done.NOTHING)
    assert told == []
    assert story.town.erasure(contact).waits_for == []


def test_time_and_rules_are_never_dropped(story: Story) -> None:
    story.books(TRIAL, story.person("jo"))
    story.town.erases(story.town.all("contact")[0].id)
    state, before = story.town.workspace, story.town.now - 1
    for said in (tick("acme", before), rules_changed("acme", CALENDAR_TO_CRM, "e", before)):
        assert suppressed_by(state, said, CALENDAR_TO_CRM) is None


def test_nobody_is_erased_who_is_not_there(story: Story) -> None:
    with pytest.raises(RecordError) as refused:
        story.town.orders("6f1b5c1e-0d5e-5d0e-9c55-2b7a3f5b1a11")
    assert refused.value.code is Code.ENTITY_NOT_FOUND
    with pytest.raises(RecordError):
        story.town.answers("contact", "nobody", "hubspot", Done.DELETED)
