"""The index of intervals: what it finds is what looking at each of them finds."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from calstream_processors.resolve.interval_index import IntervalIndex

Interval = tuple[int, int]

# short and long ones, close together, and some as far as times go
intervals = st.tuples(
    st.integers(-50, 50) | st.integers(-(2**53), 2**53), st.integers(1, 20) | st.integers(1, 2**44)
).map(lambda pair: (pair[0], pair[0] + pair[1]))


def _filled(kept: dict[int, Interval]) -> IntervalIndex[tuple[str]]:
    index: IntervalIndex[tuple[str]] = IntervalIndex()
    for number, (start, end) in kept.items():
        index.add(start, end, (str(number),))
    return index


@given(st.lists(intervals, max_size=40), st.sets(st.integers(0, 39)), st.lists(intervals))
def test_it_finds_what_overlaps_and_nothing_else(
    held: list[Interval], dropped: set[int], asked: list[Interval]
) -> None:
    kept = dict(enumerate(held))
    index = _filled(kept)
    for number in dropped & kept.keys():
        index.discard(*kept.pop(number), (str(number),))
    for start, end in (*asked, *held):
        expected = sorted((str(n),) for n, (s, e) in kept.items() if s < end and start < e)
        assert sorted(index.overlapping(start, end)) == expected


def test_what_begins_where_another_ends_does_not_overlap_it() -> None:
    index = _filled({1: (10, 20)})
    assert list(index.overlapping(20, 30)) == []
    assert list(index.overlapping(0, 10)) == []
    assert list(index.overlapping(19, 20)) == [("1",)]


def test_an_index_from_which_everything_was_taken_is_empty() -> None:
    index = _filled({1: (10, 20), 2: (10, 20)})
    index.discard(10, 20, ("1",))
    assert index
    index.discard(10, 20, ("2",))
    assert not index


def test_few_of_many_are_looked_at_long_ones_among_them() -> None:
    """Ten thousand meetings back to back, a block of days over them: counted, not timed."""
    meetings = {n: (n * 30, n * 30 + 30) for n in range(10_000)}
    index = _filled({**meetings, 10_000: (0, 200_000)})

    class Counted(list[tuple[int, int, tuple[str]]]):
        def __getitem__(self, place: Any) -> Any:
            found = super().__getitem__(place)
            looked_at.append(len(found) if isinstance(place, slice) else 1)
            return found

    looked_at: list[int] = []
    index._by_length = {length: Counted(each) for length, each in index._by_length.items()}
    assert sorted(index.overlapping(60_010, 60_020)) == [("10000",), ("2000",)]
    assert 0 < sum(looked_at) < 50  # the search for where they begin included
