"""Up, down and status, as the command line calls them, in a process of their own."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calstream_core.errors import Code, UnavailableError
from calstream_core.settings import KafkaSettings, Settings, StateSettings
from calstream_core.stack_state import read_stack
from calstream_ops.stack import ChildSpec, Console, LocalStack, down, status, up, up_detached

SLEEP = (sys.executable, "-I", "-S", "-c", "import signal; signal.pause()")
DEAF = ("sh", "-c", "trap '' TERM; echo deaf; while true; do sleep 100 & wait; done")


def settings(directory: Path) -> Settings:
    return Settings(
        state=StateSettings(directory=directory),
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),  # so that none is started
    )


def command(directory: Path, *commands: tuple[str, ...]) -> list[str]:
    """A command that calls `up` with processes called p0, p1 and so on."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from calstream_core.errors import CalstreamError
        from calstream_core.settings import KafkaSettings, Settings, StateSettings
        from calstream_ops.stack import ChildSpec, up
        settings = Settings(
            state=StateSettings(directory=Path({str(directory)!r})),
            kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        )
        specs = [ChildSpec(f"p{{n}}", argv) for n, argv in enumerate({commands!r})]
        try:
            up(settings, lambda _address: specs)
        except CalstreamError as error:
            sys.stderr.write(str(error) + "\\n")
            sys.exit(error.exit_status)
    """)
    return [sys.executable, "-c", script]


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts `up` and returns when everything runs; nothing of it is left after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*commands: tuple[str, ...], until: str = "everything runs") -> subprocess.Popen[str]:
        process = subprocess.Popen(command(tmp_path, *commands), stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr is not None
        seen = ""
        while until not in seen:
            line = process.stderr.readline()
            assert line, f"it ended early: {seen}"
            seen += line
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_stops_everything_on_a_signal_and_ends_well(
    run: Run, tmp_path: Path, number: signal.Signals
) -> None:
    process = run(SLEEP, SLEEP)
    state = read_stack(tmp_path)
    assert state is not None
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.findall(r"stopping (\w+)", said) == ["p1", "p0"]
    assert not any(each.identity.is_alive() for each in state.processes)
    assert read_stack(tmp_path) is None


def test_a_second_signal_kills_what_does_not_end(run: Run) -> None:
    process = run(DEAF, until="p0        │ deaf")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping p0" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert "killing what still runs" in said
    assert process.returncode == 0


def test_up_fails_when_a_process_ends_by_itself(run: Run, tmp_path: Path) -> None:
    process = run(SLEEP, ("sh", "-c", "sleep 0.3; echo broken pipe dream; exit 5"))
    _, said = process.communicate(timeout=20)
    assert process.returncode == UnavailableError.exit_status
    assert "p1 ended with status 5 by itself. It last said:\n  broken pipe dream" in said
    assert read_stack(tmp_path) is None


def test_a_second_up_is_refused_and_the_first_goes_on(run: Run, tmp_path: Path) -> None:
    run(SLEEP)
    with pytest.raises(UnavailableError) as raised:
        up(settings(tmp_path), lambda _address: [])
    assert raised.value.code is Code.STACK_RUNNING
    assert all(each.alive for each in status(tmp_path))


def test_down_stops_the_stack_and_returns_when_it_is_gone(run: Run, tmp_path: Path) -> None:
    process = run(SLEEP, SLEEP)
    state = read_stack(tmp_path)
    assert state is not None
    assert down(tmp_path, console=Console())
    assert process.wait(5) == 0
    assert not any(each.identity.is_alive() for each in state.processes)
    assert not down(tmp_path), "the second time there is nothing to stop"


def test_down_uses_force_after_its_deadline(run: Run, tmp_path: Path) -> None:
    process = run(DEAF, until="p0        │ deaf")
    assert down(tmp_path, deadline_seconds=0.3)
    assert process.wait(5) == -signal.SIGKILL
    assert status(tmp_path) == []


def test_after_the_supervisor_was_killed_down_only_clears_up_and_up_works_again(
    run: Run, tmp_path: Path
) -> None:
    first = run(SLEEP)
    first.kill()
    first.wait()
    down(tmp_path)
    assert read_stack(tmp_path) is None
    run(SLEEP)


def test_status_tells_the_living_from_the_dead_and_the_well_from_the_ill(
    run: Run, tmp_path: Path
) -> None:
    run(SLEEP)
    state = read_stack(tmp_path)
    assert state is not None
    [well] = status(tmp_path)
    assert (well.name, well.alive, well.healthy) == ("p0", True, True)
    assert well.pid == state.processes[0].identity.pid
    assert well.log_path == tmp_path / "logs" / "p0.log"
    ill = state.processes[0].model_copy(update={"health": "http://127.0.0.1:1/healthz"})
    (tmp_path / "stack.json").write_text(
        state.model_copy(update={"processes": (ill,)}).model_dump_json()
    )
    [sick] = status(tmp_path)
    assert (sick.alive, sick.healthy) == (True, False)


def test_without_a_stack_there_is_nothing_to_tell_and_nothing_to_stop(tmp_path: Path) -> None:
    assert status(tmp_path) == []
    assert not down(tmp_path)


def test_up_detached_returns_when_all_is_ready_and_outlives_its_caller(tmp_path: Path) -> None:
    state = up_detached(command(tmp_path, SLEEP, SLEEP), tmp_path)
    try:
        assert state.ready
        assert state.supervisor.is_alive()
        assert os.getsid(state.supervisor.pid) == state.supervisor.pid
        assert [each.healthy for each in status(tmp_path)] == [True, True]
        log, give_up_at = tmp_path / "logs" / "stack.log", time.monotonic() + 30
        while "everything runs" not in log.read_text("utf-8"):  # said after it is published
            assert time.monotonic() < give_up_at
    finally:
        os.kill(state.supervisor.pid, signal.SIGTERM)
        os.waitpid(state.supervisor.pid, 0)
    assert read_stack(tmp_path) is None


def test_up_detached_tells_why_the_stack_did_not_start(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no luck')"]
    with pytest.raises(UnavailableError, match=r"did not start\. It last said:\n  no luck"):
        up_detached(failing, tmp_path)


def test_up_detached_leaves_a_stack_that_runs_alone(run: Run, tmp_path: Path) -> None:
    run(SLEEP)
    with pytest.raises(UnavailableError) as raised:
        up_detached(command(tmp_path, SLEEP), tmp_path)
    assert raised.value.code is Code.STACK_RUNNING
    assert all(each.alive for each in status(tmp_path))


async def test_a_block_that_uses_the_stack_is_cancelled_when_a_process_dies(tmp_path: Path) -> None:
    async def use(stack: LocalStack) -> None:
        async with stack.running() as state:
            os.kill(state.processes[0].identity.pid, signal.SIGKILL)
            await asyncio.Event().wait()

    plan = [ChildSpec("p0", SLEEP)]
    with LocalStack(settings(tmp_path), lambda _address: plan) as stack:
        with pytest.raises(UnavailableError, match="p0 was killed by signal 9"):
            await use(stack)
        assert read_stack(tmp_path) is None


async def test_a_block_that_ends_leaves_nothing_running(tmp_path: Path) -> None:
    with LocalStack(settings(tmp_path), lambda _address: [ChildSpec("p0", SLEEP)]) as stack:
        async with stack.running() as state:
            assert state.processes[0].identity.is_alive()
        assert not state.processes[0].identity.is_alive()
