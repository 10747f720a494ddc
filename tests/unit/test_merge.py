"""Merge, unmerge and apart: decisions that are carried out, undone, refused and replayed."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.identity_scene import People, attendee, hubspot

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.instant import MAX_AHEAD_MICROSECONDS
from calstream_schemas.entities import Entity, NaturalId, Stamp
from calstream_schemas.observations import Fact, Statement

JO, KIM, LEE = "jo@example.com", "kim@example.com", "lee@example.com"
FUTURE = 2 * MAX_AHEAD_MICROSECONDS


def _three() -> tuple[People, str, str, str]:
    people = People()
    return people, people.books(1, email=JO), people.books(2, email=KIM), people.books(3, email=LEE)


def test_the_survivor_has_the_copies_and_the_loser_points_to_it() -> None:
    people, jo, kim, _ = _three()
    people.says(hubspot(2), role="crm", about=kim, company={"company": "Northwind"})
    people.decides(Fact.MERGE, kim, jo)
    survivor, loser = people.contact(jo), people.contact(kim)
    rules = {NaturalId("rules", "contact", id_) for id_ in (jo, kim)}
    assert set(survivor.copies) == {attendee(1), attendee(2), hubspot(2)} | rules
    assert survivor.values["company"] == "Northwind"
    assert (loser.copies, loser.values, loser.match_keys) == ({}, {}, ())
    assert loser.merge is not None
    assert (loser.merge.into, loser.merge.by) == (jo, "dana")


def test_a_merge_keeps_when_a_time_in_the_future_was_first_said() -> None:
    people, jo, kim, _ = _three()
    people.says(hubspot(2), role="crm", about=kim, company={"company": "Northwind"})
    statement = Statement("company", {"company": "Southwind"}, Stamp(-1, FUTURE, by_self=False))
    said = replace(people.log[-1], statements=(statement,))
    people.hears(replace(said, id="f1", received_at=50))
    people.hears(replace(said, id="f2", received_at=60, about=jo))
    people.decides(Fact.MERGE, kim, jo)
    assert people.contact(jo).copies[hubspot(2)].clamped == ((FUTURE, 50),)


def test_whoever_says_something_of_the_loser_says_it_of_the_survivor() -> None:
    people, jo, kim, _ = _three()
    people.decides(Fact.MERGE, kim, jo)
    assert people.books(2, email="kim@new.example") == jo
    assert people.books(9, email="kim@new.example") == jo
    people.says(hubspot(7), role="crm", about=kim, company={"company": "N"})  # was on its way
    assert people.who(hubspot(7)) == jo
    people.decides(Fact.UNMERGE, kim)
    assert people.who(hubspot(7)) == kim
    assert people.who(attendee(9)) == jo  # came after the merge and was never the loser's


def test_what_referred_to_the_loser_refers_to_the_survivor_and_back() -> None:
    people, jo, kim, _ = _three()
    attendance = people.refers(1, attendee(2))
    made = people.decides(Fact.MERGE, kim, jo)
    assert [entity.kind for entity in made] == ["attendance", "contact", "contact"]
    found = people.workspace.get(attendance)
    assert found is not None
    assert found.references["contact_ref"] == jo
    late = people.refers(2, attendee(2))
    people.decides(Fact.UNMERGE, kim)
    for key in (attendance, late):
        found = people.workspace.get(key)
        assert found is not None
        assert found.references["contact_ref"] == kim


def test_an_unmerge_is_not_asked_about_again() -> None:
    people = People()
    jo, kim = people.books(1, email=JO), people.books(2, email=KIM)
    people.books(2, email=JO)
    assert len(people.reviews()) == 1
    people.decides(Fact.MERGE, kim, jo)
    assert people.reviews() == {}
    people.decides(Fact.UNMERGE, kim)
    assert people.reviews() == {}
    people.books(2, email=JO, name="Kim")
    assert people.reviews() == {}


def test_the_word_that_two_are_two_settles_the_question() -> None:
    people = People()
    jo, kim = people.books(1, email=JO), people.books(2, email=KIM)
    people.books(2, email=JO)
    people.decides(Fact.APART, jo, kim)
    assert people.reviews() == {}
    assert people.decides(Fact.APART, kim, jo) == ()
    assert people.contact(jo).values["email"] == people.contact(kim).values["email"] == JO


def test_what_was_said_of_a_member_counts_for_whom_it_was_merged_into() -> None:
    people, jo, kim, lee = _three()
    people.decides(Fact.APART, kim, lee)
    people.decides(Fact.MERGE, kim, jo)
    people.books(3, email=KIM)
    assert people.reviews() == {}


def test_a_merge_in_a_circle_is_refused() -> None:
    people, jo, kim, lee = _three()
    people.decides(Fact.MERGE, lee, kim)
    people.decides(Fact.MERGE, kim, jo)
    before = dict(people.workspace.entities)
    for loser, into in ((jo, jo), (jo, kim), (jo, lee)):
        with pytest.raises(RecordError) as caught:
            people.decides(Fact.MERGE, loser, into)
        assert caught.value.code is Code.MERGE_CYCLIC
    assert people.workspace.entities == before


def test_a_decision_that_does_not_fit_is_refused() -> None:
    people, jo, kim, lee = _three()
    people.decides(Fact.MERGE, kim, jo)
    assert people.decides(Fact.MERGE, kim, jo) == ()  # stands already
    for fact, about, other in (
        (Fact.MERGE, kim, lee),
        (Fact.UNMERGE, jo, None),
        (Fact.APART, jo, kim),
    ):
        with pytest.raises(RecordError) as caught:
            people.decides(fact, about, other)
        assert caught.value.code is Code.MERGE_REFUSED
    for fact, about, other in ((Fact.MERGE, "nobody", jo), (Fact.MERGE, lee, None)):
        with pytest.raises(RecordError) as caught:
            people.decides(fact, about, other)
        assert caught.value.code is Code.ENTITY_NOT_FOUND


def test_a_member_of_a_member_leaves_and_the_others_stay_together() -> None:
    people, jo, kim, lee = _three()
    people.decides(Fact.MERGE, lee, kim)
    people.decides(Fact.MERGE, kim, jo)
    assert {people.who(attendee(n)) for n in (1, 2, 3)} == {jo}
    people.decides(Fact.UNMERGE, lee)
    assert [people.who(attendee(n)) for n in (1, 2, 3)] == [jo, jo, lee]
    people.decides(Fact.MERGE, lee, jo)
    people.decides(Fact.UNMERGE, kim)
    assert [people.who(attendee(n)) for n in (1, 2, 3)] == [jo, kim, jo]


def _plain(entity: Entity) -> tuple[object, ...]:
    """All of an entity that has nothing to do with how often it changed."""
    return entity.copies, entity.values, entity.decisions, entity.match_keys, entity.merge


Said = list[tuple[int, str | None, str | None, str | None, str | None]]

people_said = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from([None, JO, KIM, "info@northwind.example"]),
        st.sampled_from([None, "Jo Park", "Kim Park"]),
        st.sampled_from([None, "+14155552671", "+14155552672"]),
        st.sampled_from([None, "Northwind"]),
    ),
    min_size=1,
    max_size=12,
)


def _told(said: Said) -> People:
    people = People()
    for number, email, name, phone, company in said:
        people.books(number, email=email, name=name, phone=phone, company=company)
        people.refers(number, attendee(number))
    return people


@settings(max_examples=150, deadline=None)
@given(people_said, st.randoms(use_true_random=False))
def test_unmerging_all_that_was_merged_in_any_order_gives_everything_back(
    said: Said, random: Random
) -> None:
    people = _told(said)
    before = {entity.key: _plain(entity) for entity in people.workspace.entities.values()}
    references = {e.key: dict(e.references) for e in people.workspace.entities.values()}
    merged: list[str] = []
    contacts = sorted(contact.id for contact in people.contacts())
    random.shuffle(contacts)
    for loser, into in pairwise(contacts):
        people.decides(Fact.MERGE, loser, into)
        merged.append(loser)
    assert len(people.contacts()) == 1
    random.shuffle(merged)
    for loser in merged:
        people.decides(Fact.UNMERGE, loser)
    after = people.workspace.entities.values()
    assert {entity.key: _plain(entity) for entity in after} == before
    assert {entity.key: dict(entity.references) for entity in after} == references


@settings(max_examples=100, deadline=None)
@given(people_said, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6))
def test_a_replay_of_the_log_makes_the_same_people_and_the_same_questions(
    said: Said,
    decisions: list[tuple[int, int]],
) -> None:
    people = _told(said)
    contacts = sorted(contact.id for contact in people.contacts())
    for one, other in decisions:
        fact = (Fact.MERGE, Fact.UNMERGE, Fact.APART)[one % 3]
        loser, into = contacts[one % len(contacts)], contacts[other % len(contacts)]
        with suppress(RecordError):  # many don't fit: that too must replay
            people.decides(fact, loser, into)
    again = People()
    for observation in people.log:
        with suppress(RecordError):
            again.hears(observation)
    assert again.workspace.entities == people.workspace.entities
    assert again.reviews() == people.reviews()


@settings(max_examples=150, deadline=None)
@given(people_said)
def test_questions_are_about_two_contacts_that_share_something_and_are_asked_once(
    said: Said,
) -> None:
    people = _told(said)
    alive = {contact.id: contact for contact in people.contacts()}
    pairs = [review.contacts for review in people.reviews().values()]
    assert len(set(pairs)) == len(pairs)
    for one, other in pairs:
        assert one < other
        assert set(alive[one].match_keys) & set(alive[other].match_keys)
