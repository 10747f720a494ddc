"""Which keys to work on next: each key once at a time, in batches of one lane, when it is due.

Work that goes on outside of a batch, such as calls to a vendor, is ordered per key and bounded: as
many workers as may run at once take from one schedule, and a key that one of them works on is not
given out again before it is done. The due times are an index over what a table says; whoever
restores the table adds its keys again, so they survive a restart.
"""

import asyncio
import heapq
from collections.abc import Callable, Sequence


class Schedule:
    """A queue of keys. A key that is being worked on is not given out again until it is done.

    Args:
        lanes: in order of preference: what others need comes first.
        lane_of: the lane of a key.
        now: the clock, in microseconds.
    """

    def __init__(
        self, lanes: Sequence[str], lane_of: Callable[[str], str], now: Callable[[], int]
    ) -> None:
        self._lane_of = lane_of
        self._ready: dict[str, dict[str, None]] = {lane: {} for lane in lanes}
        self._later: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._now = now
        self._news = asyncio.Event()
        self._returned = asyncio.Event()

    def add(self, key: str, not_before: int = 0) -> None:
        """Asks for a key to be looked at, at once or not before a time in microseconds."""
        if key in self._working:
            if not_before <= self._now():
                self._again.add(key)
                return
        elif not_before <= self._now():
            self._due.pop(key, None)
            self._ready[self._lane_of(key)][key] = None
            self._news.set()
            return
        self._due[key] = not_before
        heapq.heappush(self._later, (not_before, key))
        self._news.set()

    def discard(self, keys: set[str]) -> None:
        """Forgets keys that are no longer ours."""
        for key in keys:
            self._ready[self._lane_of(key)].pop(key, None)
            self._due.pop(key, None)
            self._again.discard(key)

    async def take(self, most: int) -> list[str]:
        """Waits for work; gives up to `most` keys of one lane. Each must be given back."""
        while True:
            self._promote()
            for ready in self._ready.values():
                if ready:
                    keys = list(ready)[:most]
                    for key in keys:
                        del ready[key]
                    self._working.update(keys)
                    return keys
            self._news.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def claim(self, keys: Sequence[str]) -> None:
        """Waits until nobody works on these keys, and takes them. Each must be given back."""
        while not self._working.isdisjoint(keys):
            self._returned.clear()
            await self._returned.wait()
        self._working.update(keys)
        for key in keys:
            self._ready[self._lane_of(key)].pop(key, None)

    def done(self, key: str) -> None:
        """Gives a key back."""
        self._working.discard(key)
        self._returned.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    @property
    def busy(self) -> int:
        """How many keys are being worked on or are ready; not those that are due later."""
        return len(self._working) + sum(len(ready) for ready in self._ready.values())

    def _promote(self) -> None:
        now = self._now()
        while self._later and self._later[0][0] <= now:
            at, key = heapq.heappop(self._later)
            if self._due.get(key) != at:  # it was moved since
                continue
            if key in self._working:
                self._again.add(key)
                del self._due[key]
            else:
                self.add(key)

    def _seconds_to_next(self) -> float | None:
        if not self._later:
            return None
        return max(0.0, (self._later[0][0] - self._now()) / 1_000_000)
