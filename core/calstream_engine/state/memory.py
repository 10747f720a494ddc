"""State in memory: quick, gone with the process, restored in full at each assignment."""

from collections.abc import Iterable, Iterator

from calstream_engine.state.store import RESERVED, Change


class MemoryStore:
    """A dict. Fulfils `PartitionStore`."""

    def __init__(self) -> None:
        self.checkpoint = 0
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        return self._values.get(key)

    def apply(self, changes: Iterable[Change], checkpoint: int) -> None:
        """Makes changes, in order."""
        values = self._values
        for key, value in changes:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        self.checkpoint = checkpoint

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, without the engine's own."""
        return ((k, v) for k, v in self._values.items() if not k.startswith(RESERVED))

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """The keys that begin with a prefix, in order; not the engine's own."""
        found = sorted(key for key in self._values if key.startswith(prefix))
        return (key for key in found if not key.startswith(RESERVED))

    def reset(self) -> None:
        """Forgets everything, its checkpoint included."""
        self._values.clear()
        self.checkpoint = 0

    def close(self) -> None:
        """Forgets everything."""
        self._values = {}


class MemoryStores:
    """Opens stores in memory. Fulfils `StoreFactory`."""

    def open(self, table: str, partition: int, *, keep_seconds: float) -> MemoryStore:  # noqa: ARG002 - nothing is ever kept
        """An empty store."""
        return MemoryStore()
