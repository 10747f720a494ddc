"""Whose time is taken when, and by what: an index for each host of one workspace.

Derived state: filled from bookings' heads when they are restored, then from each new version.
"""

from collections.abc import Iterable, Iterator

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_processors.resolve.interval_index import IntervalIndex
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.double_bookings import Side, SlotKey

_MICROSECONDS_PER_MINUTE = 60 * MICROSECONDS_PER_SECOND


def taken(side: Side, rules: DoubleBookingRules) -> tuple[int, int]:
    """From when to when a booking takes its host's time, buffers included."""
    slot, buffer = side.slot, rules.buffer(side.slot)
    return (
        slot.start - buffer.before_minutes * _MICROSECONDS_PER_MINUTE,
        slot.end + buffer.after_minutes * _MICROSECONDS_PER_MINUTE,
    )


class HostTimes:
    """What takes the time of hosts.

    Args:
        rules: for the buffers.
    """

    def __init__(self, rules: DoubleBookingRules) -> None:
        self._rules = rules
        self._sides: dict[SlotKey, Side] = {}
        self._hosts: dict[str, IntervalIndex[SlotKey]] = {}

    def __iter__(self) -> Iterator[SlotKey]:
        return iter(self._sides)

    def get(self, key: SlotKey) -> Side | None:
        """What takes time under a key."""
        return self._sides.get(key)

    def put(self, side: Side) -> None:
        """Takes in what takes time, in place of what had its key."""
        self.drop(side.key)
        self._sides[side.key] = side
        index = self._hosts.setdefault(side.slot.host, IntervalIndex())
        index.add(*taken(side, self._rules), side.key)

    def drop(self, key: SlotKey) -> None:
        """Takes out what takes no time any more."""
        side = self._sides.pop(key, None)
        if side is None:
            return
        index = self._hosts[side.slot.host]
        index.discard(*taken(side, self._rules), key)
        if not index:
            del self._hosts[side.slot.host]

    def at_once_with(self, side: Side) -> Iterable[Side]:
        """What takes the same host's time while another one does; of a series none of its own."""
        key = side.key
        for other in self._hosts[side.slot.host].overlapping(*taken(side, self._rules)):
            if other.id != key.id or other.kind != key.kind:
                yield self._sides[other]

    def use(self, rules: DoubleBookingRules) -> None:
        """Goes over to other rules."""
        sides = list(self._sides.values())
        self._rules, self._sides, self._hosts = rules, {}, {}
        for side in sides:
            self.put(side)
