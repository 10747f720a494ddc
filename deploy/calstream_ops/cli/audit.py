"""`calstream audit`: what changed and was decided, by whom; and whether that is the whole story."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from calstream_core.errors import Code, ConfigError
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity import find_entity, open_entities
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.audit_chain import Fault
from calstream_ops.inspection.audit_log import AuditLog, AuditReport, ChainReport
from calstream_ops.inspection.audit_words import describe_entry
from calstream_ops.inspection.entity_log import is_entity_id, not_found
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.times import readable
from calstream_schemas.audit import Link

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def audit() -> None:
    """Show what changed and who decided; verify that nothing was removed."""


@app.command()
def show(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            help="WORKSPACE/KIND/ID, where ID is ours or SYSTEM/TYPE/ID.",
            autocompletion=workspace_names,
        ),
    ],
) -> None:
    """Show the history of an entity: what changed, by whose word and which rule, what was decided.

    calstream audit show acme/booking/calendar_live/event/cal_7f3a
    calstream audit show acme/contact/6f1b5c1e-0d5e-5d0e-9c55-2b7a3f5b1a11 -o json

    It shows no value: the audit has none. `calstream entity show` does.
    """
    session = session_of(ctx)
    own = _own_key(session, key)
    with LogReader(session.bootstrap_servers) as reader:
        found = [
            told
            for entry in AuditLog(reader, session.settings.kafka).history(own)
            for told in describe_entry(entry, own)
        ]
    if not found:
        raise not_found(f"{own} in the audit", "The audit is kept for 400 days.")
    rows = ((each["received_at"], each["version"], each["told"]) for each in found)
    session.terminal.answer({"key": own, "history": found}, table(("at", "version", "what"), rows))


@app.command()
def verify(
    ctx: typer.Context,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A report that was kept elsewhere. May be repeated.",
            dir_okay=False,
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a report to keep elsewhere.")
    ] = None,
) -> None:
    """Verify that no audit entry was removed, changed or put elsewhere. Changes nothing.

    calstream audit verify
    calstream audit verify --report audit-2026-11.json
    calstream audit verify --against audit-2026-11.json

    The exit status is 1 if something is wrong. What retention dropped is not.
    """
    session = session_of(ctx)
    kept = {chain: link for file in against or () for chain, link in _kept(file).items()}
    with LogReader(session.bootstrap_servers) as reader, session.terminal.progress() as shown:
        found = AuditLog(reader, session.settings.kafka).verify(
            kept, _Told(shown, shown.add_task("reading the audit"))
        )
    chains = [_chain(each) for each in found.chains]
    headings = ("writer", "partition", "entries", "first", "last", "newest at")
    names = ("writer", "partition", "entries", "first", "last", "newest_at")
    answer = {
        "ok": not found.faults,
        "chains": chains,
        "faults": [_fault(each) for each in found.faults],
    }
    if report is not None:
        report.write_text(json.dumps(answer, indent=2), "utf-8")
    session.terminal.answer(
        answer,
        table(headings, ([chain[name] for name in names] for chain in chains)),
        *(str(each) for each in found.faults),
        _verdict(found),
    )
    if found.faults:
        raise typer.Exit(1)


class _Told:
    """Shows how far it is."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def __call__(self, done: int, whole: int) -> None:
        """See `audit_log.Progress`."""
        text = f"reading the audit: {done} of {whole}"
        self._shown.update(self._task, description=text, completed=done, total=whole)


def _own_key(session: Session, key: str) -> str:
    parts = key.split("/", 2)
    session.workspace(parts[0])
    if len(parts) == len(("workspace", "kind", "id")) and is_entity_id(parts[2]):
        return key  # the audit tells of entities that are no longer there, too
    with open_entities(session) as log:
        return find_entity(session, log, key).key


def _chain(chain: ChainReport) -> dict[str, Any]:
    head = chain.head
    return {
        "writer": chain.writer,
        "partition": chain.partition,
        "entries": chain.entries,
        "first": chain.first,
        "last": head.sequence if head else 0,
        "hash": head.hash.hex() if head else None,
        "newest_at": readable(head.received_at) if head else None,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "fault": fault.kind.value,
        "writer": fault.writer,
        "partition": fault.partition,
        "offset": fault.offset,
        "first": fault.first,
        "last": fault.last,
        "message": str(fault),
    }


def _verdict(found: AuditReport) -> str:
    entries = sum(chain.entries for chain in found.chains)
    if found.faults:
        return f"The audit can't be trusted: {len(found.faults)} faults in {entries} entries."
    return f"{entries} entries are as they were written, and none is missing."


def _kept(file: Path) -> dict[tuple[str, int], Link]:
    """The newest entries of an earlier report.

    Raises:
        ConfigError: it is no such report.
    """
    try:
        chains = json.loads(file.read_text("utf-8"))["chains"]
        return {
            (its["writer"], its["partition"]): Link(its["last"], bytes.fromhex(its["hash"]))
            for its in chains
            if its["hash"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{file} is no report of `calstream audit verify`.",
        ) from error
