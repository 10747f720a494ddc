"""Dead letters keep the record and say why; too many of them stop the worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fakes import PLACE, FakeRecord

from calstream_core.errors import Code, ConfigError, RecordError
from calstream_core.kafka.limits import MAX_DEAD_LETTER_BYTES
from calstream_engine.failures import (
    DeadLetterGuard,
    DeadLetterLimit,
    WorkerStopError,
    dead_letter,
)
from calstream_engine.work import size_of

ERROR = RecordError(Code.TIME_INVALID, "no time", field="data.start")


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    key=st.none() | st.binary(max_size=5),
    value=st.none() | st.binary(max_size=5),
    headers=st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=3),
)
def test_a_dead_letter_is_the_record_as_it_came(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    letter = dead_letter("dead", "add", FakeRecord(1, key=key, value=value, headers=headers), ERROR)
    assert (letter.topic, letter.key, letter.value) == ("dead", key, value)
    assert letter.partition == PLACE.partition
    assert letter.headers is not None
    assert letter.headers[: len(headers)] == headers


def test_a_dead_letter_says_what_happened_and_where() -> None:
    record = FakeRecord(42, headers=[("error_code", b"of an older failure")])
    letter = dead_letter("dead", "add", record, ERROR)
    assert dict(letter.headers or []) == {
        "error_code": b"time-invalid",
        "error_message": b"no time",
        "error_field": b"data.start",
        "error_stage": b"add",
        "origin_topic": b"orders",
        "origin_partition": b"3",
        "origin_offset": b"42",
        "origin_timestamp": b"1",
    }


@pytest.mark.parametrize("milliseconds", [0, -1, 253_402_300_799_000])
def test_a_dead_letter_keeps_a_strange_time(milliseconds: int) -> None:
    letter = dead_letter("dead", "add", FakeRecord(1, timestamp_milliseconds=milliseconds), ERROR)
    assert dict(letter.headers or [])["origin_timestamp"] == str(milliseconds).encode()


def test_an_error_without_a_field_or_with_half_a_character_is_told_all_the_same() -> None:
    error = ConfigError(Code.CONFIG_INVALID, "strange \ud800" + "x" * 5000)
    told = dict(dead_letter("dead", "add", FakeRecord(1), error).headers or [])
    assert told["error_field"] == b""
    assert told["error_message"].startswith(b"strange \\ud800")
    assert len(told["error_message"]) < 2000


@pytest.mark.parametrize(
    ("key", "headers", "value"),
    [
        (b"key", [("h", b"1")], b"v" * (MAX_DEAD_LETTER_BYTES + 1)),
        (b"key", [("h", b"1" * MAX_DEAD_LETTER_BYTES)], b"v"),
        (b"k" * (MAX_DEAD_LETTER_BYTES + 1), None, None),
    ],
    ids=["value", "headers", "key"],
)
def test_what_no_topic_would_take_is_cut_and_says_so(
    key: bytes, headers: list[tuple[str, bytes]] | None, value: bytes | None
) -> None:
    came = len(key) + len(value or b"") + size_of(headers)
    record = FakeRecord(1, key=key, value=value, headers=headers)
    letter = dead_letter("dead", "add", record, ERROR)
    size = len(letter.key or b"") + len(letter.value or b"") + size_of(letter.headers)
    assert size <= MAX_DEAD_LETTER_BYTES
    assert dict(letter.headers or [])["error_cut_from_bytes"] == str(came).encode()
    assert key.startswith(letter.key or b"-")


def test_so_many_in_a_row_are_allowed_and_not_one_more() -> None:
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=3, per_minute=100), _Clock())
    for _ in range(3):
        guard.check(0, handled=0, rejected=1)
    with pytest.raises(WorkerStopError) as caught:
        guard.check(0, handled=0, rejected=1)
    assert caught.value.code is Code.DEAD_LETTER_LIMIT


def test_a_record_that_is_handled_begins_the_row_anew() -> None:
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=2, per_minute=100), _Clock())
    for _ in range(10):
        guard.check(0, handled=0, rejected=2)
        guard.check(0, handled=1, rejected=0)
        guard.check(0, handled=0, rejected=2)
        guard.check(0, handled=5, rejected=1)


def test_rows_of_other_partitions_are_other_rows() -> None:
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=2, per_minute=100), _Clock())
    for partition in range(10):
        guard.check(partition, handled=0, rejected=2)


def test_a_batch_of_nothing_but_bad_records_is_a_row() -> None:
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=50, per_minute=1000), _Clock())
    with pytest.raises(WorkerStopError, match="51 records in a row"):
        guard.check(0, handled=0, rejected=51)


def test_so_many_in_a_minute_are_allowed_over_all_partitions_and_not_one_more() -> None:
    clock = _Clock()
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=100, per_minute=10), clock)
    for partition in range(10):
        clock.now += 5
        guard.check(partition, handled=7, rejected=1)
    clock.now += 16  # the first is more than a minute ago
    guard.check(0, handled=7, rejected=1)
    with pytest.raises(WorkerStopError, match="11 records of a minute"):
        guard.check(0, handled=7, rejected=1)


def test_a_slow_trickle_of_bad_records_never_stops_the_worker() -> None:
    clock = _Clock()
    guard = DeadLetterGuard(DeadLetterLimit(consecutive=10, per_minute=10), clock)
    for _ in range(1000):
        clock.now += 7
        guard.check(0, handled=1, rejected=1)
    assert len(guard._lately) <= 10
