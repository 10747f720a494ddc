"""Faust's recovery, without the records that it loses when it ends.

When recovery ends, Faust resumes the stream's partitions, seeks them to what was committed, and
then opens the gate to the agents, which empties their queues. What was fetched between the first
and the last of these is thrown away: a record that came in while a process started was not seen
until the next start. Here fetching is stopped first; Faust starts it again at the very end.

A partition of which nothing was committed yet is not sought at all by Faust's seek: it would go on
behind what was thrown away. Here it is sought to its beginning.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery


class GatedRecovery(Recovery):
    """Recovery that fetches nothing between its last seek and its end."""

    # one of the two ends a recovery, depending on whether the app has tables

    _seek_committed: Callable[[], Awaitable[None]] | None = None

    async def _resume_streams(self, generation_id: int = 0) -> None:
        self._close_gate()
        await super()._resume_streams(generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Opens the stream once the tables are restored."""
        self._close_gate()
        await super().on_recovery_completed(generation_id)

    def _close_gate(self) -> None:
        consumer: Any = self.app.consumer
        if self._seek_committed is None:
            # by instance: both recovery and the loop that fetches call it there
            self._seek_committed = consumer.perform_seek
            consumer.perform_seek = self._seek
        consumer.stop_flow()

    async def _seek(self) -> None:
        assert self._seek_committed is not None
        await self._seek_committed()
        consumer: Any = self.app.consumer
        uncommitted = {
            tp
            for tp in consumer.assignment()
            if not self._is_changelog_tp(tp) and not consumer._read_offset[tp]  # noqa: SLF001 - Faust tells it nowhere else
        }
        if uncommitted:
            await consumer.seek_wait(await consumer.earliest_offsets(*uncommitted))


class GatedTableManager(TableManager):
    """A table manager with that recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made at the first call."""
        if self._recovery is None:
            self._recovery = GatedRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
