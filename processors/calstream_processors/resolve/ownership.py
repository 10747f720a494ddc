"""Who owns what in each pattern: for each group of fields the role whose word counts.

`docs/ownership.md` explains them, `docs/fields.md` lists them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from calstream_core.settings import Pattern
from calstream_schemas.rule_sets import (
    CALENDAR,
    CRM,
    MEETINGS,
    NEWEST,
    PAYMENTS,
    ROLES,
    RULES,
    OwnerKey,
    RuleSet,
)

_PATTERNS = (Pattern.CALENDAR_TO_CRM, Pattern.CRM_TO_CALENDAR, Pattern.TWO_WAY)

# one column for each of the patterns above
_OWNERS: Mapping[OwnerKey, tuple[str, str, str]] = {
    ("contact", "email"): (CALENDAR, CRM, NEWEST),
    ("contact", "name"): (CRM, CRM, NEWEST),
    ("contact", "phone"): (CALENDAR, CRM, NEWEST),
    ("contact", "company"): (CRM, CRM, NEWEST),
    ("contact", "locale"): (CALENDAR, CALENDAR, CALENDAR),
    ("contact", "lead_source"): (RULES, CRM, RULES),
    ("contact", "lead_status"): (CRM, CRM, CRM),
    ("contact", "lead_score"): (RULES, CRM, RULES),
    ("contact", "lifecycle"): (CRM, CRM, CRM),
    ("contact", "owner"): (CRM, CRM, CRM),
    ("booking", "uid"): (CALENDAR, CALENDAR, CALENDAR),
    ("booking", "title"): (CALENDAR, CRM, NEWEST),
    ("booking", "schedule"): (CALENDAR, CRM, NEWEST),
    ("booking", "status"): (CALENDAR, CRM, NEWEST),
    ("booking", "event_type"): (CALENDAR, CALENDAR, CALENDAR),
    ("booking", "host"): (CALENDAR, CRM, NEWEST),
    ("booking", "location"): (MEETINGS, MEETINGS, MEETINGS),
    ("booking", "hold"): (CALENDAR, CALENDAR, CALENDAR),
    ("booking", "recurrence"): (CALENDAR, CALENDAR, CALENDAR),
    ("booking", "origin"): (CALENDAR, CRM, CALENDAR),
    ("attendance", "booking"): (CALENDAR, CRM, CALENDAR),
    ("attendance", "contact"): (CALENDAR, CRM, CALENDAR),
    ("attendance", "status"): (CALENDAR, CRM, NEWEST),
    ("attendance", "answers"): (CALENDAR, CALENDAR, CALENDAR),
    ("attendance", "payment"): (RULES, RULES, RULES),
    ("payment", "booking"): (CALENDAR, CALENDAR, CALENDAR),
    ("payment", "attendance"): (CALENDAR, CALENDAR, CALENDAR),
    ("payment", "status"): (PAYMENTS, PAYMENTS, PAYMENTS),
    ("payment", "amount"): (CALENDAR, CRM, CALENDAR),
    ("payment", "session"): (CALENDAR, CALENDAR, CALENDAR),
    ("series", "recurrence"): (CALENDAR, CALENDAR, CALENDAR),
    ("consent", "contact"): (CALENDAR, CALENDAR, CALENDAR),
    ("consent", "purpose"): (CALENDAR, CALENDAR, CALENDAR),
    ("consent", "decision"): (NEWEST, NEWEST, NEWEST),
    ("message", "purpose"): (RULES, RULES, RULES),
    ("message", "recipient"): (RULES, RULES, RULES),
    ("message", "booking"): (RULES, RULES, RULES),
    ("message", "content"): (RULES, RULES, RULES),
    ("message", "deadline"): (RULES, RULES, RULES),
    ("message", "status"): (RULES, RULES, RULES),
}

_CRM_FIRST = (CRM, *(role for role in ROLES if role != CRM))

PATTERNS: Mapping[Pattern, RuleSet] = MappingProxyType(
    {
        pattern: RuleSet(
            pattern.value,
            MappingProxyType({group: owners[column] for group, owners in _OWNERS.items()}),
            _CRM_FIRST if pattern is Pattern.CRM_TO_CALENDAR else ROLES,
        )
        for column, pattern in enumerate(_PATTERNS)
    }
)
"""The rule set of each pattern, before a workspace changes anything."""

CALENDAR_TO_CRM = PATTERNS[Pattern.CALENDAR_TO_CRM]
"""The default: calendar.live's bookings, the CRM's customers."""
