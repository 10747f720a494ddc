"""The records of a bench are the same each time, newer and newer, and as long as is said."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_ops.bench.load import Load

LOADS = st.builds(
    Load,
    count=st.integers(1, 300),
    keys=st.integers(1, 50),
    partitions=st.integers(1, 8),
    value_bytes=st.integers(230, 320),
    seed=st.integers(0, 3),
)


@given(load=LOADS)
def test_a_load_is_what_it_says(load: Load) -> None:
    records = list(load.records())
    assert records == list(load.records())
    assert len(records) == load.count
    assert {len(text) for _, _, text in records} == {load.value_bytes}
    assert len({key for _, key, _ in records}) <= load.keys
    place: dict[bytes, int] = {}
    for partition, key, text in records:
        assert place.setdefault(key, partition) == partition < load.partitions
        assert json.loads(text)["id"].encode() == key


@given(load=LOADS)
def test_every_record_is_newer_than_all_before_it(load: Load) -> None:
    times = [json.loads(text)["last_modified"] for _, _, text in load.records()]
    assert times == sorted(set(times))


def test_a_load_for_a_table_has_each_key_once() -> None:
    load = Load(1000, 1000, 4, 300, every_key_once=True)
    keys = Counter(key for _, key, _ in load.records())
    assert len(keys) == keys.total() == 1000


@pytest.mark.parametrize("value_bytes", [230, 300])
def test_records_of_different_keys_hold_different_text(value_bytes: int) -> None:
    load = Load(50, 50, 1, value_bytes, every_key_once=True)
    assert len({json.loads(text)["note"] for _, _, text in load.records()}) == 50
