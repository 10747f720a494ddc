"""Runs the demonstration: set up, start the stack, run the cases, tell, stop."""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import LoadedSettings, read_secret
from calstream_core.stack_state import StackState
from calstream_ops.demo.case import Case
from calstream_ops.demo.cases import CASES, REPLAY_CASE
from calstream_ops.demo.installation import WORKSPACE, create_installation
from calstream_ops.demo.log import TopicLog
from calstream_ops.demo.report import Report, write_json, write_table
from calstream_ops.demo.truth import Truth
from calstream_ops.demo.world import Addresses, World
from calstream_ops.stack.console import Console
from calstream_ops.stack.local import LocalStack
from calstream_ops.stack.ports import remembered_ports
from calstream_ops.stack_processes import stack_plan

_RETRY_SCALE = 0.01  # of the hours that calendar.live takes to deliver again

_NEXT = """
Next:
  {program} init                 # settings of your own, in calstream.toml
  {program} workspace add acme   # a workspace, its secret and its webhook address
  {program} up                   # the same stack, for as long as you like
"""


def run_demo(*, only: Sequence[str] = (), keep: bool = False, as_json: bool = False) -> int:
    """Runs the staging cases on an embedded stack of their own.

    Blocks until they are through, with `keep` until Ctrl-C. Everything is in a temporary directory
    that is removed at the end, and no process is left.

    Args:
        only: names of cases; by default all of them.
        keep: leave the stack running afterwards and print its addresses.
        as_json: print one JSON object instead of the table.

    Returns:
        The exit status: 0 only if every case is as expected.

    Raises:
        ConfigError: there is no case of a given name.
        UnavailableError: the stack does not start.
    """
    cases = _select(only)
    with tempfile.TemporaryDirectory(prefix="calstream-demo-") as folder:
        ports = remembered_ports(Path(folder) / "ports.json", ("ingest", "sandbox"))
        loaded = create_installation(Path(folder), ports["ingest"], ports["sandbox"])
        demonstration = _run(loaded, cases, ports["sandbox"], keep=keep, as_json=as_json)
        report = asyncio.run(demonstration)
    return 0 if report.ok else 1


def _select(only: Sequence[str]) -> list[Case]:
    known = {case.name: case for case in CASES}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"There is no case {', '.join(unknown)}.",
            hint=f"Cases: {', '.join(known)}.",
        )
    return [known[name] for name in only] if only else list(CASES)


async def _run(
    loaded: LoadedSettings, cases: Sequence[Case], sandbox_port: int, *, keep: bool, as_json: bool
) -> Report:
    started = time.monotonic()
    settings = loaded.settings
    console = Console()
    plan = stack_plan(loaded, sandbox_listen=f"127.0.0.1:{sandbox_port}", retry_scale=_RETRY_SCALE)
    with LocalStack(settings, plan, console=console, echo=False) as stack:
        async with stack.running() as state:
            log = TopicLog(stack.bootstrap_servers, settings.kafka)
            addresses = Addresses(
                ingest=f"http://{settings.ingest.listen}",
                sandbox=f"http://127.0.0.1:{sandbox_port}",
                processors_health=_health(state, "processors"),
                sinks_health=_health(state, "sinks"),
            )
            secret = read_secret(
                settings.workspaces[WORKSPACE].secrets["calendar_live"][0], "the demonstration"
            )
            truth = Truth(stack.bootstrap_servers, settings, WORKSPACE)
            world = World(addresses, secret.decode(), log, truth)
            try:
                report = await _observe(world, cases, console, started)
            finally:
                await world.close()
            if as_json:
                write_json(report)
            else:
                write_table(report)
            if keep:
                await _wait_for_signal(addresses, loaded, console)
    if not as_json and report.ok:
        sys.stdout.write(_NEXT.format(program=_program()))
    return report


async def _observe(world: World, cases: Sequence[Case], console: Console, started: float) -> Report:
    """Runs the cases one after the other and measures."""
    await world.open()
    results = {}
    lags: list[float] = []
    for case in cases:
        console.progress(f"case {case.name}")
        if case.name == REPLAY_CASE:  # what a replay writes did not start with a webhook
            lags = await asyncio.to_thread(world.log.lags_seconds, "hubspot")
        results[case.name] = await case.run(world)
    return Report(
        results=results,
        lags_seconds=lags or await asyncio.to_thread(world.log.lags_seconds, "hubspot"),
        counts=await asyncio.to_thread(world.log.counts),
        duplicates_dropped=await world.duplicates_dropped(),
        seconds=time.monotonic() - started,
    )


def _health(state: StackState, name: str) -> str:
    process = state.find(name)
    assert process is not None, f"the stack has no {name}"
    return process.health.removesuffix("/healthz")


async def _wait_for_signal(addresses: Addresses, loaded: LoadedSettings, console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.progress(f"webhooks    {addresses.ingest}/v1/webhooks/{WORKSPACE}/calendar_live")
    console.progress(f"sandbox CRM {addresses.sandbox}/hubspot/_control/dump")
    console.progress(f"metrics     {addresses.processors_health}/metrics")
    console.progress(f"metrics     {addresses.sinks_health}/metrics")
    console.progress(f"other commands: export CALSTREAM_CONFIG={loaded.path}")
    console.progress("running until Ctrl-C")
    await stop.wait()


def _program() -> str:
    """The command line as it was called, so that what is printed can be pasted."""
    called = Path(sys.argv[0])
    if called.is_absolute() and called.is_relative_to(Path.cwd()):
        return str(called.relative_to(Path.cwd()))
    return str(called)
