"""`calstream up`, `status` and `down`: everything on this machine."""

import io
import sys
from typing import Annotated, Any

import typer

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.stack_state import read_stack
from calstream_ops.cli.addresses import webhook_address
from calstream_ops.cli.logs import log_to_stderr
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.stack.console import Console
from calstream_ops.stack.control import ProcessStatus, down, status, up, up_detached
from calstream_ops.stack_processes import SANDBOX_LISTEN, require_free_addresses, stack_plan

up_app = typer.Typer(add_completion=False)
status_app = typer.Typer(add_completion=False)
down_app = typer.Typer(add_completion=False)


@up_app.command("up")
def up_command(
    ctx: typer.Context,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all is up; go on in the background.")
    ] = False,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Without the simulated vendors.")
    ] = False,
    sandbox_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the simulated vendors are.")
    ] = SANDBOX_LISTEN,
) -> None:
    """Start everything on this machine.

    calstream up             shows the processes' output; Ctrl-C stops them
    calstream up --detach    returns when everything is ready

    Starts a Kafka broker if the settings name none, creates the topics, then runs the sandbox,
    ingest, the processors and the sinks. The sandbox is empty at each start; `calstream sink
    resync hubspot --verify --yes` fills it again.
    """
    session = session_of(ctx)
    sandbox = None if no_sandbox else sandbox_listen
    if detach:
        _start_detached(session, sandbox)
        return
    log_to_stderr(verbose=session.terminal.verbose)
    plan = stack_plan(session.loaded, sandbox_listen=sandbox)
    up(session.settings, plan, console=_console(session), echo=not _is_silent(session))


@status_app.command("status")
def status_command(ctx: typer.Context) -> None:
    """Show how the processes do.

    calstream status

    Exits with 0 when all are well, 1 when one is not, 69 when nothing runs.
    """
    session = session_of(ctx)
    found = status(session.settings.state.directory)
    if not found:
        raise UnavailableError(
            Code.STACK_NOT_RUNNING,
            f"Nothing runs with its state in {session.settings.state.directory}.",
            hint="`calstream up --detach` starts it.",
        )
    _show(session, found)
    ill = [each.name for each in found if not each.healthy]
    if ill:
        raise CalstreamError(
            Code.PROCESS_FAILED,
            f"Not well: {', '.join(ill)}.",
            hint="Look into the log; `calstream down` then `calstream up` starts anew.",
        )


@down_app.command("down")
def down_command(ctx: typer.Context) -> None:
    """Stop everything.

    calstream down

    Nothing is lost: what was under way is finished at the next start. Does nothing where nothing
    runs.
    """
    session = session_of(ctx)
    stopped = down(session.settings.state.directory, console=_console(session))
    session.terminal.answer({"stopped": stopped}, "stopped" if stopped else "nothing ran")


def _start_detached(session: Session, sandbox: str | None) -> None:
    directory = session.settings.state.directory
    running = read_stack(directory)
    if running is not None and running.supervisor.is_alive():
        raise UnavailableError(
            Code.STACK_RUNNING,
            f"Calstream runs already with its state in {directory}.",
            hint="`calstream status` shows it, `calstream down` stops it.",
        )
    require_free_addresses(session.settings, sandbox)
    config = session.loaded.path
    argv = [sys.executable, "-P", "-m", "calstream_ops.cli", "--no-color"]
    argv += ["--config", str(config.absolute())] if config else []
    argv += ["up", *(["--sandbox-listen", sandbox] if sandbox else ["--no-sandbox"])]
    up_detached(argv, directory, console=_console(session))
    _show(session, status(directory))
    for name, its in session.settings.workspaces.items():
        for source in its.secrets:
            address = webhook_address(session.settings, name, source)
            session.terminal.say(f"webhooks of {source} for {name}: {address}")


class _Silence(io.StringIO):
    """Takes what is written and keeps nothing of it."""

    def write(self, text: str, /) -> int:
        return len(text)


def _is_silent(session: Session) -> bool:
    return session.terminal.quiet or session.terminal.is_json


def _console(session: Session) -> Console:
    if _is_silent(session):
        return Console(_Silence(), colour=False)
    return Console(colour=None if session.terminal.colour else False)


def _show(session: Session, found: list[ProcessStatus]) -> None:
    directory = session.settings.state.directory
    stack = read_stack(directory)
    records = {record.name: record for record in stack.processes} if stack else {}
    data: list[dict[str, Any]] = [
        {
            "name": each.name,
            "state": _state(each),
            "pid": each.pid,
            "address": each.address,
            "health": records[each.name].health if each.name in records else "",
            "log": str(each.log_path) if each.log_path else None,
        }
        for each in found
    ]
    headings = ("process", "state", "pid", "address", "health")
    rows = ([each[key] for key in ("name", *headings[1:])] for each in data)
    session.terminal.answer(data, table(headings, rows))
    session.terminal.say(f"Logs: {directory / 'logs'}")


def _state(process: ProcessStatus) -> str:
    if not process.alive:
        return "dead"
    return "well" if process.healthy else "not well"
