"""An index of intervals of time: which of them overlap another one, long ones among them.

Intervals are half open, so that what begins where another ends does not overlap it. They are kept
by length: one list, in order of the start, for each power of two that a length may reach. What
overlaps an interval begins, in each list, within that length before it, and of those that begin
there only such are looked at in vain as lie over one another. So a day off among ten thousand short
meetings makes nothing slower.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=tuple[str, ...])


class IntervalIndex(Generic[K]):
    """Intervals by key. Adding, discarding and asking takes the logarithm of their number."""

    __slots__ = ("_by_length",)

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[int, int, K]]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def add(self, start: int, end: int, key: K) -> None:
        """Takes an interval in; it is not empty, and no other one has its key."""
        insort(self._by_length.setdefault((end - start).bit_length(), []), (start, end, key))

    def discard(self, start: int, end: int, key: K) -> None:
        """Takes an interval out that is in it."""
        length = (end - start).bit_length()
        entries = self._by_length[length]
        del entries[bisect_left(entries, (start, end, key))]
        if not entries:
            del self._by_length[length]

    def overlapping(self, start: int, end: int) -> Iterator[K]:
        """The keys of the intervals that share a moment with this one, in no order."""
        for length, entries in self._by_length.items():
            place = bisect_left(entries, (start - (1 << length) + 1,))
            for _its_start, its_end, key in entries[place : bisect_left(entries, (end,), place)]:
                if its_end > start:
                    yield key
