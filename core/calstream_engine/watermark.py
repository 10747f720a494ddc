"""The contiguous watermark of one partition: how far everything is done.

Records are handed out in spans and may be done in any order. The watermark is the offset of the
first record that is not done; committing it never passes work in flight. Offsets that hold no
record for us (compacted away, markers of transactions, aborted records) cost nothing, however many
they are: a span reaches to the next offset to read, and `reach` tells that the log was read to a
place without a record in between.
"""

from collections import deque


class Span:
    """Records that were handed out together. Made by `Watermark.begin`."""

    __slots__ = ("done", "next_offset")

    def __init__(self, next_offset: int) -> None:
        self.next_offset = next_offset
        self.done = False


class Watermark:
    """Tracks the spans of one partition; every operation is O(1) amortised.

    Args:
        position: where reading begins: everything before it is done.

    Attributes:
        position: the offset to read from after a crash: all before it is done.
    """

    __slots__ = ("_in_flight", "_read_to", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self._read_to = position
        self._in_flight: deque[Span] = deque()

    def begin(self, next_offset: int) -> Span:
        """Takes note of records that are handed out, the last of them before `next_offset`.

        Raises:
            ValueError: spans must be handed out in the order of the log.
        """
        if next_offset <= self._read_to:
            raise ValueError(f"read to {self._read_to} already, and now to {next_offset}")
        self._read_to = next_offset
        span = Span(next_offset)
        self._in_flight.append(span)
        return span

    def done(self, span: Span) -> None:
        """The effects of a span are durable. Telling it twice is the same as once."""
        span.done = True
        in_flight = self._in_flight
        while in_flight and in_flight[0].done:
            self.position = in_flight.popleft().next_offset
        if not in_flight:
            self.position = self._read_to

    def reach(self, offset: int) -> None:
        """The log was read up to this offset, and held nothing more for us."""
        if offset > self._read_to:
            self._read_to = offset
            if not self._in_flight:
                self.position = offset

    @property
    def read_to(self) -> int:
        """The next offset to read."""
        return self._read_to

    @property
    def spans_in_flight(self) -> int:
        """How many spans are behind the watermark, whether done or not."""
        return len(self._in_flight)
