"""How much memory requests may hold at once, whatever the broker and the senders do."""

import asyncio
from types import TracebackType
from typing import Any, Self

REQUEST_BYTES = 4096
"""What a request is counted for besides its body: headers, tasks, buffers."""


class Room:
    """A number of bytes that all requests share.

    A request's bytes stay counted for as long as the producer may hold its record, which can be
    longer than the request itself lives: so this bounds the producer's queue too.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What is held now."""
        return self._held_bytes

    def enter(self) -> "Hold | None":
        """Room for one more request, or None where there is none."""
        return Hold(self) if self.take(REQUEST_BYTES) else None

    def take(self, count_bytes: int) -> bool:
        """Counts bytes as held; False, and counts nothing, where they don't fit."""
        if self._held_bytes + count_bytes > self._limit_bytes:
            return False
        self._held_bytes += count_bytes
        return True

    def give_back(self, count_bytes: int) -> None:
        """Counts bytes as free again."""
        self._held_bytes -= count_bytes


class Hold:
    """One request's part of the room; given back when its `with` block ends."""

    __slots__ = ("_bytes", "_room", "_until")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bytes = REQUEST_BYTES
        self._until: asyncio.Future[Any] | None = None

    def grow(self, count_bytes: int) -> bool:
        """Holds more; False where it does not fit."""
        if not self._room.take(count_bytes):
            return False
        self._bytes += count_bytes
        return True

    def keep_until(self, future: asyncio.Future[Any]) -> None:
        """Gives back when the future is done, if that is later than the end of the block."""
        self._until = future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._until is None or self._until.done():
            self._room.give_back(self._bytes)
        else:
            self._until.add_done_callback(lambda _: self._room.give_back(self._bytes))
