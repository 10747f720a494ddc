"""Whose a new lead is: an owner that there is stays; else those on the list get them by turns.

The turn follows from the assignments that contacts have recorded, so a replay gives the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from calstream_processors.resolve.assignments import ASSIGNMENT, Assignments, Turn, copies_of_rules
from calstream_processors.resolve.automation.word import statement
from calstream_processors.resolve.consequences import SYSTEM, said_by_rules
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.lead_rules import LeadRules
from calstream_schemas.observations import Fact, Observation, observation_id


def next_owner(leads: LeadRules, assignments: Assignments, given: Mapping[Turn, int]) -> str | None:
    """Whose turn it is: the owner's id. Those with more weight get more, evenly spread.

    Args:
        leads: the list and its weights.
        assignments: those that are recorded.
        given: more of them, which are not recorded yet.
    """

    def _burden(turn: Turn, weight: int) -> Fraction:
        return Fraction(2 * (assignments.count(turn) + given.get(turn, 0)) + 1, weight)

    turns = [((leads.round_id, each.owner_id), each.weight) for each in leads.assignees]
    return min(turns, key=lambda each: _burden(*each))[0][1] if turns else None


def needs_owner(contact: Entity) -> bool:
    """Whether nobody has said yet whose it is: no system, and no rule."""
    return "owner" not in contact.decisions and not copies_of_rules(contact, ASSIGNMENT)


def assigned(contact: Entity, owner_id: str, leads: LeadRules, cause: Observation) -> Observation:
    """The record that a contact is somebody's."""
    id_ = NaturalId(SYSTEM, ASSIGNMENT, f"{contact.id}/{leads.round_id}")
    said = statement("owner", {"owner_id": owner_id}, cause)
    return said_by_rules(cause, contact.kind, id_, [said], about=contact.id)


def released(contact: Entity, cause: Observation) -> Iterator[Observation]:
    """Takes an assignment back where the contact turns out to have an owner already.

    Whoever was given the lead then is not passed over at the next turn. A system that had another
    owner before, such as the one that we wrote there, has made a change of its own: that stands
    beside the assignment.
    """
    decision = contact.decisions.get("owner")
    if decision is None or decision.id.system == SYSTEM:
        return
    register = contact.copies[decision.id].registers["owner"]
    if register.differed is not None or register.values.get("owner_id") is None:
        return
    for copy in copies_of_rules(contact, ASSIGNMENT):
        if not copy.gone:
            drawn = said_by_rules(cause, contact.kind, copy.id, [], about=contact.id)
            gone = observation_id(SYSTEM, cause.id, Fact.GONE, copy.id)
            # the owner may have been said before the lead was given: it is taken back after that
            given_at = max(register.modified_at for register in copy.registers.values())
            at = max(drawn.occurred_at, given_at)
            yield replace(drawn, id=gone, fact=Fact.GONE, occurred_at=at)
