"""The partitions whose state this worker holds: their stores and, in transactional mode, writers.

A partition is taken in an order that matters: first the writer is opened, which fences a former
owner, so that the changelogs have an end; then the stores are restored to that end.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from calstream_core.errors import Code, InvariantError
from calstream_engine.configuration import EngineSettings, Mode
from calstream_engine.state.memory import MemoryStores
from calstream_engine.state.restore import Restore, run_restore
from calstream_engine.state.rocks import RocksStores
from calstream_engine.state.store import PartitionStore, StoreFactory
from calstream_engine.work import TableSpec, Work, position_key
from calstream_engine.writer import FencedError, PartitionWriter, WriterSettings

T = TypeVar("T")

_THREADS = 64
_log = structlog.get_logger()


@dataclass(slots=True)
class Owned:
    """One partition's state.

    Attributes:
        partition: its number.
        stores: by table.
        writer: who commits its works, in transactional mode.
        restores: how far its restore is.
        given_up: whether it is on its way out.
        taking: the take-over.
    """

    partition: int
    stores: dict[str, PartitionStore] = field(default_factory=dict)
    writer: PartitionWriter | None = None
    restores: list[Restore] = field(default_factory=list)
    given_up: bool = False
    taking: "asyncio.Task[None] | None" = None

    @property
    def is_ready(self) -> bool:
        """Whether its stores hold everything, and it is to stay."""
        taken = self.taking is None or (self.taking.done() and not self.taking.exception())
        return taken and not self.given_up and bool(self.stores)


class Ownership:
    """The partitions of one app on this worker. Used in the event loop."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.tables: dict[str, TableSpec] = {}
        self._owned: dict[int, Owned] = {}
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"{settings.app}-io")
        self._stores: StoreFactory = (
            RocksStores(settings.state_directory) if settings.state_directory else MemoryStores()
        )

    def add_table(self, spec: TableSpec) -> None:
        """Declares a table, before the first partition is taken."""
        self.tables[spec.name] = spec

    def owned(self, partition: int) -> Owned:
        """A partition that has been taken.

        Raises:
            InvariantError: it is not this worker's.
        """
        found = self._owned.get(partition)
        if found is None:
            raise InvariantError(Code.INVARIANT_BROKEN, f"Partition {partition} is not ours.")
        return found

    @property
    def partitions(self) -> Sequence[Owned]:
        """What is ours, restored or on the way."""
        return list(self._owned.values())

    async def take(self, partition: int) -> Owned:
        """Fences a former owner, opens the stores and restores them; returns when all is there.

        Raises:
            UnavailableError: the broker does not answer; asked again, it goes on where it was.
            FencedError: the partition was given up meanwhile.
        """
        owned = self._owned.get(partition)
        if owned is None:
            owned = self._owned[partition] = Owned(partition)
        if owned.taking is None or (owned.taking.done() and owned.taking.exception()):
            owned.taking = asyncio.create_task(self._take(owned))
        await asyncio.shield(owned.taking)
        return owned

    async def _take(self, owned: Owned) -> None:
        leaving = self._leaving.get(owned.partition)
        if leaving is not None:
            await leaving
        if owned.given_up:  # to open a writer now would fence whoever has it
            raise _given_up(owned)
        if self.settings.mode is Mode.TRANSACTIONAL and owned.writer is None:
            writer = PartitionWriter(self._writer_settings(), owned.partition)
            await writer.open()
            owned.writer = writer
        await self.refresh(owned)

    async def refresh(self, owned: Owned) -> None:
        """Reads the changelogs to their end, from where the stores are."""
        for name in self.tables:
            if name not in owned.stores:
                owned.stores[name] = await self._call(
                    partial(
                        self._stores.open,
                        name,
                        owned.partition,
                        keep_seconds=self.settings.keep_state_seconds,
                    )
                )
        owned.restores = [
            Restore(spec.topic, owned.partition, owned.stores[name])
            for name, spec in self.tables.items()
        ]
        restore = partial(
            run_restore,
            self.settings.bootstrap_servers,
            owned.restores,
            lambda: owned.given_up,
            self.settings.client,
        )
        if not await self._call(restore):
            raise _given_up(owned)

    async def replay(self, table: str, partition: int) -> tuple[PartitionStore, int]:
        """Reads a changelog anew, from its beginning to its end, into a store in memory."""
        restore = Restore(
            self.tables[table].topic,
            partition,
            MemoryStores().open(table, partition, keep_seconds=0),
        )
        await self._call(
            partial(
                run_restore,
                self.settings.bootstrap_servers,
                [restore],
                lambda: False,
                self.settings.client,
            )
        )
        return restore.store, restore.records

    def give_up(self, partition: int) -> "asyncio.Task[None] | None":
        """Stops writing and closes the stores; what is being committed is brought to an end.

        Returns:
            A task that is done when nothing of it is left; `take` waits for it.
        """
        owned = self._owned.pop(partition, None)
        if owned is None:
            return None
        owned.given_up = True
        leaving = asyncio.create_task(self._leave(owned, self._leaving.get(partition)))
        self._leaving[partition] = leaving
        return leaving

    async def _leave(self, owned: Owned, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)  # whose failure was told to it
        if owned.taking is not None:
            await asyncio.gather(owned.taking, return_exceptions=True)
        try:
            if owned.writer is not None:
                await owned.writer.close()
        finally:
            for store in owned.stores.values():
                store.close()

    def work(self, partition: int) -> Work:
        """An empty unit of work on a partition of ours; in plain mode its tables are to read."""
        stores = self.owned(partition).stores
        plain = self.settings.mode is Mode.PLAIN
        return Work(
            partition,
            {
                name: (spec._replace(read_only=True) if plain else spec, stores[name])
                for name, spec in self.tables.items()
            },
        )

    def records_to_restore(self, partition: int) -> int:
        """How many records of its changelogs a partition still has to read, as far as is known."""
        owned = self._owned.get(partition)
        return sum(max(0, one.remaining) for one in owned.restores) if owned is not None else 0

    def failure(self, partition: int) -> Exception | None:
        """Why a partition of ours can't be written any more, if something failed."""
        owned = self._owned.get(partition)
        return owned.writer.failure if owned is not None and owned.writer is not None else None

    def position(self, partition: int, topic: str) -> int | None:
        """The position in a source topic that the state was left at, if there is one."""
        for name, spec in self.tables.items():
            if spec.read_only and spec.topic == topic:
                return self.owned(partition).stores[name].checkpoint
        table = self.settings.position_table
        if table is None:
            return None
        value = self.owned(partition).stores[table].get(position_key(topic))
        return None if value is None else int(value)

    async def close(self) -> None:
        """Waits for what is being given up, then ends the threads."""
        for partition in list(self._owned):
            self.give_up(partition)
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)
        self._executor.shutdown(wait=False)

    def _writer_settings(self) -> WriterSettings:
        settings = self.settings
        return WriterSettings(
            app=settings.app,
            client={"bootstrap.servers": settings.bootstrap_servers, **settings.client},
            position_table=settings.position_table,
            executor=self._executor,
        )

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)


def _given_up(owned: Owned) -> FencedError:
    return FencedError(Code.WORKER_FENCED, f"Partition {owned.partition} was given up.")
