"""Resolving: identity, ownership, references, versions."""

from dataclasses import replace

import pytest

from calstream_core.errors import Code, RecordError
from calstream_core.settings import Pattern
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.matching import DEFAULT_RULES, keys_of_statements
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM, PATTERNS
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import (
    SEEN_FOR_MICROSECONDS,
    SeenObservations,
    Workspace,
)
from calstream_schemas.entities import KINDS, Entity, NaturalId, Stamp, Values, entity_id
from calstream_schemas.entities.head import head_of
from calstream_schemas.observations import Fact, Observation, Statement
from calstream_schemas.rule_sets import NEWEST, ROLES


def _say(
    kind: str,
    natural_id: NaturalId,
    at: int,
    *,
    fact: Fact = Fact.STATE,
    role: str = "calendar",
    by_self: bool = False,
    about: str | None = None,
    **groups: Values,
) -> Observation:
    statements = tuple(
        Statement(group, values, Stamp(-1, at, by_self)) for group, values in groups.items()
    )
    return Observation(
        id=f"{natural_id}@{at}",
        workspace="acme",
        fact=fact,
        kind=kind,
        natural_id=natural_id,
        role=role,
        received_at=at,
        occurred_at=at,
        statements=statements,
        about=about,
    )


def _attendee(number: int) -> NaturalId:
    return NaturalId("calendar_live", "attendee", f"att_{number}")


def _resolve(workspace: Workspace, observation: Observation) -> tuple[Entity, ...]:
    made = resolve(workspace, observation, CALENDAR_TO_CRM)
    for entity in made:
        workspace.put(entity)
    return made


def _contact(workspace: Workspace) -> Entity:
    (found,) = (e for e in workspace.entities.values() if e.kind == "contact")
    return found


def _with_email(index: IdentityIndex, email: str) -> list[str]:
    said = _say("contact", _attendee(0), 1, email={"email": email})
    return index.holders(keys_of_statements(said, DEFAULT_RULES, index.keyed).all)


def test_the_first_observation_makes_version_one() -> None:
    workspace = Workspace()
    (made,) = _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    assert (made.version, made.values["email"]) == (1, "a@b.c")
    assert made.id == entity_id("acme", "contact", _attendee(1))
    assert made.decisions["email"].rule == "owner"


def test_the_same_observation_again_makes_no_version() -> None:
    workspace = Workspace()
    observation = _say("contact", _attendee(1), 5, email={"email": "a@b.c"})
    _resolve(workspace, observation)
    assert _resolve(workspace, observation) == ()


def test_a_person_who_books_again_under_the_same_address_is_the_same() -> None:
    workspace = Workspace()
    _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    _resolve(workspace, _say("contact", _attendee(2), 6, email={"email": "a@b.c"}))
    contact = _contact(workspace)
    rules = NaturalId("rules", "contact", contact.id)
    assert set(contact.copies) == {_attendee(1), _attendee(2), rules}


def test_a_corrected_address_stays_the_same_person() -> None:
    workspace = Workspace()
    _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    _resolve(workspace, _say("contact", _attendee(1), 6, email={"email": "new@b.c"}))
    assert _contact(workspace).values["email"] == "new@b.c"
    assert _with_email(workspace.index, "a@b.c") == []


def test_two_people_with_one_address_are_not_guessed_between() -> None:
    workspace = Workspace()
    _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    _resolve(workspace, _say("contact", _attendee(2), 6, email={"email": "other@b.c"}))
    _resolve(workspace, _say("contact", _attendee(2), 7, email={"email": "a@b.c"}))
    _resolve(workspace, _say("contact", _attendee(3), 8, email={"email": "a@b.c"}))
    assert sum(e.kind == "contact" for e in workspace.entities.values()) == 3


def test_the_crm_owns_the_name_once_it_has_one() -> None:
    workspace = Workspace()
    (made,) = _resolve(workspace, _say("contact", _attendee(1), 5, name={"full_name": "Jo"}))
    assert made.values["full_name"] == "Jo"
    crm = NaturalId("hubspot", "contact", "1")
    _resolve(
        workspace,
        _say("contact", crm, 3, role="crm", about=made.id, name={"full_name": "Joanna"}),
    )
    contact = _contact(workspace)
    assert (contact.values["full_name"], contact.decisions["name"].id) == ("Joanna", crm)


def test_what_calstream_wrote_there_does_not_count_as_the_crm_speaking() -> None:
    workspace = Workspace()
    (made,) = _resolve(workspace, _say("contact", _attendee(1), 5, name={"full_name": "Jo"}))
    crm = NaturalId("hubspot", "contact", "1")
    (version,) = _resolve(
        workspace,
        _say("contact", crm, 9, role="crm", by_self=True, about=made.id, name={"full_name": "JO"}),
    )
    assert version.version == 2
    assert version.values["full_name"] == "Jo"


