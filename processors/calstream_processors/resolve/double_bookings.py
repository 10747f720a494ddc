"""Which bookings take the same time of one host, and what becomes of such double bookings.

What is open is a function of the workspace's bookings and rules alone, whatever the order in which
they came. After each observation only what changed is looked at.
"""

from collections import Counter
from dataclasses import dataclass, replace

from calstream_processors.resolve.arbitration import double_booking
from calstream_processors.resolve.calendars import Calendars
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.double_bookings import DoubleBooking, DoubleBookingState, SlotKey
from calstream_schemas.entities import Entity
from calstream_schemas.entities.head import Head
from calstream_schemas.observations import Observation

OTHER_RULES = "rules"
"""What ended a double booking: nothing but other rules. Else it is what changed the booking."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one observation did to the double bookings: opened, changed and cleared ones."""

    cause: Observation
    found: tuple[DoubleBooking, ...]


class DoubleBookings:
    """The double bookings of one workspace, and the hosts' times that they follow from.

    Attributes:
        outcome: of the last observation; None where it did nothing.

    Args:
        rules: the workspace's.
    """

    def __init__(self, rules: DoubleBookingRules = CALENDAR_TO_CRM.double_booking) -> None:
        self.outcome: Outcome | None = None
        self._rules = rules
        self._calendars = Calendars(rules)
        self._open: dict[SlotKey, dict[SlotKey, DoubleBooking]] = {}
        self._opened_by: Counter[str] = Counter()

    def use(self, rules: DoubleBookingRules) -> None:
        """Takes the rules that were in force before a restart; what is open follows from them."""
        self._rules = rules
        self._calendars.use(rules)

    def restored(self) -> None:
        """Everything that is kept elsewhere was put: what is open follows from it."""
        self._calendars.take_changes()

    def restore(self, found: DoubleBooking) -> None:
        """Takes note of one that was written."""
        one, other = (side.key for side in found.sides)
        known = self._open.get(one, {}).get(other)
        if known is not None:
            self._opened_by[known.opened_by] -= 1
        if found.state is DoubleBookingState.OPEN:
            self._open.setdefault(one, {})[other] = found
            self._open.setdefault(other, {})[one] = found
            self._opened_by[found.opened_by] += 1
        elif known is not None:
            for key in (one, other):
                del self._open[key][found.other(key)]
                if not self._open[key]:
                    del self._open[key]
        if known is not None and not self._opened_by[known.opened_by]:
            del self._opened_by[known.opened_by]

    def of(self, key: SlotKey) -> tuple[DoubleBooking, ...]:
        """The open double bookings of a booking."""
        return tuple(self._open.get(key, {}).values())

    def is_open(self, opened_by: str) -> bool:
        """Whether one stands that an observation opened."""
        return opened_by in self._opened_by

    def put(self, head: Head) -> None:
        """Takes in a new version of a booking or a series."""
        self._calendars.put(head)

    def drop(self, entity: Entity) -> None:
        """Takes out a booking or a series that is no more."""
        self._calendars.drop(entity)

    def settle(self, rules: DoubleBookingRules, cause: Observation) -> tuple[DoubleBooking, ...]:
        """What to write of double bookings after an observation: new, changed and ended ones.

        Args:
            rules: the workspace's by now.
            cause: the observation; what it changed was put.
        """
        if rules is not self._rules and rules != self._rules:
            self.use(rules)
            self._calendars.take_changes()
            touched = dict.fromkeys((*self._calendars.times, *self._open), OTHER_RULES)
        else:
            touched = self._calendars.take_changes()
        if not touched:
            self.outcome = None
            return ()
        found = []
        for key, why in sorted(touched.items()):
            for each in self._changes(key, why, cause):
                self.restore(each)
                found.append(each)
        self.outcome = Outcome(cause, tuple(found)) if found else None
        return tuple(found)

    def _changes(self, key: SlotKey, why: str, cause: Observation) -> list[DoubleBooking]:
        times = self._calendars.times
        side = times.get(key)
        now = {each.key: each for each in times.at_once_with(side)} if side else {}
        before = self._open.get(key, {})
        changes = [
            _cleared(before[each], why, cause) for each in sorted(before.keys() - now.keys())
        ]
        for other in sorted(now):
            assert side is not None
            found = double_booking(side, now[other], self._rules, cause)
            known = before.get(other) or self._before_booked(key, other)
            if known is not None:
                found = replace(found, opened_by=known.opened_by, opened_at=known.opened_at)
            if known is None or not _same(found, known):
                changes.append(found)
        return changes

    def _before_booked(self, key: SlotKey, other: SlotKey) -> DoubleBooking | None:
        """What is known of a double booking from when an occurrence was no booking yet."""
        expected = self._calendars.expected_as(key)
        return self._open.get(expected, {}).get(other) if expected else None


def _cleared(known: DoubleBooking, why: str, cause: Observation) -> DoubleBooking:
    return replace(
        known,
        state=DoubleBookingState.CLEARED,
        ended_by=why,
        observation_id=cause.id,
        received_at=cause.received_at,
    )


def _same(one: DoubleBooking, other: DoubleBooking) -> bool:
    """Whether they say the same, whatever made it so."""
    return (one.sides, one.start, one.end, one.policy, one.keeper, one.rule) == (
        other.sides,
        other.start,
        other.end,
        other.policy,
        other.keeper,
        other.rule,
    )
