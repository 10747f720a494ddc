"""When the occurrences of a series take place that are no bookings yet. Pure.

A series tells its rule; whose time it takes, for how long and for what, its bookings tell. So its
other occurrences are taken to be like the first of its bookings that takes place. They are reckoned
with from the day on which its source last spoke of it, as far ahead as the rules say.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, tzinfo
from typing import TypeVar

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import RecordError
from calstream_processors.time.occurrences import Recurrence, canonical_id, occurrences
from calstream_processors.time.wall_clock import known_zone, wall_of
from calstream_schemas.double_bookings import Side, SlotKey
from calstream_schemas.entities.slot import ENDED, RECURRING, SERIES, SeriesRule, Slot

_DAY = 24 * 60 * 60 * MICROSECONDS_PER_SECOND
_NOON = time(12)
E = TypeVar("E", tuple[str, SlotKey], tuple[int, SlotKey])
_Wanted = tuple[Recurrence, int, int, Slot, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A booking that is an occurrence, whatever its status.

    Attributes:
        recurrence_id: as its source has it.
        object: one of its natural ids, as text.
        slot: its time, where that is known.
    """

    recurrence_id: str
    object: str
    slot: Slot | None


class Series:
    """What is known of one series. A change of one of its bookings costs the same for any number.

    Attributes:
        rule: what it says; None as long as nothing was heard.
        changed: those of its bookings that were put since this was emptied.

    Args:
        id_: of its entity.
    """

    def __init__(self, id_: str) -> None:
        self.rule: SeriesRule | None = None
        self.changed: set[SlotKey] = set()
        self._id = id_
        self._members: dict[SlotKey, Member] = {}
        # which occurrence each is, in the form in which rules name them; and all of them in order
        self._ids: dict[SlotKey, str] = {}
        self._covered: Counter[str] = Counter()
        self._in_order: list[tuple[str, SlotKey]] = []
        self._standing: list[tuple[str, SlotKey]] = []
        self._booked: list[tuple[int, SlotKey]] = []
        self._wanted: _Wanted | None = None
        self._sides: dict[str, Side] = {}

    def __bool__(self) -> bool:
        return self.rule is not None or bool(self._members)

    @property
    def members(self) -> Mapping[SlotKey, Member]:
        """Its bookings."""
        return self._members

    @property
    def booked_at(self) -> int | None:
        """When the first of its bookings was made: all its occurrences were booked then."""
        return self._booked[0][0] if self._booked else None

    def say(self, rule: SeriesRule | None) -> None:
        """Takes in what it says of its occurrences."""
        other_zone = (rule and rule.timezone) != (self.rule and self.rule.timezone)
        self.rule = rule
        if other_zone:
            for key, member in list(self._members.items()):
                self.put(key, member)

    def put(self, key: SlotKey, member: Member) -> None:
        """Takes one of its bookings in, in place of what had its key."""
        self.drop(key)
        self.changed.add(key)
        self._members[key] = member
        slot = member.slot
        if slot is not None:
            insort(self._booked, (slot.booked_at, key))
        id_ = self._id_of(member)
        if id_ is None:
            return
        self._ids[key] = id_
        self._covered[id_] += 1
        insort(self._in_order, (id_, key))
        if slot is not None and slot.status not in ENDED:
            insort(self._standing, (id_, key))

    def drop(self, key: SlotKey) -> None:
        """Takes a booking out that is none of it any more, if it was."""
        member = self._members.pop(key, None)
        if member is None:
            return
        self.changed.discard(key)
        slot = member.slot
        if slot is not None:
            _take_out(self._booked, (slot.booked_at, key))
        id_ = self._ids.pop(key, None)
        if id_ is None:
            return
        self._covered[id_] -= 1
        if not self._covered[id_]:
            del self._covered[id_]
        _take_out(self._in_order, (id_, key))
        if slot is not None and slot.status not in ENDED:
            _take_out(self._standing, (id_, key))

    def expected_as(self, key: SlotKey) -> SlotKey | None:
        """As what a booking of it was expected before there was one."""
        id_ = self._ids.get(key)
        return None if id_ is None else SlotKey(SERIES, self._id, id_)

    def covers(self, expected: SlotKey) -> bool:
        """Whether an occurrence is a booking by now."""
        return expected.recurrence_id in self._covered

    def expected(self, horizon_days: int) -> Mapping[SlotKey, Side]:
        """The occurrences within the horizon that are no bookings.

        None where none of its bookings takes place: then the series is taken to be over.
        """
        rule, booked_at = self.rule, self.booked_at
        if rule is None or not self._standing or booked_at is None:
            return {}
        like = self._members[self._standing[0][1]]
        assert like.slot is not None
        first = datetime.strptime(self._in_order[0][0], "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall clock
        since = rule.heard_at // _DAY * _DAY
        recurrence = Recurrence(
            start=first,
            zone=rule.timezone,
            duration=like.slot.end - like.slot.start,
            rrule=rule.rrule,
            exdates=rule.exdates,
        )
        slot = replace(like.slot, status=RECURRING, booked_at=booked_at)
        self._expand((recurrence, since, since + (horizon_days + 1) * _DAY, slot, like.object))
        return {side.key: side for id_, side in self._sides.items() if id_ not in self._covered}

    def _expand(self, wanted: _Wanted) -> None:
        # anew only when something of it has changed: once a day, as a rule
        if self._wanted == wanted:
            return
        recurrence, since, until, slot, object_ = wanted
        try:
            found = occurrences(recurrence, since, until)
        except RecordError:
            found = []  # a rule that can't be expanded takes no time
        self._wanted = wanted
        self._sides = {
            each.recurrence_id: Side(
                SlotKey(SERIES, self._id, each.recurrence_id),
                object_,
                replace(slot, start=each.start, end=each.end),
            )
            for each in found
        }

    def _id_of(self, member: Member) -> str | None:
        zone = _zone_of(self.rule)
        if zone is None:
            return None
        at = wall_of(member.slot.start, zone).time() if member.slot else _NOON
        try:
            return canonical_id(member.recurrence_id, zone, at)
        except RecordError:
            return None  # it names none that the rule could


def _take_out(entries: list[E], entry: E) -> None:
    del entries[bisect_left(entries, entry)]


def _zone_of(rule: SeriesRule | None) -> tzinfo | None:
    try:
        return known_zone(rule.timezone) if rule else None
    except RecordError:
        return None
