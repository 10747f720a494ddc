"""What the rules of a workspace write into a group, one line for each rule. Pure."""

from collections.abc import Iterator, Mapping

from calstream_processors.resolve.automation.writes import WRITTEN_BY_RULES
from calstream_schemas.lead_rules import LeadRules, Operand, ScoringRule
from calstream_schemas.rule_sets import RuleSet

SETTING_OF_RULES: Mapping[tuple[str, str], str] = {
    ("contact", "lead_source"): "rules.lead_source",
    ("contact", "lead_score"): "rules.scoring.table",
    ("contact", "owner"): "rules.assignment.people",
}
"""By which setting of a workspace the rules of a group are changed, if by any."""


def rule_lines(kind: str, group: str, rules: RuleSet) -> tuple[str, ...]:
    """The rules that write a group; none where no rule does, or it is not asked to."""
    if kind == "contact" and group in _OF_LEADS:
        return tuple(_OF_LEADS[group](rules.leads))
    written = WRITTEN_BY_RULES.get((kind, group))
    return () if written is None else (written,)


def _source(leads: LeadRules) -> Iterator[str]:
    if leads.source:
        yield f"whoever books: {leads.source}"


def _score(leads: LeadRules) -> Iterator[str]:
    for row in leads.scoring:
        yield f"{_condition(row)}: {row.points} points"
    if leads.threshold is not None:
        yield f"from {leads.threshold} points on a message at once"


def _owner(leads: LeadRules) -> Iterator[str]:
    if leads.assignees:
        people = ", ".join(f"{each.owner_id} (weight {each.weight})" for each in leads.assignees)
        yield f"whoever books and has no owner, by turns: {people}"


_OF_LEADS = {"lead_source": _source, "lead_score": _score, "owner": _owner}


def _condition(row: ScoringRule) -> str:
    value = "" if row.value is None else f" {_shown(row.value)}"
    return f"{row.field} {row.operator}{value}"


def _shown(value: Operand) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
