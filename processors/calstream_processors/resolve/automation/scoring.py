"""How promising somebody is by the answers of the forms: points by the scoring table. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from calstream_schemas.entities import Entity
from calstream_schemas.lead_rules import Operand, Operator, ScoringRule

Answers = Mapping[str, Any]
"""What was answered, by question; as JSON has it, several answers as a list."""


def answers_of(attendances: Iterable[Entity]) -> Answers:
    """What somebody has answered: of each question the newest answer.

    A question that a later form leaves empty, or does not have, keeps its answer.
    """
    told = sorted((answered_at(each), each.id, _form(each)) for each in attendances)
    return {question: answer for _, _, form in told for question, answer in form}


def matches(table: Iterable[ScoringRule], answers: Answers) -> list[ScoringRule]:
    """The rows of a table that hold."""
    return [row for row in table if row.field in answers and _holds(row, answers[row.field])]


def _form(attendance: Entity) -> tuple[tuple[str, Any], ...]:
    text = attendance.values.get("answers")
    if not isinstance(text, str):  # none, or erased
        return ()
    try:
        form = orjson.loads(text)
    except orjson.JSONDecodeError:  # another system's own idea of answers
        return ()
    if not isinstance(form, dict):
        return ()
    return tuple((name, value) for name, value in form.items() if value not in (None, "", [], {}))


def answered_at(attendance: Entity) -> int:
    """Since when a form says what it says, microseconds; 0 where there are no answers."""
    decision = attendance.decisions.get("answers")
    if decision is None:
        return 0
    return attendance.copies[decision.id].registers["answers"].changed_at


def _holds(row: ScoringRule, answer: Any) -> bool:
    if row.operator is Operator.ANSWERED:
        return True
    given = answer if isinstance(answer, list) else [answer]
    if row.operator is Operator.IS_NOT:
        return not any(_is(each, row.value) for each in given)
    return any(_fits(row.operator, each, row.value) for each in given)


def _fits(operator: Operator, given: Any, value: Operand) -> bool:
    if operator is Operator.ONE_OF:
        return isinstance(value, tuple) and any(_is(given, each) for each in value)
    if operator is Operator.CONTAINS:
        return _text(value) in _text(given)
    if operator is Operator.IS:
        return _is(given, value)
    number, limit = _number(given), _number(value)
    if number is None or limit is None:
        return False
    return number >= limit if operator is Operator.AT_LEAST else number <= limit


def _is(given: Any, value: Operand) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(given) == value
    return _text(given) == _text(value)


def _text(value: Any) -> str:
    """For comparison: case and white space at the ends don't count."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip().casefold()


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
