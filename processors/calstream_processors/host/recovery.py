"""Faust's recovery, without the records that it loses when it ends.

When recovery ends, Faust resumes the stream's partitions, seeks them to what was committed, and
then opens the gate to the agents, which empties their queues. What was fetched between the first
and the last of these is thrown away: a record that came in while a process started was not seen
until the next start. Here fetching is stopped first; Faust starts it again at the very end.
"""

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery


class GatedRecovery(Recovery):
    """Recovery that fetches nothing between its last seek and its end."""

    # one of the two ends a recovery, depending on whether the app has tables

    async def _resume_streams(self, generation_id: int = 0) -> None:
        self.app.consumer.stop_flow()
        await super()._resume_streams(generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Opens the stream once the tables are restored."""
        self.app.consumer.stop_flow()
        await super().on_recovery_completed(generation_id)


class GatedTableManager(TableManager):
    """A table manager with that recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made at the first call."""
        if self._recovery is None:
            self._recovery = GatedRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
