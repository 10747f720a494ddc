"""Notices when Faust skips a record, before anything behind it is acknowledged.

The topics that the stages read have no holes: none is compacted, no producer transactional. So
the record after offset 7 is 8, or an earlier one that is read again. A later one means that a
record was fetched and thrown away; going on would commit past it. The process must stop and read
again from what was committed.
"""

from calstream_core.errors import Code, InvariantError


class Continuity:
    """What each partition's next record must be."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    def check(self, partition: int, offset: int) -> None:
        """Takes note of a record that is about to be handled.

        Raises:
            InvariantError: records before it were skipped.
        """
        expected = self._next.get(partition, offset)
        if offset > expected:
            raise InvariantError(
                Code.INVARIANT_BROKEN,
                f"The records from {expected} to {offset - 1} of partition {partition} were"
                " fetched and not handed over.",
                hint="Start the processors again: they go on from the first of them.",
            )
        self._next[partition] = offset + 1

    def forget(self) -> None:
        """Partitions were assigned anew: reading may begin anywhere."""
        self._next.clear()
