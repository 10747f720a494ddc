"""Records as they come from the log, and batches of them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

Headers = list[tuple[str, bytes]]

_KIBIBYTES_4 = 4096


class Record(Protocol):
    """A record of a topic: what `confluent_kafka.Message` offers, which it is."""

    def topic(self) -> str | None:
        """The topic's name."""

    def partition(self) -> int | None:
        """The partition's number."""

    def offset(self) -> int | None:
        """The place in the partition."""

    def key(self) -> bytes | None:
        """The key, if there is one."""

    def value(self) -> bytes | None:
        """The value; None is a tombstone."""

    def headers(self) -> Any:
        """The headers, a list of names and bytes in order, or None."""

    def timestamp(self) -> tuple[int, int]:
        """Which kind of timestamp, and milliseconds since 1970."""

    def __len__(self) -> int:
        """How many bytes the value has; 0 also for none."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Batch:
    """Records of one partition, in the order of the log; never empty.

    Attributes:
        place: the partition.
        records: the records.
        next_offset: the offset to read on from once all of them are done.
    """

    __slots__ = ("_weight", "next_offset", "place", "records")

    def __init__(self, place: Place, records: Sequence[Record], next_offset: int) -> None:
        self.place = place
        self.records = records
        self.next_offset = next_offset
        self._weight = 0

    @property
    def partition(self) -> int:
        """The partition's number."""
        return self.place.partition

    @property
    def weight(self) -> int:
        """See `weight_of`."""
        if not self._weight:
            self._weight = weight_of(self.records)
        return self._weight

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def since(self, offset: int) -> "Batch | None":
        """What of it lies at an offset or behind it; None if nothing does."""
        if offset_of(self.records[0]) >= offset:
            return self
        records = [record for record in self.records if offset_of(record) >= offset]
        return Batch(self.place, records, self.next_offset) if records else None

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half of a batch of at least two records."""
        middle = len(self.records) // 2
        second = self.records[middle:]
        first = Batch(self.place, self.records[:middle], offset_of(second[0]))
        return first, Batch(self.place, second, self.next_offset)


def joined(batches: Sequence[Batch]) -> Batch:
    """Consecutive batches of one partition as one."""
    if len(batches) == 1:
        return batches[0]
    records = [record for batch in batches for record in batch.records]
    return Batch(batches[0].place, records, batches[-1].next_offset)


def offset_of(record: Record) -> int:
    """The offset of a record that was read from a log, where it is never missing."""
    offset = record.offset()
    assert offset is not None
    return offset


def weight_of(records: Sequence[Record]) -> int:
    """How much of the room in flight records take: one each, one more for each 4 KiB of a value."""
    if max(map(len, records)) < _KIBIBYTES_4:
        return len(records)
    return sum(1 + len(record) // _KIBIBYTES_4 for record in records)
