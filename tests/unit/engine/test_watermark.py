"""The watermark never passes work in flight and never stays behind what is done.

A model that keeps every record's offset says what is right; holes are small enough there to count.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from calstream_engine.watermark import Span, Watermark

Handed = tuple[Span, frozenset[int]]


class WatermarkMachine(RuleBasedStateMachine):
    """Hands out records, does them in any order, and looks at every place after each step."""

    spans: Bundle[Handed] = Bundle("spans")

    def __init__(self) -> None:
        super().__init__()
        self.start = 7
        self.watermark = Watermark(self.start)
        self.read_to = self.start
        self.records: set[int] = set()
        self.done: set[int] = set()

    @rule(target=spans, hole=st.integers(0, 5), count=st.integers(1, 4))
    def hand_out(self, hole: int, count: int) -> Handed:
        first = self.read_to + hole
        offsets = frozenset(range(first, first + count))
        self.read_to = first + count
        self.records |= offsets
        return self.watermark.begin(self.read_to), offsets

    @rule(handed=spans)
    def do(self, handed: Handed) -> None:
        """Also what is done already: a repeat."""
        span, offsets = handed
        self.watermark.done(span)
        self.done |= offsets

    @rule(ahead=st.integers(-10, 10))
    def read_without_a_record(self, ahead: int) -> None:
        self.watermark.reach(self.read_to + ahead)
        self.read_to = max(self.read_to, self.read_to + ahead)

    @rule(target=spans, behind=st.integers(0, 3))
    def hand_out_again_what_was_read(self, behind: int) -> Any:
        with pytest.raises(ValueError, match="already"):
            self.watermark.begin(self.read_to - behind)
        return multiple()

    @invariant()
    def nothing_in_flight_is_passed(self) -> None:
        in_flight = self.records - self.done
        assert all(self.watermark.position <= offset for offset in in_flight)

    @invariant()
    def everything_done_in_a_row_is_passed(self) -> None:
        first_in_flight = min(self.records - self.done, default=self.read_to)
        left_behind = {o for o in self.records if self.watermark.position <= o < first_in_flight}
        assert left_behind == set()

    @invariant()
    def with_nothing_in_flight_it_is_where_reading_is(self) -> None:
        assert self.watermark.read_to == self.read_to
        if self.records == self.done:
            assert self.watermark.position == self.read_to
            assert self.watermark.spans_in_flight == 0


TestWatermark = WatermarkMachine.TestCase


def _lines_run(act: Callable[[], None]) -> int:
    """How many lines of Python an act takes: a cost that no load of the machine changes."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("kept", [1, 50])
def test_a_hole_costs_the_same_whatever_its_size(kept: int) -> None:
    def cost(hole: int) -> tuple[int, int]:
        watermark = Watermark(0)
        most = 0

        def work() -> None:
            nonlocal most
            for _ in range(20):
                spans = []
                for _ in range(kept):
                    spans.append(watermark.begin(watermark.read_to + hole + 1))
                    watermark.reach(watermark.read_to + hole)
                most = max(most, watermark.spans_in_flight)
                for span in reversed(spans):
                    watermark.done(span)

        lines = _lines_run(work)
        assert watermark.position == watermark.read_to == 20 * kept * (2 * hole + 1)
        return lines, most

    assert cost(1) == cost(10**12)


def test_a_thousand_spans_done_backwards_cost_a_thousand_steps() -> None:
    def cost(count: int) -> int:
        watermark = Watermark(0)
        spans = [watermark.begin(offset + 1) for offset in range(count)]

        def work() -> None:
            for span in reversed(spans):
                watermark.done(span)

        return _lines_run(work)

    assert cost(1000) <= 1.1 * 10 * cost(100)
