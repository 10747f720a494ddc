"""What other rules would do to a workspace: done to a copy of its truth, and compared. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from calstream_processors.resolve.automation.lead import restate
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.refold import FieldChange, field_changes, refold
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.versions import cause_of
from calstream_schemas.double_bookings import DoubleBooking
from calstream_schemas.entities import Entity
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would change.

    Attributes:
        fields: the changes of the truth, by key, group and field.
        double_bookings: those that would open, change or be cleared, as they would be then.
    """

    fields: list[FieldChange]
    double_bookings: list[DoubleBooking]


def rehearse(entities: Iterable[Entity], in_force: RuleSet, observation: Observation) -> Rehearsal:
    """What would change if rules came that are not in force.

    Args:
        entities: the newest versions of all entities of the workspace.
        in_force: its rules until now.
        observation: of the rule set.
    """
    before = {entity.key: entity for entity in entities}
    state = Workspace()
    for entity in before.values():
        state.put(entity)
    state.double_bookings.settle(in_force.double_booking, observation)
    _apply_rules(state, before, observation)
    rules = observation.rule_set
    assert rules is not None
    changed = state.double_bookings.settle(rules.double_booking, observation)
    return Rehearsal(
        [
            change
            for key in sorted(before)
            for change in field_changes(before[key], state.entities[key])
        ],
        sorted(changed, key=lambda each: (each.start, each.id)),
    )


def _apply_rules(state: Workspace, entities: dict[str, Entity], observation: Observation) -> None:
    rules = observation.rule_set
    assert rules is not None

    def take(made: Iterable[Entity]) -> list[Change]:
        return [Change(state.put(entity), entity, observation) for entity in made]

    def apply(drawn: Observation) -> list[Change]:
        return [Change(state.put(e), e, drawn) for e in resolve(state, drawn, rules)]

    changes = take(list(refold(state, entities.values(), rules, cause_of(observation))))
    follow_up(state, changes, rules, CONSEQUENCES, apply)
    contacts = [e for _, e in sorted(state.entities.items()) if e.kind == "contact"]
    for drawn in restate(state, contacts, rules, observation):
        follow_up(state, apply(drawn), rules, CONSEQUENCES, apply)
