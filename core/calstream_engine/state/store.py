"""What a store of one partition of a table must do."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

RESERVED = b"~engine/"
"""Keys that begin so are the engine's own: positions in the log, checkpoints of the disk."""

Change = tuple[bytes, bytes | None]
"""A key and its new value; None removes it."""


class PartitionStore(Protocol):
    """The state of one table for one partition: what its changelog says, key by key.

    A store is owned by one worker and used in one thread at a time. It changes only by what the
    changelog holds already, so it is never ahead of the log.
    """

    checkpoint: int
    """The changelog's offset up to which the store holds everything."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""

    def apply(self, changes: Iterable[Change], checkpoint: int) -> None:
        """Makes changes, all or none, in order; the store then is as of the checkpoint."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, without the engine's own."""

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """The keys that begin with a prefix, in order; not the engine's own."""

    def reset(self) -> None:
        """Forgets everything, its checkpoint included."""

    def close(self) -> None:
        """Gives the store up. Nothing may be asked of it any more."""


class StoreFactory(Protocol):
    """Opens the stores of an app."""

    def open(self, table: str, partition: int, *, keep_seconds: float) -> PartitionStore:
        """Opens the store of a table's partition, as it was left if that can be trusted.

        Args:
            table: the table's name.
            partition: the partition's number.
            keep_seconds: a store that was left longer ago than this begins anew: its changelog
                may have forgotten removals that the store has not heard of.
        """


def directory_of(root: Path, table: str, partition: int) -> Path:
    """Where a store on disk has its files."""
    return root / table / f"{partition:04}"
