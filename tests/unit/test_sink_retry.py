"""How long a sink waits before it tries again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_sinks.runner.retry import backoff_seconds


class _Upper(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@given(attempts=st.integers(1, 200), asked=st.none() | st.floats(0, 1000))
def test_waiting_grows_to_a_cap_and_never_undercuts_what_was_asked(
    attempts: int, asked: float | None
) -> None:
    seconds = backoff_seconds(attempts, asked, _Upper())
    assert seconds <= 300 + (asked or 0)
    assert asked is None or seconds >= asked


@pytest.mark.parametrize(("attempts", "expected"), [(1, 1), (2, 2), (5, 16), (60, 300)])
def test_waiting_doubles(attempts: int, expected: float) -> None:
    assert backoff_seconds(attempts, None, _Upper()) == expected
