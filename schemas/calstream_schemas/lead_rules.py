"""Rules for leads as a value: where they come from, how promising they are, whose they are."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import orjson

CALENDAR_LEAD_SOURCE = "calendar.live"

Operand = str | int | float | bool | tuple[str, ...] | None
"""What an answer is compared with: a text, a number, yes or no, several texts, or nothing."""


class Operator(StrEnum):
    """How an answer of a form is compared with a scoring rule's value."""

    IS = "is"
    IS_NOT = "is_not"  # answered, but otherwise
    ONE_OF = "one_of"
    CONTAINS = "contains"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """One row of the scoring table.

    Attributes:
        field: the form's question, as the scheduling platform names it.
        points: what is added where it holds; may be negative.
    """

    field: str
    operator: Operator
    value: Operand
    points: int


@dataclass(frozen=True, slots=True)
class Assignee:
    """Somebody who gets leads.

    Attributes:
        owner_id: who they are in the CRM.
        weight: how many they get for each one that somebody of the weight 1 gets.
    """

    owner_id: str
    weight: int = 1


@dataclass(frozen=True)
class LeadRules:
    """What a workspace's rules say of people who book.

    Attributes:
        source: their `lead_source`; empty for none.
        scoring: the table; without a row nobody has a score of the rules.
        threshold: the score at which a message is made at once; None for never.
        assignees: who new leads go to by turns; empty where nobody is assigned.
    """

    source: str = CALENDAR_LEAD_SOURCE
    scoring: tuple[ScoringRule, ...] = ()
    threshold: int | None = None
    assignees: tuple[Assignee, ...] = ()

    @cached_property
    def round_id(self) -> str:
        """Names the list of assignees: with another list turns are counted from the beginning."""
        listed = orjson.dumps([(each.owner_id, each.weight) for each in self.assignees])
        return hashlib.sha256(listed).hexdigest()[:12]

    def to_plain(self) -> dict[str, Any]:
        """As plain data for JSON; the inverse of `from_plain`."""
        return {
            "source": self.source,
            "scoring": [
                {
                    "field": row.field,
                    "operator": row.operator.value,
                    "value": list(row.value) if isinstance(row.value, tuple) else row.value,
                    "points": row.points,
                }
                for row in self.scoring
            ],
            "threshold": self.threshold,
            "assignees": [
                {"owner_id": each.owner_id, "weight": each.weight} for each in self.assignees
            ],
        }

    @classmethod
    def from_plain(cls, body: Mapping[str, Any]) -> "LeadRules":
        """Reads what `to_plain` gives.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        threshold = body["threshold"]
        return cls(
            source=str(body["source"]),
            scoring=tuple(
                ScoringRule(
                    str(row["field"]),
                    Operator(row["operator"]),
                    _operand(row["value"]),
                    int(row["points"]),
                )
                for row in body["scoring"]
            ),
            threshold=None if threshold is None else int(threshold),
            assignees=tuple(
                Assignee(str(each["owner_id"]), int(each["weight"])) for each in body["assignees"]
            ),
        )


def _operand(value: Any) -> Operand:
    if isinstance(value, list):
        return tuple(str(each) for each in value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(value)
