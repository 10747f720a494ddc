"""`calstream entity`: what is known of a person or booking, and why."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from calstream_core.errors import RecordError
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity_view import entity_text, history_text
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.entity_log import EntityLog, is_entity_id, not_found
from calstream_ops.inspection.entity_report import describe, describe_history
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.times import readable_milliseconds
from calstream_processors.normalise.email import normalise_email
from calstream_schemas.entities import KINDS, Entity, NaturalId, entity_key

_HINT = "`calstream entity list WORKSPACE` lists what there is."

app = typer.Typer(no_args_is_help=True, add_completion=False)

Key = Annotated[
    str,
    typer.Argument(
        help="WORKSPACE/KIND/ID, where ID is ours or SYSTEM/TYPE/ID; WORKSPACE with --email.",
        autocompletion=workspace_names,
    ),
]
Email = Annotated[
    str | None, typer.Option(help="The contact with this address.", metavar="ADDRESS")
]


@app.callback()
def entity() -> None:
    """Show what is known of a person or booking, and why."""


@app.command()
def show(ctx: typer.Context, key: Key, email: Email = None) -> None:
    """Show an entity: each value, who said it, when, and the rule that chose it.

    calstream entity show acme --email jo.park@example.com
    calstream entity show acme/booking/calendar_live/event/cal_7f3a
    calstream entity show acme/contact/6f1b5c1e-0d5e-5d0e-9c55-2b7a3f5b1a11 -o json

    It opens personal values with the keys of this installation.
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        found = describe(find_entity(session, log, key, email))
    session.terminal.answer(found, *entity_text(found))


@app.command()
def history(ctx: typer.Context, key: Key, email: Email = None) -> None:
    """Show every version of an entity that is still in the log, and what each changed.

    calstream entity history acme/booking/calendar_live/event/cal_7f3a

    Compaction drops versions that are older than a day and were replaced.
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        direct = email is None and _is_own_key(key)
        own = key if direct else find_entity(session, log, key, email).key
        versions = log.history(own)
    if not versions:
        raise not_found(own, _HINT)
    found = describe_history(versions)
    session.terminal.answer({"key": own, "versions": found}, *history_text(own, found))


@app.command("list")
def list_(
    ctx: typer.Context,
    workspace: Annotated[str, typer.Argument(autocompletion=workspace_names)],
    kind: Annotated[str | None, typer.Option(help=f"Only one of: {', '.join(KINDS)}.")] = None,
) -> None:
    """List the entities of a workspace by their keys, without anything personal.

    calstream entity list acme --kind booking
    """
    session = session_of(ctx)
    if kind is not None:
        _known_kind(kind)
    with open_entities(session) as log:
        lines = log.lines(session.workspace(workspace), kind)
    data = [
        {
            "key": line.key,
            "kind": line.kind,
            "version": line.version,
            "changed_at": readable_milliseconds(line.timestamp_ms),
        }
        for line in lines
    ]
    headings = ("entity", "kind", "version", "changed at")
    session.terminal.answer(data, table(headings, (list(each.values()) for each in data)))


@contextmanager
def open_entities(session: Session) -> Iterator[EntityLog]:
    """The entities of the installation, for as long as the block lasts."""
    keys = existing_keys(session.settings)
    with LogReader(session.bootstrap_servers) as reader:
        yield EntityLog(reader, session.settings.kafka, keys)


def find_entity(session: Session, log: EntityLog, key: str, email: str | None = None) -> Entity:
    """The entity that a key or an address means.

    Raises:
        RecordError: there is none, or several contacts have the address.
    """
    if email is not None:
        return _by_email(log, session.workspace(key), email)
    workspace, _, rest = key.partition("/")
    kind, _, id_ = rest.partition("/")
    if not id_:
        raise typer.BadParameter("a key is WORKSPACE/KIND/ID; a workspace alone needs --email")
    session.workspace(workspace)
    _known_kind(kind)
    if is_entity_id(id_):
        found = log.by_key(entity_key(workspace, kind, id_))
    elif id_.count("/") < len(NaturalId._fields) - 1:
        raise typer.BadParameter("an id is ours, a UUID, or SYSTEM/TYPE/ID as a system has it")
    else:
        found = log.by_natural_id(workspace, kind, NaturalId.parse(id_))
    if found is None:
        raise not_found(key, _HINT)
    return found


def _by_email(log: EntityLog, workspace: str, email: str) -> Entity:
    try:
        address = normalise_email(email)
    except RecordError as error:
        raise typer.BadParameter(error.message) from error
    found = log.by_email(workspace, address)
    if not found:
        raise not_found(f"of {workspace} with that address", _HINT)
    if len(found) > 1:
        keys = ", ".join(entity.key for entity in found)
        raise typer.BadParameter(f"several contacts have that address: {keys}")
    return found[0]


def _is_own_key(key: str) -> bool:
    parts: list[Any] = key.split("/", 2)
    return len(parts) == len(("workspace", "kind", "id")) and is_entity_id(parts[2])


def _known_kind(kind: str) -> None:
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        suggestion = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(KINDS)}"
        raise typer.BadParameter(f"there is no kind {kind!r}{suggestion}")
