"""Rate limits: counts in a window of time that moves along."""

from collections import deque


class RollingWindow:
    """At most `limit` requests in any span of `seconds`. A refused request does not count.

    Times are seconds of any clock that does not jump back.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._taken: deque[float] = deque()

    def take(self, now_seconds: float) -> bool:
        """Counts one request and answers True, or answers False when the window is full."""
        if self.remaining(now_seconds) <= 0:
            return False
        self._taken.append(now_seconds)
        return True

    def remaining(self, now_seconds: float) -> int:
        """How many more requests fit in the window that ends now; negative after a lowering."""
        start = now_seconds - self._seconds
        while self._taken and self._taken[0] <= start:
            self._taken.popleft()
        return self.limit - len(self._taken)
