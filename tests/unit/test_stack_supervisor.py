"""The supervisor: order, readiness, death, and that nothing is ever left behind."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from calstream_core.errors import Code, UnavailableError
from calstream_core.process_identity import ProcessIdentity, identify
from calstream_core.stack_state import read_stack
from calstream_ops.stack import ChildSpec, Console, Step, Supervisor

SLEEP = "import signal; signal.pause()"
SERVE = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True: signal.pause()
"""
PARENT = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""


def python(name: str, code: str, *arguments: str, **more: object) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-I", "-S", "-c", code, *arguments), **more)  # type: ignore[arg-type]  # each test names its own fields


def wait_until_gone(*processes: ProcessIdentity) -> None:
    give_up_at = time.monotonic() + 10
    while any(each.is_alive() for each in processes):
        assert time.monotonic() < give_up_at, f"left behind: {processes}"
        time.sleep(0.01)  # no children of ours; the system only tells on asking


def identity(pid: int) -> ProcessIdentity:
    found = identify(pid)
    assert found is not None
    return found


def live_pids_in_group(group: int) -> list[int]:
    table = subprocess.check_output(["ps", "-eo", "pid=,pgid=,stat="], text=True)
    rows = [line.split() for line in table.splitlines()]
    return [int(pid) for pid, pgid, stat in rows if int(pgid) == group and stat[0] not in "ZX"]


class Output(io.StringIO):
    """What a person would see; a test can wait for a line."""

    async def until(self, pattern: str) -> re.Match[str]:
        async with asyncio.timeout(10):
            # the writer is a thread that knows nothing of the loop
            while not (found := re.search(pattern, self.getvalue(), re.MULTILINE)):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
async def supervisor(tmp_path: Path, output: Output) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path, Console(output, colour=False), environment={"GREETING": "hello"})
    yield made
    await made.stop()


def pids(supervisor: Supervisor) -> list[ProcessIdentity]:
    return [process.identity for process in supervisor.state.processes]


