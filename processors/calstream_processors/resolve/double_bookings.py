"""Which bookings take the same time of one host, and what becomes of such double bookings.

What is open is a function of the workspace's bookings and rules alone, whatever the order in which
they came. After each observation only what changed is looked at.
"""

from collections import Counter
from dataclasses import dataclass, replace

from calstream_processors.resolve.arbitration import double_booking
from calstream_processors.resolve.host_times import HostTimes
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.double_bookings import DoubleBooking, DoubleBookingState, Side, SlotKey
from calstream_schemas.entities import Entity
from calstream_schemas.entities.head import Head, head_of
from calstream_schemas.entities.slot import BOOKING, BUSY, Slot
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RULES

GONE, MOVED, OTHER_HOST, OTHER_RULES = "gone", "moved", "other_host", "rules"


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
        self._times = HostTimes(rules)
        self._open: dict[SlotKey, dict[SlotKey, DoubleBooking]] = {}
        self._opened_by: Counter[str] = Counter()
        self._touched: dict[SlotKey, str] = {}

    def use(self, rules: DoubleBookingRules) -> None:
        """Takes the rules that were in force before a restart; what is open follows from them."""
        self._rules = rules
        self._times.use(rules)

    def know(self, head: Head) -> None:
        """Takes in a booking that is kept elsewhere."""
        if head.slot is not None:
            self._times.put(_side(head, head.slot))

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

    def put(self, entity: Entity) -> None:
        """Takes in a new version of a booking."""
        if entity.kind != BOOKING:
            return
        head = head_of(entity)
        key = SlotKey(BOOKING, head.id)
        before = self._times.get(key)
        after = _side(head, head.slot) if head.slot else None
        if after == before:
            return
        self._touched[key] = _why(before, after, entity)
        if after is None:
            self._times.drop(key)
        else:
            self._times.put(after)

    def settle(self, rules: DoubleBookingRules, cause: Observation) -> tuple[DoubleBooking, ...]:
        """What to write of double bookings after an observation: new, changed and ended ones.

        Args:
            rules: the workspace's by now.
            cause: the observation; what it changed was put.
        """
        if rules is not self._rules and rules != self._rules:
            self.use(rules)
            self._touched = dict.fromkeys((*self._times, *self._open), OTHER_RULES)
        if not self._touched:
            self.outcome = None
            return ()
        found = []
        for key, why in sorted(self._touched.items()):
            for each in self._changes(key, why, cause):
                self.restore(each)
                found.append(each)
        self._touched = {}
        self.outcome = Outcome(cause, tuple(found)) if found else None
        return tuple(found)

    def _changes(self, key: SlotKey, why: str, cause: Observation) -> list[DoubleBooking]:
        side = self._times.get(key)
        now = {each.key: each for each in self._times.at_once_with(side)} if side else {}
        before = self._open.get(key, {})
        changes = [
            _cleared(before[each], why, cause) for each in sorted(before.keys() - now.keys())
        ]
        for other in sorted(now):
            assert side is not None
            found = double_booking(side, now[other], self._rules, cause)
            known = before.get(other)
            if known is not None:
                found = replace(found, opened_by=known.opened_by, opened_at=known.opened_at)
            if known is None or _matter(found) != _matter(known):
                changes.append(found)
        return changes


def _side(head: Head, slot: Slot) -> Side:
    of_sources = (one for one in head.objects if not one.startswith(f"{RULES}/"))
    return Side(SlotKey(BOOKING, head.id), next(of_sources), slot)


def _why(before: Side | None, after: Side | None, entity: Entity) -> str:
    """What would end double bookings that a new version has no part in any more."""
    if after is None:
        status = entity.values.get("status")
        return status if isinstance(status, str) and status not in BUSY else GONE
    if before is not None and before.slot.host != after.slot.host:
        return OTHER_HOST
    return MOVED


def _cleared(known: DoubleBooking, why: str, cause: Observation) -> DoubleBooking:
    return replace(
        known,
        state=DoubleBookingState.CLEARED,
        ended_by=why,
        observation_id=cause.id,
        received_at=cause.received_at,
    )


def _matter(found: DoubleBooking) -> DoubleBooking:
    return replace(found, opened_by="", opened_at=0, observation_id="", received_at=0)
