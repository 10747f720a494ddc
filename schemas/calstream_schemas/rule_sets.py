"""Rule sets: who owns what, as a value that can be sent, kept and compared."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from calstream_core.errors import Code, RecordError
from calstream_core.zones import TZDATA_VERSION
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.lead_rules import LeadRules
from calstream_schemas.zone_shifts import ZoneShift

CALENDAR, CRM, PAYMENTS, MEETINGS, RULES = "calendar", "crm", "payments", "meetings", "rules"

ROLES = (CALENDAR, CRM, PAYMENTS, MEETINGS, RULES)
"""What a system can be to us. In this order they go before each other by default."""

NEWEST = "newest"
"""In place of a role: nobody owns the group, the newest word counts."""

OwnerKey = tuple[str, str]
"""A kind and a group of it."""


@dataclass(frozen=True)
class RuleSet:
    """By which rules the truth of a workspace is folded from the copies.

    Attributes:
        pattern: the pattern that it started from, for people.
        owners: the owning role, or `newest`, by kind and group. What is not in it has no owner.
        precedence: roles, and single systems by name: where two systems spoke at the same time and
            neither owns the group, the earlier one counts. A system that is not named goes by its
            role.
        conflict_window_seconds: systems that say different things of one group within it are in
            conflict.
        ignore_plus_addresses: whether `jo+news@` is the mailbox `jo@`.
        tombstone_after_days: for how long an entity is kept that no system has any more: longer
            than anybody redelivers.
        ignore_dots: whether `j.o@` is the mailbox `jo@`, at the providers that deliver it so.
        tzdata: the release of the time zone database that was installed where the rules were made.
        zone_shifts: what releases have changed for the workspace, in the order of time.
        double_booking: what is a double booking, and who keeps the slot.
        leads: what is said of people who book.
    """

    pattern: str
    owners: Mapping[OwnerKey, str]
    precedence: tuple[str, ...] = ROLES
    conflict_window_seconds: int = 600
    ignore_plus_addresses: bool = False
    ignore_dots: bool = False
    tombstone_after_days: int = 40
    tzdata: str = TZDATA_VERSION
    zone_shifts: tuple[ZoneShift, ...] = ()
    double_booking: DoubleBookingRules = field(default_factory=DoubleBookingRules)
    leads: LeadRules = field(default_factory=LeadRules)

    @cached_property
    def id(self) -> str:
        """A hash of all of it: equal rules have the same."""
        return hashlib.sha256(self.encode()).hexdigest()[:16]

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place in the precedence by role or system."""
        return {name: place for place, name in enumerate(self.precedence)}

    def place(self, system: str, role: str) -> int:
        """The place of a system in the precedence: its own, else its role's; 0 is the first."""
        places = self.places
        found = places.get(system)
        return places.get(role, len(places)) if found is None else found

    def owner(self, kind: str, group: str) -> str | None:
        """The role whose word counts, or None where the newest does."""
        found = self.owners.get((kind, group), NEWEST)
        return None if found == NEWEST else found

    def shifts_of(self, zone: str) -> tuple[ZoneShift, ...]:
        """What releases of the time zone database have changed in a zone."""
        return tuple(shift for shift in self.zone_shifts if shift.zone == zone)

    def encode(self) -> bytes:
        """As JSON, the same for equal rules."""
        return orjson.dumps(
            {
                "pattern": self.pattern,
                "owners": {f"{kind}.{group}": role for (kind, group), role in self.owners.items()},
                "precedence": self.precedence,
                "conflict_window_seconds": self.conflict_window_seconds,
                "ignore_plus_addresses": self.ignore_plus_addresses,
                "ignore_dots": self.ignore_dots,
                "tombstone_after_days": self.tombstone_after_days,
                "tzdata": self.tzdata,
                "zone_shifts": [shift.to_plain() for shift in self.zone_shifts],
                "double_booking": self.double_booking.as_json(),
                "leads": self.leads.to_plain(),
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def decode(cls, raw: bytes) -> "RuleSet":
        """The inverse.

        Raises:
            RecordError: it is no rule set.
        """
        try:
            body = orjson.loads(raw)
            owners = {}
            for key, role in body["owners"].items():
                kind, _, group = key.partition(".")
                owners[kind, group] = str(role)
            return cls(
                pattern=str(body["pattern"]),
                owners=owners,
                precedence=tuple(str(name) for name in body["precedence"]),
                conflict_window_seconds=int(body["conflict_window_seconds"]),
                ignore_plus_addresses=bool(body["ignore_plus_addresses"]),
                ignore_dots=bool(body["ignore_dots"]),
                tombstone_after_days=int(body["tombstone_after_days"]),
                tzdata=str(body["tzdata"]),
                zone_shifts=tuple(ZoneShift.from_plain(each) for each in body["zone_shifts"]),
                double_booking=DoubleBookingRules.from_json(body["double_booking"]),
                leads=LeadRules.from_plain(body["leads"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(Code.RECORD_UNREADABLE, f"not a rule set: {error!r}") from error
