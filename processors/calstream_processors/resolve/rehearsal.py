"""What other rules would do to a workspace: done to a copy of its truth, and compared. Pure."""

from collections.abc import Iterable

from calstream_processors.resolve.automation.lead import restate
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.refold import FieldChange, field_changes, refold
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.versions import cause_of
from calstream_schemas.entities import Entity
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet


def rehearse(
    entities: Iterable[Entity], in_force: RuleSet, observation: Observation
) -> list[FieldChange]:
    """The changes of the truth, by key, group and field, if rules came that are not in force.

    Args:
        entities: the newest versions of all entities of the workspace.
        in_force: its rules until now.
        observation: of the other rules.
    """
    before = {entity.key: entity for entity in entities}
    state = Workspace()
    for entity in before.values():
        state.put(entity)
    _apply_rules(state, before, in_force, observation)
    return [
        change
        for key in sorted(before)
        for change in field_changes(before[key], state.entities[key])
    ]


def _apply_rules(
    state: Workspace, entities: dict[str, Entity], in_force: RuleSet, observation: Observation
) -> None:
    rules = observation.rule_set
    assert rules is not None

    def take(made: Iterable[Entity]) -> list[Change]:
        return [Change(state.put(entity), entity, observation) for entity in made]

    def apply(drawn: Observation) -> list[Change]:
        return [Change(state.put(e), e, drawn) for e in resolve(state, drawn, rules)]

    changes = take(list(refold(state, entities.values(), rules, cause_of(observation))))
    follow_up(state, changes, rules, CONSEQUENCES, apply)
    if rules.leads != in_force.leads:
        contacts = [e for _, e in sorted(state.entities.items()) if e.kind == "contact"]
        for drawn in restate(state, contacts, rules, observation):
            follow_up(state, apply(drawn), rules, CONSEQUENCES, apply)
