"""Which conflicts an entity has, and what becomes of those that it had. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_processors.resolve.fold import SETTLED, Candidate, spoken_of
from calstream_schemas.conflicts import Conflict, ConflictState, Voice
from calstream_schemas.entities import Entity, kind_of
from calstream_schemas.rule_sets import RULES, RuleSet


def conflicts_of(entity: Entity, rules: RuleSet) -> dict[str, Conflict]:
    """The open conflicts of an entity by group.

    Two systems are in conflict that spoke of a group themselves, say different things, and began
    to say so within the rules' window. A function of the copies and the rules alone. What our own
    rules say contradicts nobody.
    """
    systems = {id_.system for id_, copy in entity.copies.items() if copy.role != RULES}
    if len(systems) < 2:  # noqa: PLR2004 - it takes two
        return {}
    window = rules.conflict_window_seconds * MICROSECONDS_PER_SECOND
    found = {}
    for group, decision in entity.decisions.items():
        # by object: in which order the copies came is forgotten at a restart
        spoken = sorted(spoken_of(entity.copies.values(), group), key=lambda each: each[0].id)
        voices = sorted({voice for pair in _at_odds(spoken, window) for voice in pair})
        if voices:
            found[group] = Conflict(
                workspace=entity.workspace,
                kind=entity.kind,
                entity_id=entity.id,
                group=group,
                state=ConflictState.OPEN,
                rule=decision.rule,
                decided_for=decision.id,
                voices=tuple(_voice(spoken[place]) for place in voices),
                observation_id=entity.cause.observation_id,
                received_at=entity.cause.received_at,
            )
    return found


def conflict_changes(
    entity: Entity, rules: RuleSet, known: Mapping[str, Conflict]
) -> Iterator[Conflict]:
    """What to write of an entity's conflicts after a new version: new, changed and ended ones.

    Args:
        entity: the new version.
        rules: the workspace's.
        known: its open conflicts so far, by group.
    """
    now = conflicts_of(entity, rules)
    for group, conflict in sorted(now.items()):
        before = known.get(group)
        if before is None or _matter(before) != _matter(conflict):
            yield conflict
    for group in sorted(known.keys() - now.keys()):
        ended, decision = known[group], entity.decisions.get(group)
        if decision is not None and decision.rule == SETTLED:
            ended = replace(ended, rule=SETTLED, decided_for=decision.id)
        yield replace(
            ended,
            state=_end(entity, ended),
            observation_id=entity.cause.observation_id,
            received_at=entity.cause.received_at,
        )


def _at_odds(spoken: list[Candidate], window: int) -> Iterable[tuple[int, int]]:
    for (i, (one, said)), (j, (other, against)) in combinations(enumerate(spoken), 2):
        if (
            one.id.system != other.id.system
            and RULES not in (one.role, other.role)
            and said.values != against.values
            and abs(said.changed_at - against.changed_at) <= window
        ):
            yield i, j


def _voice(candidate: Candidate) -> Voice:
    copy, register = candidate
    return Voice(copy.id, copy.role, register.values, register.changed_at)


def _matter(conflict: Conflict) -> Conflict:
    return replace(conflict, observation_id="", received_at=0)


def _end(entity: Entity, conflict: Conflict) -> ConflictState:
    if conflict.rule == SETTLED:
        return ConflictState.SETTLED
    group = kind_of(entity.kind).group_by_name[conflict.group].name
    held = [
        register
        for voice in conflict.voices
        if (copy := entity.copies.get(voice.id)) and (register := copy.registers.get(group))
    ]
    if any(register.by_self for register in held):
        return ConflictState.OVERRULED
    if len(held) < len(conflict.voices):
        return ConflictState.PASSED  # one is another contact's now: nobody has agreed to anything
    if all(register.values == held[0].values for register in held):
        return ConflictState.AGREED
    return ConflictState.PASSED
