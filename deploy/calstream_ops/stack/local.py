"""The local stack: the embedded broker, if no other is set, and the processes of the product."""

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import Settings
from calstream_core.stack_state import StackState
from calstream_ops.stack.broker import EmbeddedBroker
from calstream_ops.stack.child import ChildSpec
from calstream_ops.stack.console import Console
from calstream_ops.stack.jars import install_jars, installed_jars
from calstream_ops.stack.supervisor import Step, Supervisor

Plan = Callable[[str], Sequence[ChildSpec | Step]]
"""Gets the broker's address; gives what is to run on top of it, in order."""

_BOOTSTRAP_VARIABLE = "CALSTREAM_KAFKA__BOOTSTRAP_SERVERS"


class LocalStack:
    """One stack in one state directory. A context manager: claimed on entry, given up on exit.

    Entering blocks: it looks for Java, downloads Kafka's jars if they are not there, and formats
    the broker's storage the first time. Every process gets the broker's address in its environment.

    Args:
        settings: where the state is, and which broker to use.
        plan: what runs on top of the broker.
        console: where progress goes; by default standard error.
        echo: whether the processes' output is shown there as well as kept in `logs/`.

    Raises:
        ConfigError: on entry: no Java.
        UnavailableError: on entry: a stack runs in this directory already, or the broker's storage
            can't be formatted, or its jars can't be downloaded.
    """

    def __init__(
        self, settings: Settings, plan: Plan, *, console: Console | None = None, echo: bool = True
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._console = console or Console()
        self._echo = echo
        self._directory = settings.state.directory
        self._claim: int | None = None
        self._broker: EmbeddedBroker | None = None
        self._units: list[ChildSpec | Step] = []
        self.bootstrap_servers = settings.kafka.bootstrap_servers

    def __enter__(self) -> Self:
        self._claim = _claim(self._directory)
        try:
            if not self.bootstrap_servers:
                self._units.append(self._prepare_broker())
            self._units += self._plan(self.bootstrap_servers)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StackState]:
        """Starts everything, and stops everything at the end of the block.

        Raises:
            UnavailableError: a process was not ready in time or ended by itself. The block is
                cancelled when that happens.
        """
        supervisor = self._supervisor()
        block = asyncio.current_task()
        assert block is not None
        try:
            await supervisor.start(self._units)
            watcher = asyncio.create_task(supervisor.watch())
            watcher.add_done_callback(lambda task: None if task.cancelled() else block.cancel())
            try:
                yield supervisor.state
            except asyncio.CancelledError:
                if watcher.done() and block.uncancel() == 0:
                    watcher.result()
                raise
            finally:
                watcher.cancel()
        finally:
            await supervisor.stop()

    async def serve(self) -> None:
        """Starts everything and runs until SIGINT, SIGTERM or SIGHUP; then stops everything.

        A second signal kills what has not ended yet.

        Raises:
            UnavailableError: a process was not ready in time or ended by itself. All are stopped.
        """
        supervisor = self._supervisor()
        asked = asyncio.Event()

        def on_signal() -> None:
            if asked.is_set():
                self._console.progress("killing what still runs")
                supervisor.kill()
            asked.set()

        _on_stop_signals(on_signal)
        work = asyncio.create_task(self._start_and_watch(supervisor))
        stopper = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait({work, stopper}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, stopper):
                task.cancel()
            await asyncio.gather(work, stopper, return_exceptions=True)
            await supervisor.stop()

    async def _start_and_watch(self, supervisor: Supervisor) -> None:
        await supervisor.start(self._units)
        self._console.progress("everything runs")
        await supervisor.watch()

    def _supervisor(self) -> Supervisor:
        return Supervisor(
            self._directory,
            self._console,
            echo=self._echo,
            environment={_BOOTSTRAP_VARIABLE: self.bootstrap_servers},
        )

    def _prepare_broker(self) -> ChildSpec:
        try:
            installed_jars()
        except ConfigError:
            # installed from a wheel, where no set-up of ours has run
            install_jars(self._console.progress)
        self._broker = EmbeddedBroker(
            self._directory / "broker", heap_megabytes=self._settings.kafka.heap_megabytes
        )
        spec = self._broker.prepare()
        self.bootstrap_servers = self._broker.address
        return spec

    def _release(self) -> None:
        if self._broker is not None:
            self._broker.release()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def already_running(directory: Path) -> UnavailableError:
    """What to raise where a second stack is asked for."""
    return UnavailableError(
        Code.STACK_RUNNING,
        f"Calstream runs already with its state in {directory}.",
        hint="`calstream status` shows it, `calstream down` stops it.",
    )


def _claim(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    claim = os.open(directory / "stack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(claim)
        raise already_running(directory) from error
    return claim


def _on_stop_signals(action: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # one that is ignored was meant to be, as by nohup
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, action)
