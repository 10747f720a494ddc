"""The scoring table against answers as forms give them."""

from typing import Any

import orjson
import pytest
from tests.unit.automation_scene import Truth, booking, calendar, rules_with

from calstream_processors.resolve.automation.scoring import answers_of, matches
from calstream_schemas.entities import Entity
from calstream_schemas.lead_rules import LeadRules, Operand, Operator, ScoringRule


@pytest.mark.parametrize(
    ("operator", "value", "answer", "holds"),
    [
        (Operator.IS, "This quarter", " this QUARTER ", True),
        (Operator.IS, "this", "this quarter", False),
        (Operator.IS, 5, "5", True),
        (Operator.IS, 5, 5.0, True),
        (Operator.IS, 5, "five", False),
        (Operator.IS, True, True, True),
        (Operator.IS, True, "True", True),
        (Operator.IS, True, 1, False),
        (Operator.IS, 1, True, False),
        (Operator.IS, "b", ["a", "B"], True),
        (Operator.IS_NOT, "a", "b", True),
        (Operator.IS_NOT, "a", ["b", "a"], False),
        (Operator.ONE_OF, ("51-200", "201+"), "201+", True),
        (Operator.ONE_OF, ("51-200", "201+"), ["x", "51-200"], True),
        (Operator.ONE_OF, ("51-200", "201+"), "51", False),
        (Operator.CONTAINS, "crm", "We replace our CRM", True),
        (Operator.CONTAINS, "crm", "spreadsheets", False),
        (Operator.AT_LEAST, 50, "50", True),
        (Operator.AT_LEAST, 50, 49.5, False),
        (Operator.AT_LEAST, 50, "51-200", False),
        (Operator.AT_LEAST, 50, "inf", False),
        (Operator.AT_LEAST, 50, "nan", False),
        (Operator.AT_LEAST, 0, True, False),
        (Operator.AT_LEAST, 0, {"a": 1}, False),
        (Operator.AT_LEAST, 50, [10, 60], True),
        (Operator.AT_MOST, 2.5, 2, True),
        (Operator.AT_MOST, 2.5, 3, False),
        (Operator.ANSWERED, None, "anything", True),
    ],
)
def test_an_answer_is_compared_as_a_person_would(
    operator: Operator, value: Operand, answer: object, holds: bool
) -> None:
    row = ScoringRule("question", operator, value, 5)
    assert (matches([row], {"question": answer}) == [row]) is holds


@pytest.mark.parametrize("operator", Operator)
def test_a_question_that_was_not_answered_gives_nothing(operator: Operator) -> None:
    row = ScoringRule("question", operator, 1, 5)
    assert matches([row], {"other": 1}) == []


def _attendance(answers: Any) -> Entity:
    scene = calendar()
    person = scene.add_attendee("jo@example.com", "Jo")
    told = scene.book(booking(answers=answers), person)[1]
    return Truth(rules_with(LeadRules(source=""))).receive(told).only("attendance")


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_answer_is_none(empty: object) -> None:
    assert answers_of([_attendance({"a": empty, "b": 0, "c": False})]) == {"b": 0, "c": False}


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "7", None])
def test_answers_that_are_no_form_are_none(text: str | None) -> None:
    attendance = _attendance({"a": 1})
    values = {**attendance.values, "answers": text}
    assert answers_of([_with(attendance, values)]) == {}
    values["answers"] = orjson.dumps({"a": 2}).decode()
    assert answers_of([_with(attendance, values)]) == {"a": 2}


def _with(attendance: Entity, values: Any) -> Entity:
    return Entity(
        **{
            name: getattr(attendance, name)
            for name in Entity.__dataclass_fields__
            if name != "values"
        },
        values=values,
    )
