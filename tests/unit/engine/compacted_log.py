"""A compacted topic, and a consumer of it that reads as unevenly as the test wants."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, TopicPartition

Change = tuple[bytes, bytes | None]


class Entry(NamedTuple):
    """A record of the log."""

    offset: int
    key: bytes | None
    value: bytes | None


class CompactedLog:
    """One partition: what was written, less what compaction took away."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.entries: list[Entry] = []
        self.end = 0

    def append(self, changes: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        for key, value in changes:
            self.entries.append(Entry(self.end, key, value))
            self.end += 1

    def skip(self, count: int) -> None:
        """Offsets without a record: markers, or a transaction that was aborted."""
        self.end += count

    def compact(self, tombstones_before: int) -> None:
        """Keeps the newest of each key; takes away tombstones that everybody has heard of."""
        newest = {entry.key: entry.offset for entry in self.entries}
        self.entries = [
            entry
            for entry in self.entries
            if newest[entry.key] == entry.offset
            and (entry.value is not None or entry.offset >= tombstones_before)
        ]

    def fold(self, before: int) -> dict[bytes, bytes]:
        """What the log says, read plainly from its beginning to an offset."""
        state: dict[bytes, bytes] = {}
        for entry in self.entries:
            if entry.offset >= before or entry.key is None:
                continue
            if entry.value is None:
                state.pop(entry.key, None)
            else:
                state[entry.key] = entry.value
        return state


class _Message:
    def __init__(self, topic: str, entry: Entry, error: int | None = None) -> None:
        self._topic = topic
        self._entry = entry
        self._error = error

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._entry.offset

    def key(self) -> bytes | None:
        return self._entry.key

    def value(self) -> bytes | None:
        return self._entry.value

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)


class FakeConsumer:
    """What `run_restore` needs of a consumer, over logs.

    Args:
        logs: what there is to read.
        chance: how many records come at once, and from where.
        written_meanwhile: called once for each log whose end is reached, before that is told.
    """

    def __init__(
        self,
        logs: Sequence[CompactedLog],
        chance: random.Random,
        written_meanwhile: Callable[[CompactedLog], None],
    ) -> None:
        self._logs = {log.topic: log for log in logs}
        self._chance = chance
        self._written_meanwhile = written_meanwhile
        self._places: dict[str, int] = {}
        self._told_end: dict[str, int] = {}
        self._paused: set[str] = set()
        self._written: set[str] = set()
        self.closed = False

    def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        log = self._logs[place.topic]
        low = log.entries[0].offset if log.entries else 0
        return min(low, log.end), log.end

    def assign(self, places: Sequence[TopicPartition]) -> None:
        self._places = {place.topic: place.offset for place in places}

    def pause(self, places: Sequence[TopicPartition]) -> None:
        self._paused |= {place.topic for place in places}

    def poll(self, _timeout: float) -> Any:
        return self._next()

    def consume(self, most: int, _timeout: float) -> list[Any]:
        found: list[Any] = []
        for _ in range(min(most, self._chance.randint(0, 6))):
            message = self._next()
            if message is not None:
                found.append(message)
        return found

    def close(self) -> None:
        self.closed = True

    def _next(self) -> Any:
        for topic in self._chance.sample(sorted(self._places), len(self._places)):
            if topic not in self._paused and (message := self._read(topic)) is not None:
                return message
        return None

    def _read(self, topic: str) -> _Message | None:
        log, place = self._logs[topic], self._places[topic]
        for entry in log.entries:
            if entry.offset >= place:
                self._places[topic] = entry.offset + 1
                return _Message(topic, entry)
        self._places[topic] = end = max(log.end, place)
        if self._told_end.get(topic) == end:
            return None
        self._told_end[topic] = end
        if topic not in self._written:
            self._written.add(topic)
            self._written_meanwhile(log)
        return _Message(topic, Entry(end, None, None), KafkaError._PARTITION_EOF)
