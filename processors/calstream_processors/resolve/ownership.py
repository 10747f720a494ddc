"""Who owns what: for each group of fields the role whose word counts.

One map for now, calendar.live → CRM; `docs/ownership.md` shows it.
"""

from collections.abc import Mapping
from types import MappingProxyType

CALENDAR, CRM, PAYMENTS, MEETINGS = "calendar", "crm", "payments", "meetings"

PRECEDENCE = (CALENDAR, CRM, PAYMENTS, MEETINGS)
"""Where two systems spoke at the same time and neither owns the group, the earlier one counts."""

Ownership = Mapping[tuple[str, str], str]
"""The owning role by kind and group."""

CALENDAR_TO_CRM: Ownership = MappingProxyType(
    {
        ("contact", "email"): CALENDAR,
        ("contact", "name"): CRM,
        ("contact", "phone"): CALENDAR,
        ("contact", "company"): CRM,
        ("contact", "locale"): CALENDAR,
        ("contact", "lead_status"): CRM,
        ("contact", "lifecycle"): CRM,
        ("contact", "owner"): CRM,
        ("booking", "uid"): CALENDAR,
        ("booking", "title"): CALENDAR,
        ("booking", "schedule"): CALENDAR,
        ("booking", "status"): CALENDAR,
        ("booking", "event_type"): CALENDAR,
        ("booking", "host"): CALENDAR,
        ("booking", "location"): MEETINGS,
        ("booking", "recurrence"): CALENDAR,
        ("booking", "origin"): CALENDAR,
        ("attendance", "booking"): CALENDAR,
        ("attendance", "contact"): CALENDAR,
        ("attendance", "status"): CALENDAR,
        ("attendance", "answers"): CALENDAR,
        ("attendance", "payment"): PAYMENTS,
        ("payment", "booking"): CALENDAR,
        ("payment", "attendance"): CALENDAR,
        ("payment", "status"): PAYMENTS,
        ("payment", "amount"): CALENDAR,
        ("payment", "session"): CALENDAR,
    }
)
"""The default map: calendar.live's bookings, the CRM's customers."""