async def test_processes_start_in_order_and_stop_in_reverse(
    supervisor: Supervisor, output: Output, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/healthz"
    happened: list[str] = []

    async def make_topics() -> None:
        happened.append("topics")

    await supervisor.start(
        [
            python("first", SLEEP),
            Step("topics", make_topics),
            python("web", SERVE, str(unused_tcp_port), health=url, address="127.0.0.1:1"),
        ]
    )
    processes = pids(supervisor)
    assert all(each.is_alive() for each in processes)
    await supervisor.stop()
    assert happened == ["topics"]
    assert not any(each.is_alive() for each in processes)
    assert re.findall(r"^calstream │ (.*?)(?: \(.* s\))?$", output.getvalue(), re.MULTILINE) == [
        "starting first",
        "first is ready",
        "topics: done",
        "starting web",
        "web is ready at 127.0.0.1:1",
        "stopping web",
        "stopping first",
    ]


async def test_the_state_file_tells_what_runs_and_is_gone_afterwards(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    await supervisor.start([python("one", SLEEP, address="127.0.0.1:1", health="")])
    state = read_stack(tmp_path)
    assert state is not None
    assert state.ready
    assert state.supervisor == identity(os.getpid())
    one = state.find("one")
    assert one is not None
    assert (one.address, one.ready, one.identity.is_alive()) == ("127.0.0.1:1", True, True)
    await supervisor.stop()
    assert read_stack(tmp_path) is None


async def test_output_gets_an_aligned_prefix_and_is_kept_in_a_file(
    supervisor: Supervisor, output: Output, tmp_path: Path
) -> None:
    code = "import os; print(os.environ['GREETING'], flush=True); import signal; signal.pause()"
    await supervisor.start([python("a", code), python("much-longer", code)])
    await output.until("^a           │ hello$")
    await output.until("^much-longer │ hello$")
    assert (tmp_path / "logs" / "a.log").read_text("utf-8") == "hello\n"


async def test_a_process_that_ends_by_itself_is_reported_with_its_last_lines(
    supervisor: Supervisor,
) -> None:
    code = "import time; print('out of cheese'); raise SystemExit(3)"
    await supervisor.start([python("stays", SLEEP), python("leaves", code)])
    with pytest.raises(UnavailableError) as raised:
        await supervisor.watch()
    assert raised.value.code is Code.PROCESS_FAILED
    assert "leaves ended with status 3 by itself" in raised.value.message
    assert "out of cheese" in raised.value.message
    assert raised.value.exit_status != 0


async def test_a_death_while_another_gets_ready_ends_the_start(supervisor: Supervisor) -> None:
    never = "http://127.0.0.1:1/healthz"
    with pytest.raises(UnavailableError, match="first was killed by signal 9 by itself"):
        await supervisor.start(
            [
                python("first", "import os; os.kill(os.getpid(), 9)"),
                python("second", SLEEP, health=never),
            ]
        )


async def test_a_process_that_does_not_get_ready_ends_the_start(supervisor: Supervisor) -> None:
    slow = python("slow", SLEEP, health="http://127.0.0.1:1/healthz", start_seconds=0.2)
    with pytest.raises(UnavailableError, match="slow is not ready after"):
        await supervisor.start([slow])


async def test_a_command_that_does_not_exist_is_named(supervisor: Supervisor) -> None:
    await supervisor.start([ChildSpec("typo", ("/no/such/command",))])
    with pytest.raises(UnavailableError, match=r"/no/such/command can't be started: No such file"):
        await supervisor.watch()


async def test_an_error_in_a_step_ends_the_start(supervisor: Supervisor) -> None:
    async def fail() -> None:
        raise UnavailableError(Code.BROKER_UNAVAILABLE, "no topics today")

    with pytest.raises(UnavailableError, match="no topics today"):
        await supervisor.start([python("first", SLEEP), Step("topics", fail)])


async def test_a_process_that_ignores_sigterm_is_killed_after_its_deadline(
    supervisor: Supervisor, output: Output
) -> None:
    await supervisor.start([python("deaf", DEAF, stop_seconds=0.2)])
    await output.until("^deaf      │ deaf$")
    process = pids(supervisor)[0]
    await supervisor.stop()
    assert not process.is_alive()
    assert "deaf does not end; killing it" in output.getvalue()


async def test_what_a_dead_process_leaves_in_its_group_is_killed(
    supervisor: Supervisor, output: Output
) -> None:
    await supervisor.start([python("parent", PARENT)])
    grandchild = identity(int((await output.until(r"parent    │ (\d+)$"))[1]))
    parent = pids(supervisor)[0]
    os.kill(parent.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="parent was killed by signal 9"):
        await supervisor.watch()
    wait_until_gone(grandchild)
    assert live_pids_in_group(parent.pid) == []


async def test_a_process_gets_its_signals_as_if_nobody_guarded_it(
    supervisor: Supervisor, output: Output
) -> None:
    code = "import os,signal; print(os.getpgrp() == os.getpid(), flush=True); signal.pause()"
    shell = ("sh", "-c", "trap '' HUP; kill -PIPE $$; echo not reached")
    await supervisor.start([python("py", code), ChildSpec("sh", shell)])
    await output.until("^py        │ True$")
    with pytest.raises(UnavailableError, match=f"sh was killed by signal {signal.SIGPIPE.value}"):
        await supervisor.watch()


def test_nothing_is_left_when_the_supervisor_is_killed_with_sigkill(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from calstream_ops.stack import ChildSpec, Console, Supervisor

        async def main():
            supervisor = Supervisor(Path({str(tmp_path)!r}), Console())
            await supervisor.start([
                ChildSpec("deaf", ({sys.executable!r}, "-c", {DEAF!r})),
                ChildSpec("parent", ({sys.executable!r}, "-c", {PARENT!r})),
            ])
            await supervisor.watch()

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as owner:
        assert owner.stderr is not None
        seen = ""
        while not ("deaf      │ deaf" in seen and re.search(r"parent    │ \d+", seen)):
            line = owner.stderr.readline().decode()
            assert line, f"it ended early: {seen}"
            seen += line
        state = read_stack(tmp_path)
        assert state is not None
        found = re.search(r"parent    │ (\d+)", seen)
        assert found is not None
        processes = [each.identity for each in state.processes] + [identity(int(found[1]))]
        guards = [
            identity(pid)
            for each in state.processes
            for pid in live_pids_in_group(each.identity.pid)
        ]
        assert len(guards) == 5, "two processes, a grandchild, and a watcher in each group"
        owner.kill()
    wait_until_gone(*processes, *guards)
