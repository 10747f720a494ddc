"""What was asked of the simulator: the newest requests, and counts of all of them."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was answered. `path` is relative to the vendor's base URL, unquoted."""

    at: str
    method: str
    path: str
    status: int
    seconds: float
    fault: bool


class Journal:
    """Keeps the newest requests and counts every one since the last clearing."""

    def __init__(self) -> None:
        self._newest: deque[Asked] = deque(maxlen=KEPT_REQUESTS)
        self._by_status: Counter[int] = Counter()

    def add(self, asked: Asked) -> None:
        """Notes one request; the oldest falls out when the journal is full."""
        self._newest.append(asked)
        self._by_status[asked.status] += 1

    def clear(self) -> None:
        """Forgets requests and counts."""
        self._newest.clear()
        self._by_status.clear()

    def report(self) -> dict[str, Any]:
        """Total, counts by status, and the newest requests, oldest first."""
        return {
            "total": self._by_status.total(),
            "by_status": {str(status): count for status, count in sorted(self._by_status.items())},
            "requests": [asdict(asked) for asked in self._newest],
        }
