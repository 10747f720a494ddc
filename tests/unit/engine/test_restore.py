"""However a restore is interrupted and resumed, it gives what the log says, read plainly.

Logs are written, compacted and made anew in between; processes end; owners write themselves.
"""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.unit.engine.compacted_log import CompactedLog, FakeConsumer

from calstream_core.errors import Code, UnavailableError
from calstream_engine.state import restore as restore_module
from calstream_engine.state.memory import MemoryStores
from calstream_engine.state.restore import Restore, run_restore
from calstream_engine.state.rocks import RocksStores
from calstream_engine.state.store import PartitionStore, StoreFactory

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
CHANGES = st.lists(
    st.tuples(st.none() | KEYS, st.none() | st.binary(min_size=1, max_size=3)),
    min_size=1,
    max_size=12,
)
WHICH = st.integers(0, 1)


class RestoreMachine(RuleBasedStateMachine):
    """Two tables of one partition, restored together."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = [CompactedLog("first"), CompactedLog("second")]
        self.factory = self.make_factory()
        self.stores = self.open_stores()
        self.complete = False

    def make_factory(self) -> StoreFactory:
        return MemoryStores()

    def open_stores(self) -> list[PartitionStore]:
        return [self.factory.open(log.topic, 0, keep_seconds=3600) for log in self.logs]

    @rule(which=WHICH, changes=CHANGES)
    def somebody_writes(self, which: int, changes: list[tuple[bytes | None, bytes | None]]) -> None:
        self.logs[which].append(changes)
        self.complete = False

    @rule(which=WHICH, count=st.integers(1, 5))
    def a_transaction_leaves_a_hole(self, which: int, count: int) -> None:
        self.logs[which].skip(count)
        self.complete = False

    @rule(which=WHICH)
    def the_log_is_compacted(self, which: int) -> None:
        """Tombstones go only if the store has heard of them: it is trusted for less time."""
        log = self.logs[which]
        log.compact(tombstones_before=self.stores[which].checkpoint or log.end)

    @rule(which=WHICH, key=KEYS, value=st.none() | st.binary(min_size=1, max_size=3))
    def the_owner_writes(self, which: int, key: bytes, value: bytes | None) -> None:
        """Only with its state restored: first into the log, then into the store."""
        if self.complete:
            self.logs[which].append([(key, value)])
            self.logs[which].skip(1)  # the marker of its transaction
            self.stores[which].apply([(key, value)], self.logs[which].end - 1)
            assert dict(self.stores[which].items()) == self.logs[which].fold(self.logs[which].end)

    @rule()
    def the_process_ends(self) -> None:
        for store in self.stores:
            store.close()
        self.stores = self.open_stores()
        self.complete = False

    @rule(which=WHICH)
    def the_log_is_made_anew(self, which: int) -> None:
        """And restored while it has fewer records than the store has seen, or nobody could tell."""
        if self.stores[which].checkpoint:
            self.logs[which] = CompactedLog(self.logs[which].topic)
            self._restore(0, None, [])
            assert dict(self.stores[which].items()) == {}

    @rule(
        seed=st.integers(0, 2**32),
        reads=st.none() | st.integers(0, 5),
        late=st.lists(st.tuples(KEYS, st.none() | st.just(b"late")), max_size=3),
    )
    def the_state_is_restored(
        self, seed: int, reads: int | None, late: list[tuple[bytes, bytes | None]]
    ) -> None:
        """To its end, or until it is interrupted; others may write meanwhile."""
        self._restore(seed, reads, late)

    def _restore(
        self, seed: int, reads: int | None, late: list[tuple[bytes, bytes | None]]
    ) -> None:
        consumer = FakeConsumer(self.logs, random.Random(seed), lambda log: log.append(late))
        left = iter(range(reads)) if reads is not None else None
        ends = [log.end for log in self.logs]
        restores = [
            Restore(log.topic, 0, store) for log, store in zip(self.logs, self.stores, strict=True)
        ]
        with patch.object(restore_module, "Consumer", lambda _configuration: consumer):
            done = run_restore(
                "broker:1", restores, lambda: left is not None and next(left, None) is None
            )
        assert consumer.closed
        assert done or reads is not None
        for log, store, end in zip(self.logs, self.stores, ends, strict=True):
            assert store.checkpoint <= log.end
            if done:
                assert store.checkpoint >= end
                assert dict(store.items()) == log.fold(store.checkpoint)
        self.complete = done and all(
            store.checkpoint == log.end for log, store in zip(self.logs, self.stores, strict=True)
        )

    def teardown(self) -> None:
        for store in self.stores:
            store.close()


class RocksRestoreMachine(RestoreMachine):
    """The same on disk, where a process that ends leaves its state behind."""

    def make_factory(self) -> StoreFactory:
        self.root = Path(tempfile.mkdtemp(prefix="restore-"))
        return RocksStores(self.root)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.root)


TestRestoreInMemory = RestoreMachine.TestCase
TestRestoreInMemory.settings = settings(max_examples=60, stateful_step_count=30)
TestRestoreOnDisk = RocksRestoreMachine.TestCase
TestRestoreOnDisk.settings = settings(max_examples=25, stateful_step_count=25)


def _restored(log: CompactedLog, store: PartitionStore) -> Restore:
    restore = Restore(log.topic, 0, store)
    consumer = FakeConsumer([log], random.Random(1), lambda _log: None)
    with patch.object(restore_module, "Consumer", lambda _configuration: consumer):
        assert run_restore("broker:1", [restore], lambda: False)
    return restore


def test_progress_is_told_by_records_read_and_offsets_left() -> None:
    log = CompactedLog("first")
    log.append([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    log.skip(1)
    restore = _restored(log, MemoryStores().open("first", 0, keep_seconds=1))
    assert (restore.records, restore.remaining) == (3, 0)


def test_nothing_to_restore_asks_no_broker() -> None:
    assert run_restore("broker:1", [], lambda: False)


def test_a_broker_that_knows_no_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Deaf(FakeConsumer):
        def get_watermark_offsets(self, *_place: Any, **_options: Any) -> tuple[int, int]:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "late"))

    consumer = _Deaf([], random.Random(1), lambda _log: None)
    monkeypatch.setattr(restore_module, "Consumer", lambda _configuration: consumer)
    store = MemoryStores().open("first", 0, keep_seconds=1)
    with pytest.raises(UnavailableError) as caught:
        run_restore("broker:1", [Restore("first", 0, store)], lambda: False)
    assert caught.value.code is Code.BROKER_UNAVAILABLE
    assert consumer.closed


def test_a_broker_that_falls_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Silent(FakeConsumer):
        def _next(self) -> Any:
            return None

    log = CompactedLog("first")
    log.append([(b"a", b"1")])
    consumer = _Silent([log], random.Random(1), lambda _log: None)
    monkeypatch.setattr(restore_module, "Consumer", lambda _configuration: consumer)
    monkeypatch.setattr(restore_module, "_PATIENCE_SECONDS", 0.0)
    store = MemoryStores().open("first", 0, keep_seconds=1)
    with pytest.raises(UnavailableError, match="silent"):
        run_restore("broker:1", [Restore("first", 0, store)], lambda: False)
    assert consumer.closed
