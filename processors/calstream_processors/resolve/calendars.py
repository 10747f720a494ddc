"""What takes the time of a workspace's hosts: its bookings, and what its series lead to expect.

Derived state: filled from heads when entities are restored, then from each new version.
"""

from collections.abc import Mapping
from dataclasses import replace

from calstream_processors.resolve.host_times import HostTimes
from calstream_processors.resolve.series_times import Member, Series
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.double_bookings import Side, SlotKey
from calstream_schemas.entities import Entity, NaturalId, entity_id
from calstream_schemas.entities.head import Head
from calstream_schemas.entities.slot import BOOKING, GONE, SERIES, SeriesRule, Slot
from calstream_schemas.rule_sets import RULES

MOVED, OTHER_HOST = "moved", "other_host"
BOOKED, OTHER_SERIES = "booked", "series"
"""Why something takes no time any more, or another one, where it is not a booking's status."""


class Calendars:
    """What takes whose time.

    Attributes:
        times: by host.

    Args:
        rules: the workspace's.
    """

    def __init__(self, rules: DoubleBookingRules) -> None:
        self.times = HostTimes(rules)
        self._rules = rules
        self._touched: dict[SlotKey, str] = {}
        self._series: dict[str, Series] = {}
        self._series_of: dict[SlotKey, str] = {}
        self._expected: dict[str, Mapping[SlotKey, Side]] = {}
        self._booked_at: dict[str, int] = {}
        self._dirty: dict[str, None] = {}

    def use(self, rules: DoubleBookingRules) -> None:
        """Goes over to other rules."""
        self._rules = rules
        self.times.use(rules)
        self._dirty |= dict.fromkeys(self._series)

    def take_changes(self) -> dict[SlotKey, str]:
        """What takes another time than when this was asked last, or none, and why."""
        if self._dirty:
            self._expect()
        touched, self._touched = self._touched, {}
        return touched

    def expected_as(self, key: SlotKey) -> SlotKey | None:
        """As what an occurrence of a series was expected before it was a booking."""
        series = self._series.get(self._series_of.get(key, ""))
        return series.expected_as(key) if series else None

    def put(self, head: Head) -> None:
        """Takes in a new version of a booking or a series."""
        if head.kind == SERIES:
            if head.rule is not None or head.id in self._series:
                self._say(head.id, head.rule)
        elif head.kind == BOOKING:
            key = SlotKey(BOOKING, head.id)
            of = None
            if head.occurrence is not None:
                series = NaturalId.parse(head.occurrence.series)
                of = entity_id(head.workspace, SERIES, series)
            if key in self._series_of and self._series_of[key] != of:
                self._leave(key)
            if of is None or head.occurrence is None:
                slot = head.slot
                side = Side(key, _object(head), slot) if slot and slot.is_busy else None
                self._place(key, side, _why(self.times.get(key), slot))
            else:
                self._join(of, key, Member(head.occurrence.recurrence_id, _object(head), head.slot))

    def drop(self, entity: Entity) -> None:
        """Takes out what is no more."""
        if entity.kind == SERIES and entity.id in self._series:
            self._say(entity.id, None)
        if entity.kind == BOOKING:
            key = SlotKey(BOOKING, entity.id)
            if key in self._series_of:
                self._leave(key)
            self._place(key, None, GONE)

    def _say(self, series: str, rule: SeriesRule | None) -> None:
        known = self._series.setdefault(series, Series(series))
        if known.rule != rule:
            known.say(rule)
            self._dirty[series] = None

    def _join(self, series: str, key: SlotKey, member: Member) -> None:
        self._series_of[key] = series
        known = self._series.setdefault(series, Series(series))
        if known.members.get(key) != member:
            known.put(key, member)
            self._dirty[series] = None

    def _leave(self, key: SlotKey) -> None:
        series = self._series_of.pop(key)
        self._series[series].drop(key)
        self._dirty[series] = None

    def _place(self, key: SlotKey, side: Side | None, why: str) -> None:
        if side == self.times.get(key):
            return
        self._touched[key] = why
        if side is None:
            self.times.drop(key)
        else:
            self.times.put(side)

    def _expect(self) -> None:
        """Looks at the series of which something changed: their bookings, and what is none yet."""
        for id_ in self._dirty:
            series, before = self._series[id_], self._expected.pop(id_, {})
            booked_at = series.booked_at
            if self._booked_at.get(id_) != booked_at:
                series.changed.update(series.members)
            for key in series.changed:
                member = series.members[key]
                slot, side = member.slot, None
                if slot is not None and slot.is_busy and booked_at is not None:
                    side = Side(key, member.object, replace(slot, booked_at=booked_at))
                self._place(key, side, _why(self.times.get(key), slot))
            series.changed.clear()
            now = series.expected(self._rules.horizon_days)
            for key in before.keys() - now.keys():
                self._place(key, None, BOOKED if series.covers(key) else OTHER_SERIES)
            for key, side in now.items():
                if before.get(key) is not side:
                    self._place(key, side, OTHER_SERIES)
            self._keep(id_, series, now)
        self._dirty = {}

    def _keep(self, id_: str, series: Series, expected: Mapping[SlotKey, Side]) -> None:
        if expected:
            self._expected[id_] = expected
        if series.booked_at is not None:
            self._booked_at[id_] = series.booked_at
        else:
            self._booked_at.pop(id_, None)
        if not series:
            del self._series[id_]


def _object(head: Head) -> str:
    of_sources = (one for one in head.objects if not one.startswith(f"{RULES}/"))
    return next(of_sources, head.objects[0])


def _why(before: Side | None, slot: Slot | None) -> str:
    """What would end double bookings that a new version has no part in any more."""
    if slot is not None and not slot.is_busy:
        return slot.status
    if slot is not None and before is not None and before.slot.host != slot.host:
        return OTHER_HOST
    return MOVED
