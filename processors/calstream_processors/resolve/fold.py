"""Folds the copies of an entity into the truth, and says for each group who decided it."""

from collections.abc import Iterable

from calstream_processors.resolve.ownership import PRECEDENCE, Ownership
from calstream_processors.resolve.register import canonical
from calstream_schemas.entities import Copy, Decision, Kind, Register, Value, Values

Candidate = tuple[Copy, Register]


def fold(
    kind: Kind, copies: Iterable[Copy], ownership: Ownership
) -> tuple[Values, dict[str, Decision]]:
    """The truth of an entity.

    For each group: the owner decides if it has spoken; else the newest of the others, then the
    precedence of roles, then the value. What Calstream itself wrote somewhere never counts as
    that system speaking.

    Returns:
        The values of every group that somebody spoke of (a field that was not said is None), and
        the decision for each such group.
    """
    held = list(copies)
    values: dict[str, Value] = {}
    decisions: dict[str, Decision] = {}
    for group in kind.groups:
        spoken = [
            (copy, register)
            for copy in held
            if (register := copy.registers.get(group.name)) is not None and not register.by_self
        ]
        if not spoken:
            continue
        (copy, register), rule = _decide(spoken, ownership.get((kind.name, group.name)))
        decisions[group.name] = Decision(copy.id, rule)
        for field in group.fields:
            values[field.name] = register.values.get(field.name)
    return values, decisions


def _decide(spoken: list[Candidate], owner: str | None) -> tuple[Candidate, str]:
    of_owner = [candidate for candidate in spoken if candidate[0].role == owner]
    if of_owner:
        return max(of_owner, key=_rank), "owner"
    if len(spoken) == 1:
        return spoken[0], "only"
    return max(spoken, key=_rank), "newest"


def _rank(candidate: Candidate) -> tuple[object, ...]:
    copy, register = candidate
    place = PRECEDENCE.index(copy.role) if copy.role in PRECEDENCE else len(PRECEDENCE)
    return (register.changed_at, -place, canonical(register.values), copy.id)
