"""Whether the event loop still turns: a thread asks it, and ends the process if it does not answer.

Handlers run in the loop. One that never returns would hold its partitions for ever, because the
membership has a thread of its own and goes on telling the group that all is well.
"""

import asyncio
import faulthandler
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from calstream_core.errors import UnavailableError

_QUESTIONS = 10
_log = structlog.get_logger()


class Heartbeat:
    """Watches the running loop for the time of a `with` block.

    It counts unanswered questions, not seconds: a process that was stopped and goes on is not ended
    for the time in between.

    Args:
        limit_seconds: for so long may the loop be silent.
        end: ends the process with a status.
    """

    def __init__(self, limit_seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._pause_seconds = limit_seconds / _QUESTIONS
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._answered = threading.Event()
        self._over = threading.Event()
        self._unanswered = 0
        self._thread = threading.Thread(target=self._ask, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._over.set()

    @property
    def silent_seconds(self) -> float:
        """For how long the loop has not answered, roughly."""
        return self._unanswered * self._pause_seconds

    def _ask(self) -> None:
        self._loop.call_soon_threadsafe(self._answered.set)
        while not self._over.wait(self._pause_seconds):
            if self._answered.is_set():
                self._answered.clear()
                self._unanswered = 0
                try:
                    self._loop.call_soon_threadsafe(self._answered.set)
                except RuntimeError:  # the loop is closed, and with it the app's life
                    return
                continue
            self._unanswered += 1
            if self._unanswered >= _QUESTIONS:
                _log.critical("ended: the event loop hangs", seconds=self.silent_seconds)
                faulthandler.dump_traceback(all_threads=True)
                self._end(UnavailableError.exit_status)
                return
