"""A work sees its own changes over what is committed, and writes nothing it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import FakeRecord

from calstream_core.errors import Code, InvariantError, RecordError
from calstream_core.kafka.limits import MAX_RECORD_BYTES
from calstream_engine.state.memory import MemoryStore
from calstream_engine.state.store import RESERVED
from calstream_engine.work import (
    Outgoing,
    TableSpec,
    TableWork,
    Work,
    position_key,
)

STATE = TableSpec("state", "state-log")
TRUTH = TableSpec("truth", "truth-log", every_version=True)
VIEW = TableSpec("view", "view-log", read_only=True)
PARTITION = 5


def _table(spec: TableSpec, **values: bytes) -> TableWork:
    store = MemoryStore()
    store.apply([(key.encode(), value) for key, value in values.items()], len(values))
    return TableWork(spec, store)


def _work() -> Work:
    return Work(PARTITION, {spec.name: (spec, MemoryStore()) for spec in (STATE, TRUTH, VIEW)})


def test_a_work_reads_what_it_has_written_itself() -> None:
    table = _table(STATE, a=b"1", b=b"2")
    table.put(b"a", b"10")
    table.delete(b"b")
    table.put(b"c", b"3")
    assert [table.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"10", None, b"3", None]


def test_what_a_work_writes_is_not_in_the_store_before_it_is_committed() -> None:
    table = _table(STATE, a=b"1")
    table.put(b"a", b"2")
    assert table.store.get(b"a") == b"1"


CHANGES = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=3)), max_size=20
)


@given(changes=CHANGES)
def test_state_is_written_once_for_each_key_with_its_last_value(
    changes: list[tuple[bytes, bytes | None]],
) -> None:
    table = _table(STATE)
    for key, value in changes:
        table.put(key, value)
    written = [(one.key, one.value) for one in table.outgoing(PARTITION)]
    assert len(written) == len(dict(changes))
    assert dict(written) == dict(changes)


@given(changes=CHANGES)
def test_of_a_truth_every_version_is_written_in_order(
    changes: list[tuple[bytes, bytes | None]],
) -> None:
    table = _table(TRUTH)
    for number, (key, value) in enumerate(changes):
        table.put(key, value, [("n", b"%d" % number)])
    assert list(table.outgoing(PARTITION)) == [
        Outgoing("truth-log", key, value, PARTITION, [("n", b"%d" % number)])
        for number, (key, value) in enumerate(changes)
    ]
    assert dict(table.changes()) == dict(changes)


@given(changes=CHANGES, spec=st.sampled_from([STATE, TRUTH]))
def test_what_is_written_read_in_order_gives_what_is_applied(
    changes: list[tuple[bytes, bytes | None]], spec: TableSpec
) -> None:
    table = _table(spec)
    for key, value in changes:
        table.put(key, value)
    applied, replayed = MemoryStore(), MemoryStore()
    applied.apply(table.changes(), 1)
    replayed.apply(((one.key or b"", one.value) for one in table.outgoing(PARTITION)), 1)
    assert dict(applied.items()) == dict(replayed.items())


@pytest.mark.parametrize("key", [RESERVED, RESERVED + b"checkpoint", position_key("orders")])
def test_the_engine_s_own_keys_can_t_be_written(key: bytes) -> None:
    table = _table(STATE)
    with pytest.raises(InvariantError) as caught:
        table.put(key, b"x")
    assert caught.value.code is Code.INVARIANT_BROKEN
    assert list(table.changes()) == []


def test_a_view_can_t_be_written() -> None:
    table = _table(VIEW, a=b"1")
    with pytest.raises(InvariantError):
        table.put(b"a", b"2")
    with pytest.raises(InvariantError):
        table.delete(b"a")
    assert table.get(b"a") == b"1"


def test_a_record_of_the_limit_can_be_written_and_one_more_byte_can_not() -> None:
    work = _work()
    headers = [("name", b"text")]
    rest = b"x" * (MAX_RECORD_BYTES - len(b"key") - len(b"nametext"))
    work["state"].put(b"key", rest, headers)
    work.send("out", b"key", rest, headers=headers)
    too_much: list[tuple[bytes, list[tuple[str, bytes]]]] = [
        (rest + b"x", headers),
        (rest, [*headers, ("", b"x")]),
    ]
    for value, more in too_much:
        with pytest.raises(RecordError) as caught:
            work["state"].put(b"key", value, more)
        assert caught.value.code is Code.RECORD_TOO_LARGE
        with pytest.raises(RecordError) as caught:
            work.send("out", b"key", value, headers=more)
        assert caught.value.code is Code.RECORD_TOO_LARGE
    assert work["state"].get(b"key") == rest
    assert len(work.sent) == 1


def test_several_keys_are_set_together_or_not_at_all() -> None:
    work = _work()
    work["truth"].put_all([(b"a", b"1", None), (b"b", None, [("h", b"1")])])
    big = b"x" * MAX_RECORD_BYTES
    with pytest.raises(RecordError):
        work["truth"].put_all([(b"c", b"1", None), (b"d", big, None)])
    with pytest.raises(RecordError):
        work["truth"].put_all([(b"c", b"1", None), (b"d", big[1:], [("h", b"1")])])
    assert [one.key for one in work["truth"].outgoing(PARTITION)] == [b"a", b"b"]


def test_a_record_goes_to_the_batch_s_partition_unless_another_is_named() -> None:
    work = _work()
    work.send("out", b"k", b"v")
    work.send("out", None, None, partition=0, headers=[("h", b"1")])
    assert work.sent == [
        Outgoing("out", b"k", b"v", PARTITION, None),
        Outgoing("out", None, None, 0, [("h", b"1")]),
    ]


def test_tables_are_found_by_themselves_and_by_name() -> None:
    class _Table:
        name = "state"

    work = _work()
    assert work[_Table()] is work["state"]


@pytest.mark.parametrize("table", ["other", None, 5, object(), ["state"]])
def test_what_is_no_table_of_the_stage_is_told(table: object) -> None:
    with pytest.raises(InvariantError, match="no table"):
        _work()[table]


def test_what_is_rejected_is_counted_by_its_outcome() -> None:
    work = _work()
    error = RecordError(Code.RECORD_FAILED, "no")
    first, second = FakeRecord(1), FakeRecord(2)
    work.reject(first, error)
    work.reject(second, error, outcome="strange")
    work.count("strange")
    assert [one.record for one in work.rejected] == [first, second]
    assert work.outcomes == {"dead": 1, "strange": 2}
