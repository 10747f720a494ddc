"""One child process: started under guard, its output read line by line, its group cleaned up."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_GUARD = Path(__file__).with_name("guard.py")
_TAIL_LINES = 15
_OUTPUT_END_SECONDS = 2


@dataclass(frozen=True)
class ChildSpec:
    """How to run one process of the stack, and how to know that it is ready.

    Attributes:
        name: short, unique; the prefix of its output.
        argv: the command.
        environment: variables on top of the supervisor's own.
        health: what to ask whether it is well: `http://HOST:PORT/healthz`, which answers 200, or
            `kafka://HOST:PORT`. Empty: there is nothing to ask.
        ready: returns once the process is ready, and may be cancelled; by default it asks `health`.
        address: HOST:PORT where it is reached, for the state file.
        directory: where it runs; by default where the supervisor does.
        keep_open: file descriptors that it inherits.
        start_seconds: how long it may take to get ready.
        stop_seconds: how long it may take to end after SIGTERM; then its group gets SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    health: str = ""
    ready: Callable[[], Awaitable[None]] | None = None
    address: str = ""
    directory: Path | None = None
    keep_open: tuple[int, ...] = ()
    start_seconds: float = 60
    stop_seconds: float = 15


class Lifeline:
    """A pipe that nobody writes to; the children of its holder die when it is closed.

    It is closed by `close`, or by the kernel when this process ends in any way.
    """

    def __init__(self) -> None:
        self.reading_end, self._writing_end = os.pipe()

    def close(self) -> None:
        """Kills all that still hangs on the line. May be called again."""
        for end in (self.reading_end, self._writing_end):
            with contextlib.suppress(OSError):  # closed before
                os.close(end)
        self.reading_end = self._writing_end = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Child:
    """A running process, the leader of a session and process group of its own.

    It is started by the constructor. When it ends, whatever it left in its group is killed.

    Args:
        spec: how to run it.
        lifeline: it dies with this.
        on_line: gets each line of its output, without the line end, on a thread of its own.
        environment: variables between this process's own and those of the spec.

    Attributes:
        exited: its exit status, negative for a signal; done when it has ended, its output has been
            read, and SIGKILL has been sent to whatever is left of its group.
    """

    def __init__(
        self,
        spec: ChildSpec,
        lifeline: Lifeline,
        on_line: Callable[[str], None] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self.exited: Future[int] = Future()
        self.exited.set_running_or_notify_cancel()
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - our own command lines
            [sys.executable, "-I", "-S", str(_GUARD), str(lifeline.reading_end), *spec.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=spec.directory,
            env={**os.environ, **(environment or {}), **spec.environment},
            pass_fds=(lifeline.reading_end, *spec.keep_open),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name=f"{spec.name}-output", daemon=True
        )
        waiter = threading.Thread(
            target=self._wait, args=(reader,), name=f"{spec.name}-exit", daemon=True
        )
        reader.start()
        waiter.start()

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self._process.pid

    @property
    def tail(self) -> list[str]:
        """The last lines of its output."""
        return list(self._tail)

    def terminate(self) -> None:
        """Asks it to end. Returns at once."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends its whole group. Returns at once."""
        with contextlib.suppress(ProcessLookupError):  # gone already
            os.killpg(self.pid, signal.SIGKILL)

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self._tail.append(text)
                if self._on_line is not None:
                    self._on_line(text)

    def _wait(self, reader: threading.Thread) -> None:
        status = self._process.wait()
        # the guard's watcher is in the group, so its number can't be another's by now
        self.kill()
        # a descendant that left the group may hold the output open for ever
        reader.join(_OUTPUT_END_SECONDS)
        self.exited.set_result(status)
