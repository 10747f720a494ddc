"""A view of another app's topic is restored, then follows, and writes nothing."""

from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.engine.topics import COMPACTED, Topics
from tests.integration.engine.transactional_apps import Names, transactional_app
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers, engine_settings

from calstream_core.errors import Code, InvariantError
from calstream_engine import (
    Batch,
    Mode,
    create_app,
    positions,
    replay,
    state_table,
    state_writer,
    view,
)
from calstream_engine.state.store import RESERVED, PartitionStore

pytestmark = pytest.mark.broker


class Looker:
    """Takes note of what a view tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.store: PartitionStore | None = None

    def restored(self, partition: int, store: PartitionStore) -> None:
        self.store = store
        self.told.append(f"restored {partition} with {len(dict(store.items()))}")

    def changed(self, partition: int, batch: Batch) -> None:
        assert self.store is not None
        for record in batch:
            key = record.key() or b""
            if not key.startswith(RESERVED):
                assert partition == record.partition()
                self.told.append(f"{key.decode()} is {(record.value() or b'gone').decode()}")

    def released(self, partition: int) -> None:
        self.told.append(f"released {partition}")

    @property
    def seen(self) -> dict[bytes, bytes]:
        assert self.store is not None
        return dict(self.store.items())


def _viewing(topics: Topics, name: str, topic: str, looker: Looker, **changes: Any) -> faust.App:
    app = create_app(engine_settings(name, topics.bootstrap_servers, **changes))
    view(app, "theirs", topic, looker)
    return app


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_a_view_is_restored_and_follows_also_after_a_restart(
    topics: Topics, workers: Workers, tmp_path: Path, on_disk: bool
) -> None:
    theirs, name = topics.make("theirs", cleanup_policy="compact"), topics.name("view")
    directory = tmp_path if on_disk else None
    topics.put(theirs, [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    looker = Looker()
    worker = await workers.start(_viewing(topics, name, theirs, looker, state_directory=directory))
    assert looker.told == ["restored 0 with 2"]
    topics.put(theirs, [(b"b", None), (b"c", b"4")])
    topics.put_in_transaction(theirs, [(b"x", b"1")], commit=False)
    topics.put_in_transaction(theirs, [(b"d", b"5")])
    await eventually(lambda: "d is 5" in looker.told)
    assert looker.told[1:] == ["b is gone", "c is 4", "d is 5"]
    assert looker.seen == {b"a": b"3", b"c": b"4", b"d": b"5"}
    await worker.stop()
    assert looker.told[-1] == "released 0"
    topics.put(theirs, [(b"c", None), (b"e", b"6")])
    looker = Looker()
    worker = await workers.start(_viewing(topics, name, theirs, looker, state_directory=directory))
    assert looker.told == ["restored 0 with 3"]
    assert looker.seen == {b"a": b"3", b"d": b"5", b"e": b"6"}
    await worker.stop()


async def test_an_app_may_follow_what_another_app_of_the_process_writes(
    topics: Topics, workers: Workers
) -> None:
    names, looker = Names.make(topics), Looker()
    viewing = _viewing(topics, topics.name("view"), names.truth, looker)
    worker = await workers.start(transactional_app(topics, names), viewing)
    topics.put(names.source, [(None, order) for order in (b"+a", b"+b", b"+a", b"-b")])
    await eventually(lambda: "b is gone" in looker.told)
    assert looker.seen == {b"a": b"2"}
    assert looker.told[0] == "restored 0 with 0"
    await worker.stop()


async def test_a_view_of_a_compacted_topic_with_holes_follows_to_its_end(
    topics: Topics, workers: Workers
) -> None:
    theirs, name = topics.make_named(topics.name("theirs"), 1, COMPACTED), topics.name("view")
    topics.put_in_transaction(theirs, [(b"a", b"1")])
    topics.put_in_transaction(theirs, [(b"x", b"1")] * 10, commit=False)
    looker = Looker()
    app = _viewing(topics, name, theirs, looker)
    worker = await workers.start(app)
    await eventually(lambda: positions(app, theirs) == {0: topics.end(theirs)})
    assert looker.seen == {b"a": b"1"}
    await worker.stop()


async def test_a_view_beside_tables_is_on_the_same_partition_and_can_t_be_written(
    topics: Topics, workers: Workers
) -> None:
    """As a sink has it: it follows the truth and writes its ledger, outside of batches."""
    theirs, ledger = topics.make("theirs", 2), topics.make("ledger", 2, cleanup_policy="compact")
    looker = Looker()
    app = _viewing(
        topics,
        topics.name("sink"),
        theirs,
        looker,
        mode=Mode.TRANSACTIONAL,
        position_table="ledger",
    )
    state_table(app, "ledger", ledger)
    writer = state_writer(app)
    assert list(writer.partitions) == []
    worker = await workers.start(app)
    topics.put(theirs, [(b"a", b"1")], partition=1)
    await eventually(lambda: "a is 1" in looker.told)
    work = writer.work(1)
    assert work["theirs"].get(b"a") == b"1"
    work["ledger"].put(b"a", b"done")
    with pytest.raises(InvariantError) as caught:
        work["theirs"].put(b"a", b"2")
    assert caught.value.code is Code.INVARIANT_BROKEN
    await writer.write(work)
    assert topics.latest(ledger, 1) == {b"a": b"done"}
    assert writer.work(1)["ledger"].get(b"a") == b"done"
    await worker.stop()
    assert list(writer.partitions) == []


async def test_a_log_can_be_read_anew_beside_the_state(topics: Topics, workers: Workers) -> None:
    theirs = topics.make("theirs", cleanup_policy="compact")
    topics.put(theirs, [(b"a", b"1"), (b"b", b"2"), (b"a", None)])
    looker = Looker()
    app = _viewing(topics, topics.name("view"), theirs, looker)
    worker = await workers.start(app)
    store, count = await replay(app, "theirs", 0)
    assert (dict(store.items()), count) == ({b"b": b"2"}, 3)
    await worker.stop()


async def test_a_looker_that_fails_ends_the_worker(topics: Topics, workers: Workers) -> None:
    class _Failing(Looker):
        def changed(self, *_told: object) -> None:
            raise ZeroDivisionError

    theirs = topics.make("theirs")
    worker = await workers.start(_viewing(topics, topics.name("view"), theirs, _Failing()))
    topics.put(theirs, [(b"a", b"1")])
    error = await worker.until_ended()
    assert isinstance(error, InvariantError)
    assert "ZeroDivisionError" in str(error)
