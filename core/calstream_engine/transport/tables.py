"""Faust's tables on the engine's stores.

Stock Faust restores a table one record at a time through the agents' event loop, and keeps what it
should drop when a partition moves. Here the engine restores in bulk before a partition's first
record is handed out, one store for each partition, and closes it when the partition goes.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

from faust.stores.base import SerializedStore
from faust.streams import current_event
from faust.tables.manager import TableManager
from faust.tables.sets import SetTable
from faust.types import TP
from faust.types.tables import CollectionT
from yarl import URL

from calstream_core.errors import Code, ConfigError, InvariantError
from calstream_engine.state.store import PartitionStore
from calstream_engine.work import TableSpec

STORE_URL = URL("calstream://")
_EVERY_VERSION = "every_version"


class TableStore(SerializedStore[Any, Any]):
    """The store behind a Faust table: the partition of the current event, or all for iteration.

    A change is visible to the agent at once and gets into the partition's store when its changelog
    record is delivered, so the store is never ahead of the log.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pending: dict[int, dict[bytes, list[bytes | None]]] = {}

    def _store(self, partition: int) -> PartitionStore:
        ownership = self.app.transport.engine.ownership  # type: ignore[attr-defined]  # ours has it
        stores: MutableMapping[str, PartitionStore] = ownership.owned(partition).stores
        return stores[self.table_name]

    def _partitions(self) -> list[int]:
        ownership = self.app.transport.engine.ownership  # type: ignore[attr-defined]  # ours has it
        event = current_event()
        if event is not None:
            return [event.message.partition]
        return [owned.partition for owned in ownership.partitions if owned.is_ready]

    def _get(self, key: bytes) -> bytes | None:
        for partition in self._partitions():
            pending = self._pending.get(partition, {}).get(key)
            value = pending[-1] if pending else self._store(partition).get(key)
            if value is not None:
                return value
        return None

    def _set(self, key: bytes, value: bytes | None) -> None:
        event = current_event()
        if event is None:
            raise InvariantError(
                Code.INVARIANT_BROKEN,
                f"Table {self.table_name} was changed outside of an agent.",
                hint="Use the engine's state writer, or change it while handling a record.",
            )
        pending = self._pending.setdefault(event.message.partition, {})
        pending.setdefault(key, []).append(value)

    def _del(self, key: bytes) -> None:
        self._set(key, None)

    def delivered(self, partition: int, key: bytes, offset: int) -> None:
        """The changelog has the oldest pending change of a key."""
        pending = self._pending.get(partition, {})
        values = pending.get(key)
        if not values:
            return  # the partition was given up meanwhile
        value = values.pop(0)
        if not values:
            del pending[key]
        self._store(partition).apply([(key, value)], offset + 1)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours, and what is not delivered no longer counts."""
        self._pending.pop(partition, None)

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        for partition in self._partitions():
            pending = {key: values[-1] for key, values in self._pending.get(partition, {}).items()}
            for key, value in self._store(partition).items():
                if key not in pending:
                    yield key, value
            for key, changed in pending.items():
                if changed is not None:
                    yield key, changed

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes | None]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _clear(self) -> None:
        for key in list(self._iterkeys()):
            self._del(key)

    def persisted_offset(self, tp: TP) -> int | None:
        """What the store holds of its changelog."""
        return self._store(tp.partition).checkpoint or None

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Nothing to do: a change brings its checkpoint along."""

    async def backup_partition(self, *_args: Any, **_options: Any) -> None:
        """Nothing to do: a table's backup is its changelog."""

    def restore_backup(self, *_args: Any, **_options: Any) -> None:
        """Nothing to do: a table is restored from its changelog."""

    def reset_state(self) -> None:
        """Refused by doing nothing: state is dropped with its partition."""


class Tables(TableManager):
    """Declares Faust's tables to the engine."""

    def add(self, table: CollectionT) -> CollectionT:
        """Takes a table; see `truth_table` for one that others read.

        Raises:
            ConfigError: a kind of table that is not safe.
        """
        _refuse_unsafe(table)
        table._store = STORE_URL  # type: ignore[attr-defined]  # noqa: SLF001 - Faust's tables take it only when made
        return super().add(table)

    async def on_start(self) -> None:
        """Starts the tables and tells the engine of them."""
        app: Any = self.app
        engine = app.transport.engine
        self._tables_finalized.set()
        for table in self.values():
            _refuse_unsafe(table)  # a window comes after the declaration
            topic = table.changelog_topic.get_topic_name()
            options = table.options or {}
            engine.ownership.add_table(
                TableSpec(table.name, topic, bool(options.get(_EVERY_VERSION)))
            )
            await table.maybe_start()
        engine.revoked.append(self._forget)
        self._tables_registered.set()

    async def _forget(self, partition: int) -> None:
        for table in self.values():
            table.data.forget(partition)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Nothing to do: the engine's consumer gives partitions up."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Nothing to do: the engine's consumer takes partitions over."""

    async def wait_until_recovery_completed(self) -> bool:
        """Waits until the first partitions are restored; True if the app stops before."""
        app: Any = self.app
        if app.client_only or app.producer_only:
            return False
        return bool(await self.wait_for_stopped(app.consumer.first_restore))

    async def on_stop(self) -> None:
        """Leaves the group while agents still work, so that what is in flight can end."""
        app: Any = self.app
        await app.consumer.leave()
        for table in self.values():
            await table.stop()


def _refuse_unsafe(table: Any) -> None:
    """Refuses what could not be restored as it was, or would change another's partition."""
    unsafe = {
        "global": table.is_global,
        "windowed": table.window is not None,
        "a set": isinstance(table, SetTable),
        "spread by a partitioner": table.use_partitioner,
        "given callbacks of Faust's recovery": bool(
            table._recover_callbacks or table._on_changelog_event  # noqa: SLF001 - no public way
        ),
    }
    for kind, is_so in unsafe.items():
        if is_so:
            raise ConfigError(
                Code.ENGINE_UNSUPPORTED,
                f"Table {table.name} is {kind}; the engine has no such tables.",
                hint="Read another app's topic with a view; expire keys with the schedule.",
            )
