"""Stands for what the engine's parts meet: records of a log, a writer, an owner of state."""

import asyncio
from collections.abc import Sequence
from typing import cast

from calstream_engine.configuration import EngineSettings, Mode
from calstream_engine.ownership import Owned, Ownership
from calstream_engine.records import Batch, Headers, Place
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec, Work, position_key
from calstream_engine.writer import PartitionWriter

PLACE = Place("orders", 3)
POSITIONS = TableSpec("positions", "positions-log")
TRUTH = TableSpec("truth", "truth-log", every_version=True)


class FakeRecord:
    """A record of a log."""

    def __init__(
        self,
        offset: int,
        *,
        key: bytes | None = b"k",
        value: bytes | None = b"v",
        headers: Headers | None = None,
        timestamp_milliseconds: int = 1,
        place: Place = PLACE,
    ) -> None:
        self._offset = offset
        self._key = key
        self._value = value
        self._headers = headers
        self._timestamp_milliseconds = timestamp_milliseconds
        self._place = place

    def __len__(self) -> int:
        return len(self._value or b"")

    def topic(self) -> str:
        return self._place.topic

    def partition(self) -> int:
        return self._place.partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_milliseconds


def batch_of(*values: bytes, first: int = 0) -> Batch:
    """Records with these values, one offset after the other."""
    records = [FakeRecord(first + n, value=value) for n, value in enumerate(values)]
    return Batch(PLACE, records, first + len(records))


class FakeWriter:
    """A writer whose transactions are a list; it can be held up or made to fail."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.failure: Exception | None = None
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.waiting = asyncio.Event()

    async def write(self, work: Work) -> None:
        self.waiting.set()
        await self.may_commit.wait()
        if self.failure is not None:
            raise self.failure
        self.works.append(work)
        for table in work.tables.values():
            table.store.apply(table.changes(), table.store.checkpoint + 1)
        if work.position is not None:
            topic, offset = work.position
            work.tables["positions"].store.apply([(position_key(topic), b"%d" % offset)], 1)

    async def close(self) -> None:
        """Nothing to end."""


def owner(
    settings: EngineSettings,
    writer: FakeWriter | None = None,
    tables: Sequence[TableSpec] = (POSITIONS, TRUTH),
) -> Ownership:
    """An owner of one partition whose state is in memory; with a writer in transactional mode."""
    ownership = Ownership(settings)
    for spec in tables:
        ownership.add_table(spec)
    owned = Owned(PLACE.partition, stores={spec.name: MemoryStore() for spec in tables})
    if writer is not None:
        assert settings.mode is Mode.TRANSACTIONAL
        owned.writer = cast(PartitionWriter, writer)
    ownership._owned[PLACE.partition] = owned
    return ownership
