"""Folds entities again from their own copies, under other rules. Pure; `entities` is enough."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calstream_processors.resolve.versions import with_copies
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Cause, Decision, Entity, Value, kind_of
from calstream_schemas.rule_sets import RuleSet


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What other rules would do to one field of the truth.

    Attributes:
        old, new: its value now and then; equal where only who decides it changes.
        before, after: who decides and by which rule; None where nobody spoke.
    """

    key: str
    group: str
    field: str
    old: Value
    new: Value
    before: Decision | None
    after: Decision | None


def refold(
    state: WorkspaceState, entities: Iterable[Entity], rules: RuleSet, cause: Cause
) -> Iterator[Entity]:
    """The new versions that other rules make, by key: only of what is decided otherwise.

    Args:
        state: of the workspace.
        entities: all of its entities, in any order.
        rules: the other rules.
        cause: of the new versions.
    """
    for entity in sorted(entities, key=lambda each: each.key):
        after = with_copies(state, entity, entity.copies, cause, rules)
        if (after.values, after.decisions, after.match_keys) != (
            entity.values,
            entity.decisions,
            entity.match_keys,
        ):
            yield after


def field_changes(before: Entity, after: Entity) -> list[FieldChange]:
    """What a version changes in the truth, by group and field."""
    return [
        FieldChange(
            after.key,
            group.name,
            field.name,
            before.values.get(field.name),
            after.values.get(field.name),
            before.decisions.get(group.name),
            after.decisions.get(group.name),
        )
        for group in kind_of(after.kind).groups
        for field in group.fields
        if before.values.get(field.name) != after.values.get(field.name)
        or before.decisions.get(group.name) != after.decisions.get(group.name)
    ]
