"""The job that forgives nothing, and the plain sequential reference."""

import pytest

from calstream_core.errors import RecordError
from calstream_ops.chaos.job import REMOVED, folded, record_id
from calstream_ops.chaos.reference import Effect, Expected, Kind, SourceRecord, expected_of

REMOVER = 97
"""A record with this id removes its key."""


def test_the_state_counts() -> None:
    state = None
    for number in (1, 2, 3):
        state = folded(state, number)
    assert state is not None
    assert state.startswith(b"3 ")


def test_the_state_depends_on_the_order() -> None:
    assert folded(folded(None, 1), 2) != folded(folded(None, 2), 1)


def test_a_record_twice_is_another_state() -> None:
    assert folded(folded(None, 1), 1) != folded(None, 1)


def test_a_difference_stays_for_all_time() -> None:
    right, wrong = folded(folded(None, 1), 2), folded(None, 2)
    for number in range(3, 90):
        right, wrong = folded(right, number), folded(wrong, number)
        assert right != wrong


def test_some_records_remove_their_key_and_it_begins_anew() -> None:
    assert folded(folded(None, 1), REMOVER) is None
    assert folded(folded(folded(None, 1), REMOVER), 2) == folded(None, 2)


@pytest.mark.parametrize("value", [None, b"", b"?12", b"!12", b"1.5", b"\xd9\xa1"])
def test_what_is_no_number_is_no_id(value: bytes | None) -> None:
    with pytest.raises(RecordError):
        record_id(value)


def test_nothing_leads_to_nothing() -> None:
    assert expected_of([]) == Expected()


def test_the_reference_goes_record_by_record() -> None:
    found = expected_of(
        [
            SourceRecord(0, b"a", b"1"),
            SourceRecord(1, b"b", b"2"),
            SourceRecord(2, b"a", b"?3"),
            SourceRecord(4, b"a", b"5"),
            SourceRecord(7, b"b", b"97"),
        ]
    )
    first_a, first_b = folded(None, 1), folded(None, 2)
    second_a = folded(first_a, 5)
    assert found.position == 8
    assert found.state == {b"a": second_a}
    assert found.effects[Kind.OUTPUTS] == [
        Effect(0, b"a", first_a),
        Effect(1, b"b", first_b),
        Effect(4, b"a", second_a),
        Effect(7, b"b", REMOVED),
    ]
    assert found.effects[Kind.VERSIONS][-1] == Effect(7, b"b", None)
    assert found.effects[Kind.DEAD] == [Effect(2, b"a", b"?3")]
    assert [effect.offset for effect in found.effects[Kind.FORWARDED]] == [0, 1, 2, 4, 7]
