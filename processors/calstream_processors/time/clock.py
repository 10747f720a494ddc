"""Makes the ticks of the clock: an observation that it is so late, where something is due.

It runs beside the resolver and asks it what is due, so each partition's owner makes its ticks. An
instant is a whole second and a tick's id follows from it: two clocks that tick at once make the
same tick, and the second of two different ones finds nothing to do.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import CalstreamError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.settings import Settings
from calstream_schemas.observations import CLOCK, encode_observation, tick
from calstream_schemas.topics import OBSERVATIONS, full_name

_LOOK_SECONDS = 1.0
_AGAIN_MICROSECONDS = 30 * MICROSECONDS_PER_SECOND
"""A tick that was not handled by then is made again; until then it is on its way."""

_log = structlog.get_logger()

Due = Callable[[int], Iterable[tuple[str, int]]]
"""The workspaces in which something is due at an instant, each with when its last tick was."""


class Clock:
    """Ticks for the workspaces whose partitions are owned by this process.

    Args:
        settings: for the topic.
        bootstrap_servers: the broker.
        due: asks the resolver; called in this clock's own loop.
        now: the wall clock, microseconds.
    """

    def __init__(
        self,
        settings: Settings,
        bootstrap_servers: str,
        due: Due,
        now: Callable[[], int] = now_microseconds,
    ) -> None:
        self._kafka = settings.kafka
        self._bootstrap_servers = bootstrap_servers
        self._due = due
        self._now = now
        self._made: dict[str, int] = {}

    async def run(self) -> None:
        """Ticks until it is cancelled. A broker that does not answer is asked again."""
        producer = AsyncProducer(self._bootstrap_servers, "calstream-clock")
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)  # time passes without anything that wakes us
                try:
                    await self._tick(producer)
                except CalstreamError as error:
                    _log.warning("no tick", error=str(error))
        finally:
            await producer.close()

    async def _tick(self, producer: AsyncProducer) -> None:
        workspaces, instant = self.wanted()
        topic = full_name(OBSERVATIONS, self._kafka)
        ticks = [tick(workspace, instant) for workspace in workspaces]
        await producer.send_all(
            [
                (
                    topic,
                    each.workspace,
                    encode_observation(each, None),
                    partition_of(each.workspace, self._kafka.partitions),
                    [
                        ("ce_id", each.id.encode()),
                        ("ce_type", f"{CLOCK}.{each.fact}".encode()),
                        ("ce_time", str(instant).encode()),
                    ],
                )
                for each in ticks
            ]
        )
        self.sent(workspaces, instant)

    def sent(self, workspaces: Iterable[str], instant: int) -> None:
        """Takes note of ticks that are on their way."""
        self._made |= dict.fromkeys(workspaces, instant)

    def wanted(self) -> tuple[list[str], int]:
        """The workspaces that want a tick now, and its instant in microseconds."""
        now = self._now()
        instant = now // MICROSECONDS_PER_SECOND * MICROSECONDS_PER_SECOND
        wanted = []
        for workspace, ticked_at in self._due(instant):
            made = self._made.get(workspace, 0)
            if made <= ticked_at or made + _AGAIN_MICROSECONDS <= now:
                wanted.append(workspace)
        return wanted, instant
