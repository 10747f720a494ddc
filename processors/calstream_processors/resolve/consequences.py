"""What follows from a change of the truth: observations that a workspace's rules make. Pure.

An observation gives new versions; from them each consequence may draw further observations, of the
system `rules`, and these are resolved at once, in the same transaction, until nothing follows any
more. So what a rule writes is a copy like any other: it has a provenance, it is folded, and a
replay draws it again.

A consequence says the same whenever it sees the same, and what is said again changes nothing: that
is where it ends.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from calstream_core.errors import Code, InvariantError
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.observations import ABOUT_RULES, Fact, Observation, Statement, observation_id
from calstream_schemas.rule_sets import RULES, RuleSet

SYSTEM = "rules"
"""What the copies that rules write belong to."""

MOST_STEPS = 100
"""How long a chain of observations may be, each drawn from the one before: longer is a circle."""


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
        return self.cause.fact in ABOUT_RULES


Consequence = Callable[[WorkspaceState, Sequence[Change], RuleSet], Iterable[Observation]]
"""Draws observations from changes; see the module. The changes are of one observation."""


def follow(
    state: WorkspaceState,
    changes: Sequence[Change],
    rules: RuleSet,
    consequences: Iterable[Consequence],
) -> Iterator[Observation]:
    """The observations that follow from changes at once.

    Args:
        state: of the workspace, the changes included.
        changes: all that one observation made.
        rules: the workspace's.
        consequences: which are drawn, in this order.
    """
    for consequence in consequences:
        yield from consequence(state, changes, rules)


def follow_up(
    state: WorkspaceState,
    changes: Sequence[Change],
    rules: RuleSet,
    consequences: Iterable[Consequence],
    apply: Callable[[Observation], Sequence[Change]],
) -> None:
    """Draws what follows from changes, and what follows from that, until nothing does.

    Args:
        state: of the workspace, the changes included.
        changes: all that one observation made.
        rules: the workspace's.
        consequences: which are drawn, in this order.
        apply: resolves a drawn observation into the state, and tells what it changed.

    Raises:
        InvariantError: the rules go in circles.
    """
    drawn = deque((1, each) for each in follow(state, changes, rules, consequences))
    while drawn:
        step, observation = drawn.popleft()
        if step > MOST_STEPS:
            raise InvariantError(
                Code.INVARIANT_BROKEN, f"Rules go in circles at {observation.natural_id}."
            )
        made = apply(observation)
        drawn.extend((step + 1, each) for each in follow(state, made, rules, consequences))


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
