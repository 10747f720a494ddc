"""A claim: the right of this worker to a partition, from one assignment to its end.

Whatever is handed out carries its claim. Once the claim has ended, nothing done under it counts:
it isn't acknowledged and isn't committed, because another worker, or this one under a newer claim,
reads those records again.
"""

import asyncio

from calstream_engine.records import Place
from calstream_engine.watermark import Watermark


class Claim:
    """One assignment of one partition of a source topic.

    Attributes:
        place: the partition.
        watermark: how far it is done.
        active: whether something new may be begun under it.
        ended: whether what is done under it no longer counts.
        restored: whether its state is as it was left, so that records may be handled.
        stopped: why the partition stands still, if a failure of ours stopped it.
        idle: set once the claim takes nothing new and has nothing in flight.
        records_in_flight: records handed out and not acknowledged, by their weight.
    """

    __slots__ = (
        "active",
        "committed",
        "ended",
        "high_watermark",
        "idle",
        "moved_at",
        "place",
        "records_in_flight",
        "restored",
        "stopped",
        "watermark",
    )

    def __init__(self, place: Place, position: int = 0) -> None:
        self.place = place
        self.watermark = Watermark(position)
        self.active = True
        self.ended = False
        self.restored = False
        self.stopped: Exception | None = None
        self.records_in_flight = 0
        self.idle = asyncio.Event()
        self.committed = -1
        self.high_watermark = 0
        self.moved_at = 0.0

    def returned(self, weight: int) -> None:
        """Records that were handed out, of this weight, are done or abandoned."""
        self.records_in_flight -= weight
        self.look_whether_idle()

    def look_whether_idle(self) -> None:
        """Tells who waits for the last record at the end of the claim."""
        if not self.records_in_flight and not self.active:
            self.idle.set()

    @property
    def lag(self) -> int:
        """Offsets between the watermark and the end of the partition."""
        return max(0, self.high_watermark - self.watermark.position)

    def __repr__(self) -> str:
        return f"<Claim {self.place} at {self.watermark.position}>"
