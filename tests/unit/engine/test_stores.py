"""Stores keep what their changelog says, and on disk only as long as that can be trusted."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from calstream_engine.state import rocks as rocks_module
from calstream_engine.state.memory import MemoryStores
from calstream_engine.state.rocks import RocksStores
from calstream_engine.state.store import RESERVED, StoreFactory, directory_of

Make = Callable[[Path], StoreFactory]


def _memory(_directory: Path) -> StoreFactory:
    return MemoryStores()


@pytest.fixture(params=[_memory, RocksStores], ids=["memory", "rocks"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    make: Make = request.param
    return make(tmp_path)


def test_changes_are_made_in_order(stores: StoreFactory) -> None:
    store = stores.open("t", 0, keep_seconds=60)
    store.apply([(b"a", b"1"), (b"b", b"2"), (b"a", None), (b"a", b"3"), (b"b", None)], 7)
    assert dict(store.items()) == {b"a": b"3"}
    assert (store.get(b"a"), store.get(b"b"), store.checkpoint) == (b"3", None, 7)
    store.close()


def test_the_engine_s_own_keys_are_kept_and_not_listed(stores: StoreFactory) -> None:
    store = stores.open("t", 0, keep_seconds=60)
    store.apply([(RESERVED + b"position/x", b"5"), (b"a", b"1")], 1)
    assert store.get(RESERVED + b"position/x") == b"5"
    assert list(store.items()) == [(b"a", b"1")]
    store.close()


def test_keys_are_listed_by_their_prefix_in_order(stores: StoreFactory) -> None:
    store = stores.open("t", 0, keep_seconds=60)
    names = [b"b/2", b"a/1", b"b/1", b"b", b"b/10", b"c/1", RESERVED + b"b/3"]
    store.apply([(name, b"") for name in names], 1)
    assert list(store.keys(b"b/")) == [b"b/1", b"b/10", b"b/2"]
    assert list(store.keys(b"")) == sorted(names[:-1])
    assert list(store.keys(b"d")) == []
    store.close()


def test_a_store_that_is_reset_is_empty(stores: StoreFactory) -> None:
    store = stores.open("t", 0, keep_seconds=60)
    store.apply([(RESERVED + b"position/x", b"5"), (b"a", b"1")], 9)
    store.reset()
    assert (dict(store.items()), store.get(RESERVED + b"position/x")) == ({}, None)
    assert store.checkpoint == 0
    store.close()


def test_partitions_and_tables_share_nothing(stores: StoreFactory) -> None:
    opened = [stores.open(table, n, keep_seconds=60) for table in ("t", "u") for n in (0, 1)]
    for number, store in enumerate(opened):
        store.apply([(b"a", b"%d" % number)], number + 1)
    assert [store.get(b"a") for store in opened] == [b"0", b"1", b"2", b"3"]
    for store in opened:
        store.close()


def test_state_on_disk_is_there_at_the_next_start(tmp_path: Path) -> None:
    store = RocksStores(tmp_path).open("t", 0, keep_seconds=60)
    store.apply([(b"a", b"1"), (RESERVED + b"position/x", b"5")], 9)
    store.close()
    again = RocksStores(tmp_path).open("t", 0, keep_seconds=60)
    assert (again.get(b"a"), again.get(RESERVED + b"position/x")) == (b"1", b"5")
    assert again.checkpoint == 9
    again.close()


def test_a_store_that_was_reset_stays_empty_at_the_next_start(tmp_path: Path) -> None:
    store = RocksStores(tmp_path).open("t", 0, keep_seconds=60)
    store.apply([(b"a", b"1")], 9)
    store.reset()
    store.close()
    again = RocksStores(tmp_path).open("t", 0, keep_seconds=60)
    assert (dict(again.items()), again.checkpoint) == ({}, 0)
    again.close()


def test_state_that_was_left_too_long_ago_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = RocksStores(tmp_path)
    store = stores.open("t", 0, keep_seconds=60)
    store.apply([(b"a", b"1")], 9)
    store.close()
    now = time.time()
    monkeypatch.setattr(rocks_module.time, "time", lambda: now + 30)  # type: ignore[attr-defined]  # the module it looks at
    again = stores.open("t", 0, keep_seconds=60)
    assert again.get(b"a") == b"1"
    again.close()
    monkeypatch.setattr(rocks_module.time, "time", lambda: now + 62)  # type: ignore[attr-defined]  # the module it looks at
    too_late = stores.open("t", 0, keep_seconds=60)
    assert (dict(too_late.items()), too_late.checkpoint) == ({}, 0)
    too_late.close()


def _options_in_force(directory: Path) -> str:
    newest = max(directory.glob("OPTIONS-*"), key=lambda path: int(path.name.partition("-")[2]))
    return newest.read_text("utf-8")


def test_what_is_there_already_is_opened_with_today_s_options_and_the_shared_cache(
    tmp_path: Path,
) -> None:
    """By itself, rocksdict takes the options that a database was made with, and another cache."""
    path = directory_of(tmp_path, "t", 0)
    path.parent.mkdir(parents=True)
    made = Rdict(str(path), Options(raw_mode=True))
    for number in range(1000):
        made[b"%04d" % number] = b"x" * 100
    made.flush()
    made.close()
    assert "index_type=kBinarySearch" in _options_in_force(path)
    stores = RocksStores(tmp_path)
    store = stores.open("t", 0, keep_seconds=60)
    used = stores._cache.get_usage()
    assert store.get(b"0500") == b"x" * 100
    assert stores._cache.get_usage() > used
    # the whole index of a large partition would not fit into the cache, and be read for each key
    options = _options_in_force(path)
    assert "index_type=kTwoLevelIndexSearch" in options
    assert "partition_filters=true" in options
    store.close()