def test_an_older_change_that_comes_late_loses() -> None:
    workspace = Workspace()
    event = NaturalId("calendar_live", "event", "cal_1")
    _resolve(workspace, _say("booking", event, 9, title={"title": "new"}))
    (version,) = _resolve(workspace, _say("booking", event, 5, title={"title": "old"}))
    assert version.values["title"] == "new"


def test_an_attendance_that_comes_before_its_contact_gets_the_reference_later() -> None:
    workspace = Workspace()
    attendance = NaturalId("calendar_live", "attendance", "cal_1/att_1")
    (early,) = _resolve(
        workspace,
        _say("attendance", attendance, 5, contact={"contact_ref": str(_attendee(1))}),
    )
    assert "contact_ref" not in early.references
    made = _resolve(workspace, _say("contact", _attendee(1), 6, email={"email": "a@b.c"}))
    # what referred to the contact comes first: a crash in between then loses nothing
    assert [entity.kind for entity in made] == ["attendance", "contact"]
    assert made[0].references["contact_ref"] == made[1].id
    assert made[0].version == 2


def test_a_crash_after_the_first_of_two_writes_is_made_good_by_doing_it_again() -> None:
    workspace = Workspace()
    attendance = NaturalId("calendar_live", "attendance", "cal_1/att_1")
    _resolve(
        workspace, _say("attendance", attendance, 5, contact={"contact_ref": str(_attendee(1))})
    )
    observation = _say("contact", _attendee(1), 6, email={"email": "a@b.c"})
    first, second = resolve(workspace, observation, CALENDAR_TO_CRM)
    workspace.put(first)  # written; then the process dies
    restored = Workspace()
    for entity in workspace.entities.values():
        restored.put(entity)
    assert resolve(restored, observation, CALENDAR_TO_CRM) == (second,)


def test_a_reference_goes_to_whom_the_contact_turned_out_to_be() -> None:
    workspace = Workspace()
    _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    _resolve(workspace, _say("contact", _attendee(2), 6, email={"email": "a@b.c"}))
    attendance = NaturalId("calendar_live", "attendance", "cal_2/att_2")
    (made,) = _resolve(
        workspace,
        _say("attendance", attendance, 7, contact={"contact_ref": str(_attendee(2))}),
    )
    assert made.references["contact_ref"] == _contact(workspace).id


def test_a_word_about_an_unknown_entity_is_refused() -> None:
    observation = _say("contact", NaturalId("hubspot", "contact", "1"), 5, about="nobody")
    with pytest.raises(RecordError) as caught:
        resolve(Workspace(), observation, CALENDAR_TO_CRM)
    assert caught.value.code is Code.ENTITY_NOT_FOUND


def test_the_index_restored_from_entities_finds_the_same() -> None:
    workspace = Workspace()
    for number in range(1, 5):
        email = {"email": f"{number % 2}@b.c"}
        _resolve(workspace, _say("contact", _attendee(number), number, email=email))
    restored = IdentityIndex()
    for entity in workspace.entities.values():
        restored.replace(None, head_of(entity))
    for number in range(1, 5):
        assert restored.find("contact", _attendee(number)) == workspace.index.find(
            "contact", _attendee(number)
        )
    assert _with_email(restored, "1@b.c") == _with_email(workspace.index, "1@b.c") != []


def test_every_group_of_every_kind_has_an_owner_in_every_pattern() -> None:
    groups = {(kind.name, group.name) for kind in KINDS.values() for group in kind.groups}
    assert set(PATTERNS) == set(Pattern)
    for rules in PATTERNS.values():
        assert set(rules.owners) == groups
        assert set(rules.owners.values()) <= {*ROLES, NEWEST}


def test_ids_that_were_seen_are_forgotten_after_a_week() -> None:
    seen = SeenObservations([("old", 1), ("young", SEEN_FOR_MICROSECONDS)])
    now = SEEN_FOR_MICROSECONDS + 2
    assert seen.expired(now) == ["old"]
    seen.add("new", now)
    assert "old" not in seen
    assert {"young", "new"} == {key for key in ("young", "new") if key in seen}


def test_a_new_version_keeps_what_the_old_one_had() -> None:
    workspace = Workspace()
    (first,) = _resolve(workspace, _say("contact", _attendee(1), 5, email={"email": "a@b.c"}))
    (second,) = _resolve(workspace, _say("contact", _attendee(1), 6, company={"company": "N"}))
    assert second == replace(
        second, id=first.id, version=2, created_at=first.created_at, workspace="acme"
    )
    values = {"email": "a@b.c", "company": "N", "lead_source": "calendar.live"}
    assert second.values == values
