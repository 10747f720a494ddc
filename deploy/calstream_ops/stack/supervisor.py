"""Starts the processes of the stack one after the other and stops them in reverse.

Whatever happens, none is left: a process that dies takes the others with it, and when the
supervisor itself is killed, the guard of each child ends it.
"""

import asyncio
import logging
import logging.handlers
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from calstream_core.errors import Code, UnavailableError
from calstream_core.process_identity import ProcessIdentity, identify
from calstream_core.stack_state import ProcessRecord, StackState, remove_stack, write_stack
from calstream_ops.stack.child import Child, ChildSpec, Lifeline
from calstream_ops.stack.console import Console
from calstream_ops.stack.health import until_healthy

_LOG_BYTES = 10_000_000
_LOG_BACKUPS = 2


@dataclass(frozen=True)
class Step:
    """Something to do once between two processes, for example to create topics.

    Attributes:
        name: for the progress lines.
        action: does it; an error stops the stack.
        deadline_seconds: how long it may take.
    """

    name: str
    action: Callable[[], Awaitable[None]]
    deadline_seconds: float = 60


class Supervisor:
    """Runs the processes of one stack; to be used from one event loop.

    Args:
        state_directory: gets `stack.json`, and the output of each process in `logs/`.
        console: where progress goes.
        echo: whether the processes' output is shown there as well.
        environment: variables for every process; its own come on top.
    """

    def __init__(
        self,
        state_directory: Path,
        console: Console,
        *,
        echo: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._state_directory = state_directory
        self._console = console
        self._echo = echo
        self._environment = dict(environment or {})
        self._lifeline = Lifeline()
        self._children: list[Child] = []
        self._logs: list[logging.Handler] = []
        me = identify(os.getpid())
        assert me is not None
        self._state = StackState(supervisor=me, started_at=datetime.now(UTC))

    @property
    def state(self) -> StackState:
        """What is in the state file now."""
        return self._state

    async def start(self, units: Sequence[ChildSpec | Step]) -> None:
        """Starts them in order, each when the one before is ready.

        Raises:
            UnavailableError: one ended or was not ready in time. What was started still runs:
                call `stop`.
        """
        self._console.announce([unit.name for unit in units if isinstance(unit, ChildSpec)])
        for unit in units:
            began = time.monotonic()
            if isinstance(unit, Step):
                await self._within(unit.action(), unit.deadline_seconds, f"{unit.name} did not end")
                done = f"{unit.name}: done"
            else:
                await self._start_child(unit)
                done = f"{unit.name} is ready" + (f" at {unit.address}" if unit.address else "")
            self._console.progress(f"{done} ({time.monotonic() - began:.1f} s)")
        self._record(self._state.model_copy(update={"ready": True}))

    async def watch(self) -> NoReturn:
        """Waits for as long as all processes live; may be cancelled.

        Raises:
            UnavailableError: one ended by itself; its last lines are in the message.
        """
        exits = {asyncio.wrap_future(child.exited): child for child in self._children}
        done, _ = await asyncio.wait(exits, return_when=asyncio.FIRST_COMPLETED)
        raise self._death(exits[done.pop()])

    async def stop(self) -> None:
        """Stops what runs, the last started first, and forgets the stack. May be called again."""
        for child in reversed(self._children):
            if not child.exited.done():
                self._console.progress(f"stopping {child.spec.name}")
                child.terminate()
                try:
                    await asyncio.wait_for(
                        asyncio.shield(asyncio.wrap_future(child.exited)), child.spec.stop_seconds
                    )
                except TimeoutError:
                    self._console.progress(f"{child.spec.name} does not end; killing it")
                    child.kill()
                    await asyncio.wrap_future(child.exited)
        self._lifeline.close()
        for log in self._logs:
            log.close()
        self._children, self._logs = [], []
        remove_stack(self._state_directory)

    def kill(self) -> None:
        """Ends every process at once; `stop` then only clears up. Safe in a signal handler."""
        for child in self._children:
            child.kill()

    async def _start_child(self, spec: ChildSpec) -> None:
        self._console.progress(f"starting {spec.name}")
        log_path = self._state_directory / "logs" / f"{spec.name}.log"
        child = self._spawn(spec, log_path)
        record = ProcessRecord(
            name=spec.name,
            # it may be dead already; then nothing must match it
            identity=identify(child.pid) or ProcessIdentity(pid=child.pid, birth=""),
            started_at=datetime.now(UTC),
            address=spec.address,
            health=spec.health,
            log_path=log_path,
        )
        before = self._state.processes
        self._record(self._state.model_copy(update={"processes": (*before, record)}))
        ready = spec.ready or (partial(until_healthy, spec.health) if spec.health else None)
        if ready is not None:
            await self._within(ready(), spec.start_seconds, f"{spec.name} is not ready")
        record = record.model_copy(update={"ready": True})
        self._record(self._state.model_copy(update={"processes": (*before, record)}))

    def _spawn(self, spec: ChildSpec, log_path: Path) -> Child:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log = logging.handlers.RotatingFileHandler(
            log_path, maxBytes=_LOG_BYTES, backupCount=_LOG_BACKUPS, encoding="utf-8"
        )
        self._logs.append(log)

        def keep(line: str) -> None:
            log.emit(logging.makeLogRecord({"msg": line}))
            if self._echo:
                self._console.line(spec.name, line)

        child = Child(spec, self._lifeline, keep, environment=self._environment)
        self._children.append(child)
        return child

    async def _within(self, work: Awaitable[None], seconds: float, late: str) -> None:
        """Waits for the work, for the end of any process, or for the deadline."""
        task = asyncio.ensure_future(work)
        exits = {asyncio.wrap_future(child.exited): child for child in self._children}
        try:
            waited_for: set[asyncio.Future[Any]] = {task, *exits}
            done, _ = await asyncio.wait(
                waited_for, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for future, child in exits.items():
                if future in done:
                    raise self._death(child)
            if task not in done:
                raise UnavailableError(Code.PROCESS_FAILED, f"{late} after {seconds:.0f} s.")
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _death(self, child: Child) -> UnavailableError:
        status = child.exited.result()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        lines = "".join(f"\n  {line}" for line in child.tail)
        return UnavailableError(
            Code.PROCESS_FAILED,
            f"{child.spec.name} {how} by itself." + (f" It last said:{lines}" if lines else ""),
        )

    def _record(self, state: StackState) -> None:
        self._state = state
        write_stack(self._state_directory, state)
