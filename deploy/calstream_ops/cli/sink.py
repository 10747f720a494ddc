"""`calstream sink`: how the sinks do, whether a vendor is set up, and resyncs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_ops.cli.completion import sink_ids
from calstream_ops.cli.logs import log_to_stderr
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.sink_resync import plan, run
from calstream_ops.cli.sinks_process import SinksProcess, SinkStatus
from calstream_ops.cli.terminal import table
from calstream_sinks.api import Finding, Sink, SinkConfig
from calstream_sinks.registry import make_sink, plugins
from calstream_sinks.runner.context import RunnerContext
from calstream_sinks.runner.resync import ResyncMode

Result = TypeVar("Result")
Id = Annotated[str, typer.Argument(help="As in [sinks.ID].", autocompletion=sink_ids)]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The health listener of the sinks process; by default the one on this machine.",
        show_default=False,
    ),
]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def sink() -> None:
    """Check, set up and resync sinks."""


@app.command("list")
def list_(ctx: typer.Context, address: Address = None) -> None:
    """List the sinks, what each still has to do, and its last resync.

    calstream sink list
    """
    session = session_of(ctx)
    running = _running(session, address)
    data = []
    for sink_id, settings in session.settings.sinks.items():
        plugin = plugins().get(settings.type)
        manifest = plugin.sink.manifest if plugin and plugin.sink else None
        its = running.get(sink_id)
        data.append(
            {
                "id": sink_id,
                "type": settings.type,
                "title": manifest.title if manifest else None,
                "workspaces": list(settings.workspaces),
                "state": _state(its),
                "pending": its.pending if its else None,
                "resync": its.resync if its else None,
            }
        )
    headings = ("sink", "type", "title", "workspaces", "state", "pending", "dead", "last resync")
    session.terminal.answer(
        data, table(headings, (_row(each, running.get(str(each["id"]))) for each in data))
    )


@app.command()
def check(ctx: typer.Context, sink_id: Id) -> None:
    """Ask a vendor whether it is set up for us. Changes nothing.

    calstream sink check hubspot

    Exits with 1 where something is missing.
    """
    session = session_of(ctx)
    findings = _check(session, sink_id)
    _show(session, findings)
    faults = sum(not finding.ok for finding in findings)
    if faults:
        raise CalstreamError(
            Code.SINK_MISCONFIGURED,
            f"{faults} of {len(findings)} checks of {sink_id} failed.",
            hint="Each says what to do.",
        )


@app.command()
def setup(
    ctx: typer.Context,
    sink_id: Id,
    *,
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Make what is missing, or only say what is.")
    ] = False,
) -> None:
    """Make at a vendor what its check misses, for example custom properties.

    calstream sink setup hubspot          says what is missing
    calstream sink setup hubspot --yes    makes it
    """
    session = session_of(ctx)
    if not yes:
        missing = [finding for finding in _check(session, sink_id) if not finding.ok]
        _show(session, missing)
        again = f"`calstream sink setup {sink_id} --yes` makes what can be made."
        session.terminal.say(again if missing else "Nothing is missing.")
        return
    made = list(_with_sink(session, sink_id, lambda opened: opened.setup()))
    session.terminal.answer({"made": made}, *(made or ["nothing was missing"]))


@app.command()
def resync(
    ctx: typer.Context,
    sink_id: Id,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Ask the vendor what it holds; mend what differs.")
    ] = False,
    trust_ledger: Annotated[
        bool, typer.Option("--trust-ledger", help="Mend what our own record says is missing.")
    ] = False,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="Write every object again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, show the plan.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stay until nothing is pending.")
    ] = True,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to stay.")
    ] = 3600,
    address: Address = None,
) -> None:
    """Make a vendor agree again with what is known here.

    calstream sink resync hubspot --verify          shows the plan
    calstream sink resync hubspot --verify --yes    does it

    Objects that somebody deleted at the vendor are made again by --verify. Exits with 65 when
    something was given up on the way.
    """
    session = session_of(ctx)
    session.sink(sink_id)
    chosen = {
        ResyncMode.VERIFY: verify,
        ResyncMode.TRUST_LEDGER: trust_ledger,
        ResyncMode.REWRITE: rewrite,
    }
    modes = [mode for mode, wanted in chosen.items() if wanted]
    if len(modes) != 1:
        raise typer.BadParameter("give one of --verify, --trust-ledger and --rewrite")
    if not yes:
        plan(session, sink_id, modes[0])
        return
    with SinksProcess.find(session.settings, address) as process:
        run(session, process, sink_id, modes[0], timeout_seconds=timeout_seconds if wait else None)


def _running(session: Session, address: str | None) -> dict[str, SinkStatus]:
    try:
        with SinksProcess.find(session.settings, address) as process:
            return process.show()
    except UnavailableError as error:
        if address is not None:
            raise
        session.terminal.say(f"{error.message} So only the settings are shown.")
        return {}


def _state(status: SinkStatus | None) -> str:
    if status is None:
        return "not running"
    return status.fault or "well"


def _row(found: dict[str, Any], status: SinkStatus | None) -> tuple[object, ...]:
    resync_ = found["resync"]
    return (
        found["id"],
        found["type"],
        found["title"],
        found["workspaces"] or "all",
        found["state"],
        status.unsettled if status else None,
        status.dead if status else None,
        f"{resync_['mode']}: {'running' if resync_['running'] else 'checked'}" if resync_ else None,
    )


def _check(session: Session, sink_id: str) -> Sequence[Finding]:
    return _with_sink(session, sink_id, lambda opened: opened.check())


def _with_sink(
    session: Session, sink_id: str, work: Callable[[Sink[SinkConfig]], Awaitable[Result]]
) -> Result:
    """Runs something with a sink that is opened for it.

    Raises:
        ConfigError: the sink's settings are wrong, or the vendor refuses us.
        UnavailableError: the vendor does not answer.
    """
    settings = session.sink(sink_id)
    log_to_stderr(verbose=session.terminal.verbose)

    async def opened() -> Result:
        context = RunnerContext(sink_id)
        try:
            made = make_sink(settings, sink_id, context)
            await made.open()
            try:
                return await work(made)
            finally:
                await made.close()
        finally:
            await context.close()

    return asyncio.run(opened())


def _show(session: Session, findings: Sequence[Finding]) -> None:
    data = [
        {"check": each.name, "ok": each.ok, "message": each.message, "hint": each.hint}
        for each in findings
    ]
    rows = (("✓" if each.ok else "✗", each.name, each.message, each.hint) for each in findings)
    session.terminal.answer(
        data, *([table(("", "check", "found", "what to do"), rows)] * bool(data))
    )
