"""Every kind of bad input has the outcome that the page promises, and the rest is applied."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.identity_scene import People
from tests.unit.test_normalise import BODY, _normalise, _with

from calstream_core.errors import RecordError
from calstream_processors.normalise import Normalised
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities import NaturalId
from calstream_schemas.observations import Fact

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
HOLD = {
    "id": "hld_1",
    "host": {"id": "usr_12"},
    "start": "2026-11-27T15:00:00Z",
    "end": "2026-11-27T14:00:00Z",
    "timezone": "UTC",
    "expires_at": "2026-11-27T13:00:00Z",
    "last_modified": "2026-11-20T09:15:01Z",
    "released_reason": None,
    "event_id": None,
}


WEBHOOKS: dict[str, dict[str, Any]] = {
    "a time without a zone": _with("data.event.start", "2026-11-27T15:00:00"),
    "an end before its start": _with("data.event.end", "2026-11-27T14:00:00Z"),
    "a hold that ends before it starts": {
        **BODY,
        "type": "hold.created",
        "data": {"hold": HOLD},
    },
    "a negative amount": _with("data.payment.amount_minor", -4900),
    "a negative price": _with("data.event.event_type.price_minor", -1),
    "an unknown currency": _with("data.payment.currency", "XYZ"),
    "a name of 300 characters": _with("data.attendee.full_name", "Jo " + "x" * 297),
    "an e-mail with two @": _with("data.attendee.email", "jo@home@example.com"),
    "a phone of no country": _with("data.attendee.phone", "+999 1234567"),
    "a webhook without a time of change": _with("data.event.last_modified", None),
}


def _circle() -> None:
    people = People()
    jo, kim = people.books(1, email="jo@example.com"), people.books(2, email="kim@example.com")
    people.decides(Fact.MERGE, jo, kim)
    before = dict(people.workspace.entities)
    try:
        people.decides(Fact.MERGE, kim, jo)
    finally:
        assert people.workspace.entities == before


def _stranger() -> None:
    people = People()
    before = dict(people.workspace.entities)
    try:
        people.says(NaturalId("wms", "contact", "1"), role="warehouse", name={"full_name": "Jo"})
    finally:
        assert people.workspace.entities == before


REFUSED: dict[str, Callable[[], None]] = {
    "a merge in a circle": _circle,
    "a word of a system without a rule": _stranger,
}


def _rows() -> list[tuple[str, str, str, str]]:
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "what":
            found.append((cells[0], cells[1], cells[2], cells[3]))
    return [row for row in found if not re.fullmatch(r"-+", row[0])]


ROWS = _rows()


def test_the_page_has_every_case_and_no_other() -> None:
    assert sorted(row[0] for row in ROWS) == sorted([*WEBHOOKS, *REFUSED])


def _groups(result: Normalised) -> set[str]:
    return {
        f"{observation.kind}.{statement.group}"
        for observation in result.observations
        for statement in observation.statements
    }


def _good_twin(body: dict[str, Any], what: str) -> dict[str, Any]:
    """The same webhook without the fault."""
    if what.startswith("a hold"):
        good = copy.deepcopy(body)
        good["data"]["hold"]["end"] = "2026-11-27T15:30:00Z"
        return good
    return BODY


@pytest.mark.parametrize(("what", "code", "outcome", "lost"), ROWS, ids=[row[0] for row in ROWS])
def test_the_outcome_is_as_the_page_says_and_the_rest_is_applied(
    what: str, code: str, outcome: str, lost: str
) -> None:
    if outcome == "dead letter":
        with pytest.raises(RecordError) as refused:
            REFUSED[what]() if what in REFUSED else _normalise(WEBHOOKS[what])
        assert refused.value.code == code
        return
    result = _normalise(WEBHOOKS[what])
    good = _normalise(_good_twin(WEBHOOKS[what], what))
    assert not good.problems
    assert _groups(good) - _groups(result) == ({lost} if lost else set())
    assert [o.natural_id for o in result.observations] == [o.natural_id for o in good.observations]
    told = result.problems if outcome == "group refused" else result.kept_raw
    assert [problem.code for problem in told] == [code]
    assert not (result.kept_raw if outcome == "group refused" else result.problems)
    workspace = Workspace()
    for observation in result.observations:  # what is left of it is applied
        for entity in resolve(workspace, observation, CALENDAR_TO_CRM):
            workspace.put(entity)
    kinds = {entity.kind for entity in workspace.entities.values()}
    assert kinds == {observation.kind for observation in good.observations}


def test_a_name_that_is_just_short_enough_is_kept() -> None:
    result = _normalise(_with("data.attendee.full_name", "x" * 255))
    assert not result.problems


def test_a_currency_is_written_in_capitals() -> None:
    result = _normalise(_with("data.payment.currency", "eur"))
    (amount,) = (s.values for o in result.observations for s in o.statements if s.group == "amount")
    assert amount["currency"] == "EUR"
