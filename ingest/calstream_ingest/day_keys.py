"""Has the key of the day ready before the day begins, so that no webhook waits for the database.

And destroys the keys of days that no topic holds any more.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import CalstreamError
from calstream_core.sealing import KeyStore, day_key
from calstream_schemas.topics import WEBHOOK_DAYS

_DAY_MICROSECONDS = 24 * 60 * 60 * MICROSECONDS_PER_SECOND
_EVERY_SECONDS = 600

_log = structlog.get_logger()


class DayKeys:
    """The keys under which webhooks are sealed as they come.

    Args:
        keys: the key store.
        workspaces: those that webhooks are accepted for.
        clock: the time in microseconds.
    """

    def __init__(
        self,
        keys: KeyStore,
        workspaces: Iterable[str],
        clock: Callable[[], int] = now_microseconds,
    ) -> None:
        self._keys = keys
        self._workspaces = sorted(set(workspaces))
        self._clock = clock

    def prepare(self) -> None:
        """Makes the keys of today and tomorrow, and destroys those that are too old. Blocks.

        Raises:
            ConfigError: a key-encryption key is missing.
            UnavailableError: the database does not answer.
        """
        now = self._clock()
        oldest = day_key(now - WEBHOOK_DAYS * _DAY_MICROSECONDS)
        for workspace in self._workspaces:
            self._keys.sealer(workspace).make([day_key(now), day_key(now + _DAY_MICROSECONDS)])
            count = self._keys.destroy_days_before(workspace, oldest)
            if count:
                _log.info("keys of old days destroyed", workspace=workspace, count=count)

    async def keep(self) -> None:
        """Prepares again and again until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await asyncio.to_thread(self.prepare)
            except CalstreamError as error:  # there are hours left to try again
                _log.warning("keys of the next day are not ready", error=str(error))
