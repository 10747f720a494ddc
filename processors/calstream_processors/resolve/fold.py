"""Folds the copies of an entity into the truth, and says for each group who decided it."""

from collections.abc import Iterable

from calstream_processors.resolve.register import canonical
from calstream_schemas.entities import Copy, Decision, Kind, NaturalId, Register, Value, Values
from calstream_schemas.rule_sets import RuleSet

Candidate = tuple[Copy, Register]


def fold(kind: Kind, copies: Iterable[Copy], rules: RuleSet) -> tuple[Values, dict[str, Decision]]:
    """The truth of an entity.

    For each group: the owner decides if it has spoken; else the newest of the others, then the
    precedence of systems, then the value. What Calstream itself wrote somewhere never counts as
    that system speaking. An object that is gone speaks where none of its system's that stand does:
    a hold gives way to the event that it became.

    Returns:
        The values of every group that somebody spoke of (a field that was not said is None), and
        the decision for each such group.
    """
    said_of: dict[str, list[Candidate]] = {}
    for copy in copies:
        for name, register in copy.registers.items():
            if not register.by_self:
                said_of.setdefault(name, []).append((copy, register))
    values: dict[str, Value] = {}
    decisions: dict[str, Decision] = {}
    made: dict[tuple[NaturalId, str], Decision] = {}  # most groups are decided alike
    for group in kind.groups:
        name = group.name
        spoken = said_of.get(name)
        if spoken is None:
            continue
        if len(spoken) > 1:
            spoken = _in_order(spoken)
        (copy, register), rule = _decide(spoken, rules.owner(kind.name, name), rules)
        decision = made.get((copy.id, rule))
        if decision is None:
            decision = made[copy.id, rule] = Decision(copy.id, rule)
        decisions[name] = decision
        said = register.values
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
    return sorted(_standing(spoken), key=lambda candidate: candidate[0].id)


def _standing(spoken: list[Candidate]) -> list[Candidate]:
    if not any(copy.gone for copy, _ in spoken):
        return spoken
    standing = {copy.id.system for copy, _ in spoken if not copy.gone}
    return [each for each in spoken if not each[0].gone or each[0].id.system not in standing]


def _decide(spoken: list[Candidate], owner: str | None, rules: RuleSet) -> tuple[Candidate, str]:
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
