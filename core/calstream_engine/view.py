"""Read-only views of another app's compacted topic.

A view is restored like a table and then follows the topic: it is the app's source, and reading goes
on where the view ends. Nothing is written by it; the group's commit is informative.
"""

from collections.abc import Callable
from typing import Protocol

from calstream_engine.claim import Claim
from calstream_engine.ownership import Ownership
from calstream_engine.records import Batch
from calstream_engine.state.store import PartitionStore


class Viewer(Protocol):
    """Whoever looks at a view; called in the loop."""

    def restored(self, partition: int, store: PartitionStore) -> None:
        """A partition is ours and the view holds all of it."""

    def changed(self, partition: int, batch: Batch) -> None:
        """These records have come, and are in the view."""

    def released(self, partition: int) -> None:
        """A partition is no longer ours."""


class View:
    """Follows a topic. Fulfils `BatchConsumer`."""

    def __init__(self, name: str, ownership: Ownership, viewer: Viewer) -> None:
        self.name = name
        self._ownership = ownership
        self._viewer = viewer

    def restored(self, claim: Claim) -> None:
        """See `BatchConsumer`."""
        partition = claim.place.partition
        self._viewer.restored(partition, self._store(partition))

    def put(self, claim: Claim, batch: Batch, done: Callable[[], object]) -> None:
        """See `BatchConsumer`."""
        if not claim.active:
            return
        changes = ((key, one.value()) for one in batch if (key := one.key()) is not None)
        self._store(batch.partition).apply(changes, batch.next_offset)
        self._viewer.changed(batch.partition, batch)
        done()

    async def release(self, claim: Claim) -> None:
        """See `BatchConsumer`."""
        self._viewer.released(claim.place.partition)

    def _store(self, partition: int) -> PartitionStore:
        return self._ownership.owned(partition).stores[self.name]
