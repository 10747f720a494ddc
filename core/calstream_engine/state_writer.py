"""Writes state outside of a batch: the results of calls, decisions, what a clock brings.

The same fence and the same transactions as for batches: what is written is durable and in the
table when `write` returns, or the partition is another worker's and nothing counts.
"""

from collections.abc import Sequence

from calstream_core.errors import Code
from calstream_engine.ownership import Ownership
from calstream_engine.work import Work
from calstream_engine.writer import FencedError


class StateWriter:
    """Writes to the tables of an app in transactional mode, from the event loop."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that may be written now."""
        return [o.partition for o in self._ownership.partitions if o.writer and o.is_ready]

    def work(self, partition: int) -> Work:
        """An empty unit of work, to be filled and given to `write`.

        Raises:
            FencedError: the partition is not this worker's.
        """
        if partition not in self.partitions:
            raise FencedError(
                Code.WORKER_FENCED, f"Partition {partition} is not written by this worker."
            )
        return self._ownership.work(partition)

    async def write(self, work: Work) -> None:
        """Makes a work real; works of one partition are committed in the order they are given.

        Raises:
            FencedError: the partition is another worker's now; nothing of the work counts.
            UnavailableError: it could not be written, and the worker can't go on.
        """
        if work.partition not in self.partitions:
            raise FencedError(
                Code.WORKER_FENCED, f"Partition {work.partition} is not written by this worker."
            )
        writer = self._ownership.owned(work.partition).writer
        assert writer is not None
        await writer.write(work)
