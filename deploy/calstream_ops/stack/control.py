"""What the command line does with the local stack: up, down, status."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calstream_core.errors import Code, UnavailableError
from calstream_core.process_identity import ProcessIdentity
from calstream_core.settings import Settings
from calstream_core.stack_state import ProcessRecord, StackState, read_stack, remove_stack
from calstream_ops.stack.console import Console
from calstream_ops.stack.health import is_healthy
from calstream_ops.stack.local import LocalStack, Plan, already_running

_LOOK_SECONDS = 0.05
_KILL_SECONDS = 10
_TAIL_LINES = 15


@dataclass(frozen=True)
class ProcessStatus:
    """How one process does.

    Attributes:
        name: what it is called.
        pid: its number.
        address: HOST:PORT where it is reached, or empty.
        alive: whether that very process runs.
        healthy: whether it also answers that it is well; the same as `alive` where there is nothing
            to ask.
        log_path: where its output is kept.
    """

    name: str
    pid: int
    address: str
    alive: bool
    healthy: bool
    log_path: Path | None


def up(
    settings: Settings, plan: Plan, *, console: Console | None = None, echo: bool = True
) -> None:
    """Runs the stack until it is told to stop by a signal or by `down`.

    Args:
        settings: where the state is, and which broker to use.
        plan: what runs on top of the broker.
        console: where progress goes; by default standard error.
        echo: whether the processes' output is shown there too.

    Raises:
        ConfigError: there is no Java for the embedded broker.
        UnavailableError: a stack runs already, or a process failed; none is left.
    """
    with LocalStack(settings, plan, console=console, echo=echo) as stack:
        asyncio.run(stack.serve())


def up_detached(
    argv: Sequence[str],
    state_directory: Path,
    *,
    console: Console | None = None,
    deadline_seconds: float = 300,
) -> StackState:
    """Starts the stack in the background and returns once all of it is ready.

    Args:
        argv: a command whose own process calls `up` on the same state directory, best without
            `echo`. Its output goes to `logs/stack.log` there.
        state_directory: where its state is.
        console: where progress goes; by default standard error.
        deadline_seconds: how long it may take.

    Raises:
        UnavailableError: a stack runs already; or this one ended or was not ready in time, and
            nothing of it runs.
    """
    before = read_stack(state_directory)
    if before is not None and before.supervisor.is_alive():
        raise already_running(state_directory)
    talk = console or Console()
    log_path = state_directory / "logs" / "stack.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        daemon = subprocess.Popen(  # noqa: S603 - our own command line
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        state = _wait_until_ready(daemon, state_directory, log_path, talk, deadline_seconds)
    except BaseException:
        daemon.terminate()
        daemon.wait()
        raise
    daemon.returncode = 0  # it goes on without us; Popen would complain of a child that still runs
    return state


def down(
    state_directory: Path, *, console: Console | None = None, deadline_seconds: float = 60
) -> bool:
    """Stops the stack and returns when it is gone: False if none ran.

    The supervisor stops the processes in order; after the deadline they are killed.

    Raises:
        UnavailableError: a process does not even end by force.
    """
    state = read_stack(state_directory)
    if state is None:
        return False
    everyone = [state.supervisor, *(each.identity for each in reversed(state.processes))]
    alive = [each for each in everyone if each.is_alive()]
    if alive:
        (console or Console()).progress("stopping")
        # the supervisor stops the others in order; they only need telling where it is gone
        _send(signal.SIGTERM, alive[:1] if alive[0] == state.supervisor else alive)
        if not _are_gone(everyone, deadline_seconds):
            _send(signal.SIGKILL, everyone)
            if not _are_gone(everyone, _KILL_SECONDS):
                left = ", ".join(str(each.pid) for each in everyone if each.is_alive())
                raise UnavailableError(Code.PROCESS_FAILED, f"Still running: {left}.")
    remove_stack(state_directory)
    return bool(alive)


def status(state_directory: Path) -> list[ProcessStatus]:
    """How each process of the stack does; empty where there is no stack. Asks them all at once."""
    state = read_stack(state_directory)
    if state is None:
        return []
    return asyncio.run(_status(state.processes))


async def _status(records: Sequence[ProcessRecord]) -> list[ProcessStatus]:
    return list(await asyncio.gather(*(_status_of(record) for record in records)))


async def _status_of(record: ProcessRecord) -> ProcessStatus:
    alive = record.identity.is_alive()
    return ProcessStatus(
        name=record.name,
        pid=record.identity.pid,
        address=record.address,
        alive=alive,
        healthy=alive and (not record.health or await is_healthy(record.health)),
        log_path=record.log_path,
    )


def _wait_until_ready(
    daemon: subprocess.Popen[bytes],
    state_directory: Path,
    log_path: Path,
    console: Console,
    deadline_seconds: float,
) -> StackState:
    give_up_at = time.monotonic() + deadline_seconds
    told: set[str] = set()
    while time.monotonic() < give_up_at:
        if _ends_within(daemon, _LOOK_SECONDS):
            with log_path.open(encoding="utf-8", errors="replace") as log:
                lines = "".join(f"\n  {line.rstrip()}" for line in deque(log, _TAIL_LINES))
            raise UnavailableError(
                Code.PROCESS_FAILED, f"The stack did not start. It last said:{lines}"
            )
        state = read_stack(state_directory)
        if state is None or state.supervisor.pid != daemon.pid:
            continue
        for process in state.processes:
            if process.ready and process.name not in told:
                told.add(process.name)
                where = f" at {process.address}" if process.address else ""
                console.progress(f"{process.name} is ready{where}")
        if state.ready:
            return state
    raise UnavailableError(
        Code.PROCESS_FAILED,
        f"The stack is not ready after {deadline_seconds:.0f} s.",
        hint=f"Its output is in {log_path}.",
    )


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _send(number: signal.Signals, processes: Sequence[ProcessIdentity]) -> None:
    for each in processes:
        if each.is_alive():
            with contextlib.suppress(ProcessLookupError):  # it ended this very moment
                os.kill(each.pid, number)


def _are_gone(processes: Sequence[ProcessIdentity], deadline_seconds: float) -> bool:
    give_up_at = time.monotonic() + deadline_seconds
    while any(each.is_alive() for each in processes):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(_LOOK_SECONDS)  # they are no children of ours; the system only tells on asking
    return True
