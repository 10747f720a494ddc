"""Where a lead comes from: the one rule that needs nothing but the contact's own copies. Pure.

So it takes no version of its own: the rules' copy comes with the version that gives reason to it.
"""

from collections.abc import Mapping

from calstream_processors.resolve.automation.word import statement
from calstream_processors.resolve.consequences import SYSTEM, said_by_rules
from calstream_processors.resolve.copies import apply
from calstream_schemas.entities import Copy, NaturalId, Values
from calstream_schemas.lead_rules import LeadRules
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import CALENDAR

_GROUP = "lead_source"


def source_of(copies: Mapping[NaturalId, Copy], rules: LeadRules) -> Values | None:
    """What the rules say of where a contact comes from; None if it is nobody who books."""
    if not rules.source or all(copy.role != CALENDAR for copy in copies.values()):
        return None
    return {_GROUP: rules.source}


def with_source(
    id_: str, copies: Mapping[NaturalId, Copy], cause: Observation, rules: LeadRules
) -> Mapping[NaturalId, Copy]:
    """A contact's copies with the rules' word on its source, where that has not been said.

    Args:
        id_: the contact's.
        copies: after the observation.
        cause: the observation.
        rules: the workspace's for leads.
    """
    if cause.role != CALENDAR or any(
        name.system == SYSTEM and _GROUP in copy.registers for name, copy in copies.items()
    ):
        return copies
    source = source_of(copies, rules)
    if source is None:
        return copies
    own = NaturalId(SYSTEM, cause.kind, id_)
    return apply(copies, said_by_rules(cause, cause.kind, own, [statement(_GROUP, source, cause)]))
