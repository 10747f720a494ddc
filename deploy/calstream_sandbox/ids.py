"""The clock and the ids of a simulator."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from uuid import NAMESPACE_URL, uuid4, uuid5

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of day, aware."""
    return datetime.now(UTC)


class IdSource:
    """Ids behind a prefix. The same seed gives the same ids in the same order.

    Without a seed they differ from run to run, as real ones do: a receiver that drops repeats
    would else take a second run for one.
    """

    def __init__(self, seed: str | None = None) -> None:
        self._seed = uuid4().hex if seed is None else seed
        self._numbers = count(1)

    def next(self, prefix: str, *, length: int = 10) -> str:
        """The next id, like `evt_01K9ZQ4M8R`."""
        text = f"{self._seed}/{prefix}/{next(self._numbers)}"
        digest = hashlib.sha256(text.encode()).digest()
        return f"{prefix}_{base64.b32encode(digest).decode()[:length]}"

    def uid(self, event_id: str) -> str:
        """An iCalendar UID for an event; the same for the same event."""
        return f"{uuid5(NAMESPACE_URL, f'{self._seed}/{event_id}')}@calendar.live"
