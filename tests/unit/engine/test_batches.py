"""Batches can be cut and put together without a record or an offset getting lost."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import PLACE, FakeRecord

from calstream_engine.records import Batch, Record, joined, offset_of, weight_of


@st.composite
def _batches(draw: st.DrawFn, least: int = 1) -> Batch:
    """Records with holes between them and behind the last."""
    steps = draw(st.lists(st.integers(1, 1000), min_size=least, max_size=40))
    offset = draw(st.integers(0, 1000))
    records = []
    for step in steps:
        offset += step
        records.append(FakeRecord(offset))
    return Batch(PLACE, records, offset + draw(st.integers(1, 1000)))


def _told(batch: Batch) -> tuple[list[int], int]:
    return [offset_of(record) for record in batch], batch.next_offset


@given(batch=_batches(least=2))
def test_halves_hold_every_record_once_and_in_order(batch: Batch) -> None:
    first, second = batch.halves()
    assert [*first, *second] == list(batch)
    assert 0 <= len(second) - len(first) <= 1
    assert first.place == second.place == batch.place


@given(batch=_batches(least=2))
def test_the_first_half_ends_where_the_second_begins(batch: Batch) -> None:
    first, second = batch.halves()
    assert first.next_offset == offset_of(second.records[0])
    assert second.next_offset == batch.next_offset


@given(batch=_batches(least=2))
def test_halves_put_together_are_what_was_cut(batch: Batch) -> None:
    assert _told(joined(batch.halves())) == _told(batch)


def _singles(batch: Batch) -> Iterator[Batch]:
    if len(batch) == 1:
        yield batch
    else:
        for half in batch.halves():
            yield from _singles(half)


@given(batch=_batches())
def test_cut_down_to_single_records_each_ends_where_the_next_begins(batch: Batch) -> None:
    singles = list(_singles(batch))
    records: list[Record] = [single.records[0] for single in singles]
    assert records == list(batch)
    places = [offset_of(record) for record in records[1:]]
    assert [single.next_offset for single in singles] == [*places, batch.next_offset]


def test_one_batch_alone_is_not_copied() -> None:
    batch = Batch(PLACE, [FakeRecord(1)], 2)
    assert joined([batch]) is batch


@given(sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=20))
def test_what_records_weigh_bounds_their_number_and_their_bytes(sizes: list[int]) -> None:
    records = [FakeRecord(n, value=b"x" * size) for n, size in enumerate(sizes)]
    weight = Batch(PLACE, records, len(sizes)).weight
    assert weight == sum(weight_of([record]) for record in records)
    assert len(sizes) <= weight
    assert sum(sizes) < weight * 4096


def test_a_record_without_an_offset_is_no_record_of_a_log() -> None:
    class _Unsent(FakeRecord):
        def offset(self) -> int:
            return None  # type: ignore[return-value]  # as confluent_kafka tells of a record that was never written

    with pytest.raises(AssertionError):
        offset_of(_Unsent(0))
