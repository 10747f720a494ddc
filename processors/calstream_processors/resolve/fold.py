"""Folds the copies of an entity into the truth, and says for each group who decided it."""

from collections.abc import Iterable

from calstream_processors.resolve.register import canonical
from calstream_processors.time.shifted import SCHEDULE, shifted
from calstream_schemas.entities import Copy, Decision, Kind, NaturalId, Register, Value, Values
from calstream_schemas.observations import DECIDERS
from calstream_schemas.rule_sets import RuleSet

Candidate = tuple[Copy, Register]

SETTLED = "settled"
"""The rule of a group that a person has decided."""


def fold(kind: Kind, copies: Iterable[Copy], rules: RuleSet) -> tuple[Values, dict[str, Decision]]:
    """The truth of an entity.

    For each group: a person's decision stands until a system speaks anew; then the owner decides if
    it has spoken; else the newest of the others, then the precedence of systems, then the value.
    What Calstream itself wrote somewhere never counts as that system speaking; only where nobody
    speaks any more, because the last word was overwritten or its object belongs to another entity
    now, the newest of what was written stands (`kept`): a value that nobody took back is not lost.
    An object that is gone speaks where none of its system's that stand does: a hold gives way to
    the event that it became.

    Returns:
        The values of every group that a copy has (a field that was not said is None), and the
        decision for each such group.
    """
    said_of: dict[str, list[Candidate]] = {}
    written_of: dict[str, list[Candidate]] = {}  # what Calstream wrote there
    for copy in copies:
        for name, register in copy.registers.items():
            kept = written_of if register.by_self else said_of
            kept.setdefault(name, []).append((copy, register))
    values: dict[str, Value] = {}
    decisions: dict[str, Decision] = {}
    made: dict[tuple[NaturalId, str], Decision] = {}  # most groups are decided alike
    for group in kind.groups:
        name = group.name
        if spoken := said_of.get(name):
            if len(spoken) > 1:
                spoken = _in_order(spoken)
            (copy, register), rule = _decide(spoken, rules.owner(kind.name, name), rules)
        elif written := written_of.get(name):
            standing = _standing(written)
            (copy, register), rule = max(standing, key=lambda each: _rank(each, rules)), "kept"
        else:
            continue
        decision = made.get((copy.id, rule))
        if decision is None:
            decision = made[copy.id, rule] = Decision(copy.id, rule)
        decisions[name] = decision
        said = register.values
        if rules.zone_shifts and name == SCHEDULE:
            said = shifted(register, rules)
        for field_name in group.field_names:
            values[field_name] = said.get(field_name)
    return values, decisions


def spoken_of(copies: Iterable[Copy], group: str) -> list[Candidate]:
    """The copies that speak of a group for themselves, by id of the object."""
    spoken = [
        (copy, register)
        for copy in copies
        if (register := copy.registers.get(group)) is not None and not register.by_self
    ]
    return _in_order(spoken) if len(spoken) > 1 else spoken


def _in_order(spoken: list[Candidate]) -> list[Candidate]:
    spoken = _unsettled(spoken)
    return sorted(_standing(spoken), key=lambda candidate: candidate[0].id)


def _unsettled(spoken: list[Candidate]) -> list[Candidate]:
    """What was said since a person decided; where nothing was, the person's word alone.

    The words that the person has heard count no longer, also once another system speaks anew.
    """
    settled = [each for each in spoken if each[0].role == DECIDERS]
    if not settled:
        return spoken
    last = max(settled, key=lambda each: (each[1].modified_at, each[0].id))
    since = last[1].modified_at
    anew = [e for e in spoken if e[0].role != DECIDERS and e[1].changed_at > since]
    return anew or [last]


def _standing(spoken: list[Candidate]) -> list[Candidate]:
    if not any(copy.gone for copy, _ in spoken):
        return spoken
    standing = {copy.id.system for copy, _ in spoken if not copy.gone}
    return [each for each in spoken if not each[0].gone or each[0].id.system not in standing]


def _decide(spoken: list[Candidate], owner: str | None, rules: RuleSet) -> tuple[Candidate, str]:
    if spoken[0][0].role == DECIDERS:  # then it is alone
        return spoken[0], SETTLED
    if len(spoken) == 1:  # the rule, and it takes no ranking
        return spoken[0], "owner" if spoken[0][0].role == owner else "only"
    of_owner = [candidate for candidate in spoken if candidate[0].role == owner]
    if of_owner:
        return max(of_owner, key=lambda candidate: _rank(candidate, rules)), "owner"
    return max(spoken, key=lambda candidate: _rank(candidate, rules)), "newest"


def _rank(candidate: Candidate, rules: RuleSet) -> tuple[object, ...]:
    copy, register = candidate
    place = rules.place(copy.id.system, copy.role)
    return (register.changed_at, -place, canonical(register.values), copy.id)
