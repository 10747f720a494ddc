"""A worker in a process of its own, and what it says of itself.

It writes events, one JSON object a line with the field `event`; other lines are its log.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, Self

from calstream_core.errors import Code, UnavailableError
from calstream_ops.stack.child import Child, ChildSpec, Lifeline

_EVENT = '{"event"'
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.25


class WorkerProcess:
    """Runs from its making to the end of the block it is the context of.

    Args:
        name: for messages.
        command: what to run.
        environment: variables on top of this process's own.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._lifeline = Lifeline()
        spec = ChildSpec(name, tuple(command), environment=environment or {})
        self._child = Child(spec, self._lifeline, self._on_line)

    def check(self) -> None:
        """Looks whether it still runs.

        Raises:
            UnavailableError: it has ended; the message has its last lines.
        """
        if self._child.exited.done():
            raise self.failed("ended by itself")

    def failed(self, what: str) -> UnavailableError:
        """The error that says so, with the last lines of the worker's log."""
        said = "\n".join(f"  {line}" for line in self._child.tail)
        return UnavailableError(Code.PROCESS_FAILED, f"{self._name} {what}.\n{said}".rstrip())

    def wait_for(self, event: str, seconds: float) -> dict[str, Any]:
        """Blocks until it has said something; gives what it said.

        Raises:
            UnavailableError: it ended, or did not say it in time.
        """
        give_up_at = time.monotonic() + seconds
        with self._news:
            while (found := self.last(event)) is None:
                self.check()
                if time.monotonic() > give_up_at:
                    raise self.failed(f"did not say {event!r} in {seconds:.0f} s")
                self._news.wait(_LOOK_SECONDS)
            return found

    def last(self, event: str) -> dict[str, Any] | None:
        """The newest event of a kind, if it has said one."""
        return next((one for one in reversed(self._events) if one["event"] == event), None)

    def first(self, event: str) -> dict[str, Any] | None:
        """The oldest event of a kind, if it has said one."""
        return next((one for one in self._events if one["event"] == event), None)

    def stop(self) -> None:
        """Lets it finish; by force if it takes too long. May be called again."""
        self._child.terminate()
        try:
            self._child.exited.result(_STOP_SECONDS)
        except FutureTimeoutError:
            self._child.kill()
            self._child.exited.result()
        self._lifeline.close()

    def kill(self) -> None:
        """Ends it at once, for one that has nothing more to say."""
        self._child.kill()
        self._child.exited.result()
        self._lifeline.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def _on_line(self, line: str) -> None:
        _, found, rest = line.partition(_EVENT)
        if found:
            with self._news:
                self._events.append(json.loads(found + rest))
                self._news.notify_all()
