"""What follows from a change of the truth: observations that a workspace's rules make. Pure.

An observation gives new versions; from them each consequence may draw further observations, of the
system `rules`, and these are resolved at once, in the same transaction, until nothing follows any
more. So what a rule writes is a copy like any other: it has a provenance, it is folded, and a
replay draws it again.

A consequence says the same whenever it sees the same, and what is said again changes nothing: that
is where it ends.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.observations import Fact, Observation, Statement, observation_id
from calstream_schemas.rule_sets import RULES, RuleSet

SYSTEM = "rules"
"""What the copies that rules write belong to."""

MOST_STEPS = 100
"""Observations that one may draw after it, one from the other: more is a rule that goes in circles.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A new version of an entity, which the state has already.

    Attributes:
        before: the version before it; None for a new entity.
        after: the new one.
        cause: the observation that made it.
    """

    before: Entity | None
    after: Entity
    cause: Observation

    @property
    def refolded(self) -> bool:
        """Whether only the rules changed: nothing happened, so nobody is told anything."""
        return self.cause.fact is Fact.RULES


Consequence = Callable[[WorkspaceState, Sequence[Change], RuleSet], Iterable[Observation]]
"""Draws observations from changes; see the module. The changes are of one observation."""

CONSEQUENCES: tuple[Consequence, ...] = ()
"""All of them, in the order in which they are drawn."""


def follow(
    state: WorkspaceState,
    changes: Sequence[Change],
    rules: RuleSet,
    consequences: Iterable[Consequence] = CONSEQUENCES,
) -> Iterator[Observation]:
    """The observations that follow from changes at once.

    Args:
        state: of the workspace, the changes included.
        changes: all that one observation made.
        rules: the workspace's.
        consequences: which are drawn.
    """
    if changes:
        for consequence in consequences:
            yield from consequence(state, changes, rules)


def said_by_rules(
    cause: Observation,
    kind: str,
    natural_id: NaturalId,
    statements: Sequence[Statement],
    *,
    about: str | None = None,
) -> Observation:
    """An observation of the system `rules`, with an id that the same cause gives again.

    Args:
        cause: what it follows from; its times are taken over.
        kind: of the entity that it is about.
        natural_id: of the copy, of the system `rules`.
        statements: what the rules say.
        about: the entity's id, unless it follows from the natural id.
    """
    return Observation(
        id=observation_id(SYSTEM, cause.id, Fact.STATE, natural_id),
        workspace=cause.workspace,
        fact=Fact.STATE,
        kind=kind,
        natural_id=natural_id,
        role=RULES,
        received_at=cause.received_at,
        occurred_at=cause.occurred_at,
        about=about,
        statements=tuple(statements),
        event_id=cause.event_id,
        event_type=cause.event_type,
    )
