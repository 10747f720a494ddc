"""The rules for leads that a workspace's settings ask for, and what is wrong with them."""

from collections.abc import Callable, Iterator, Mapping

from calstream_core.settings import RuleSettings, ScoringRow
from calstream_processors.resolve.closest import closest
from calstream_schemas.lead_rules import Assignee, LeadRules, Operand, Operator, ScoringRule

_OPERATORS = tuple(each.value for each in Operator)


def lead_rules_of(asked: RuleSettings) -> LeadRules:
    """The rules for leads; `lead_faults` has found none."""
    return LeadRules(
        source=asked.lead_source.strip(),
        scoring=tuple(
            ScoringRule(row.field, Operator(row.operator), row.value, row.points)
            for row in asked.scoring.table
        ),
        threshold=asked.scoring.threshold,
        assignees=tuple(Assignee(each.owner_id, each.weight) for each in asked.assignment.people),
    )


def lead_faults(asked: RuleSettings) -> Iterator[str]:
    """What is wrong, each with its place below `rules.`."""
    table, people = asked.scoring.table, asked.assignment.people
    for number, row in enumerate(table):
        for fault in _row_faults(row):
            yield f"scoring.table[{number}] ({row.field}): {fault}"
    threshold, most = asked.scoring.threshold, sum(max(row.points, 0) for row in table)
    if threshold is not None and threshold > most:
        yield f"scoring.threshold: the table gives {most} points at most"
    ids = [each.owner_id for each in people]
    for twice in sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        yield f"assignment.people: {twice} stands twice; give it a weight"


def _row_faults(row: ScoringRow) -> Iterator[str]:
    if row.operator not in _OPERATORS:
        yield f"there is no operator {row.operator!r}{closest(row.operator, _OPERATORS)}"
        return
    fits, needs = _OPERANDS[Operator(row.operator)]
    if not fits(row.value):
        yield f"{row.operator} {needs}"


def _is_number(value: Operand) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_single(value: Operand) -> bool:
    return value is not None and not isinstance(value, tuple)


_SINGLE = (_is_single, "needs one value; one_of takes several")
_NUMBER = (_is_number, "needs a number")
_OPERANDS: Mapping[Operator, tuple[Callable[[Operand], bool], str]] = {
    Operator.IS: _SINGLE,
    Operator.IS_NOT: _SINGLE,
    Operator.ONE_OF: (lambda value: isinstance(value, tuple) and bool(value), "needs a list"),
    Operator.CONTAINS: (lambda value: isinstance(value, str) and bool(value), "needs a text"),
    Operator.AT_LEAST: _NUMBER,
    Operator.AT_MOST: _NUMBER,
    Operator.ANSWERED: (lambda value: value is None, "takes no value"),
}
