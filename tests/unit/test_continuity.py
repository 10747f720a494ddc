"""A skipped record stops the stage; one that is read again does not."""

import pytest

from calstream_core.errors import InvariantError
from calstream_processors.host.continuity import Continuity


def test_records_in_a_row_and_records_read_again_are_fine() -> None:
    continuity = Continuity()
    for partition, offset in [(0, 5), (0, 6), (1, 90), (0, 7), (0, 5), (0, 6), (1, 91)]:
        continuity.check(partition, offset)


def test_a_skipped_record_is_named() -> None:
    continuity = Continuity()
    continuity.check(0, 5)
    with pytest.raises(InvariantError, match="from 6 to 7 of partition 0"):
        continuity.check(0, 8)


def test_after_an_assignment_reading_may_begin_anywhere() -> None:
    continuity = Continuity()
    continuity.check(0, 5)
    continuity.forget()
    continuity.check(0, 99)
