"""`calstream conflict`: double bookings, and systems that say different things."""

from typing import Annotated, Any

import typer
from rich.table import Table

from calstream_core.sealing import Erased
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.conflict_decision import settle, show
from calstream_ops.cli.double_booking_view import double_booking_table, shown_double_booking
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.conflict_log import conflicts_of_workspace
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.times import readable
from calstream_schemas.conflicts import Conflict
from calstream_schemas.entities import Field, FieldType, Value, kind_of

app = typer.Typer(no_args_is_help=True, add_completion=False)

_OPEN = "open"
_CONFLICTS = ("entity", "of", "state", "says", "what", "since", "counts")


@app.callback()
def conflict() -> None:
    """List double bookings, and what systems say differently; decide."""


@app.command("list")
def list_(
    ctx: typer.Context,
    workspace: Annotated[str, typer.Argument(autocompletion=workspace_names)],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are over, and what ended them.")
    ] = False,
) -> None:
    """List the double bookings of a workspace, and what systems say differently of one thing.

    calstream conflict list acme
    calstream conflict list acme --all -o json

    It opens personal values with the keys of this installation.
    """
    session = session_of(ctx)
    name = session.workspace(workspace)
    keys = existing_keys(session.settings)
    with LogReader(session.bootstrap_servers) as reader:
        double, differing = conflicts_of_workspace(reader, session.settings.kafka, keys, name)
    if not everything:
        double = [each for each in double if each.state == _OPEN]
        differing = [each for each in differing if each.state == _OPEN]
    data = {
        "double_bookings": [shown_double_booking(each) for each in double],
        "conflicts": [_conflict(each) for each in differing],
    }
    session.terminal.answer(data, *_shown(data))


def _conflict(found: Conflict) -> dict[str, Any]:
    fields = kind_of(found.kind).field_by_name
    return {
        "key": found.entity_key,
        "group": found.group,
        "state": found.state,
        "rule": found.rule,
        "decided_for": str(found.decided_for),
        "voices": [
            {
                "object": str(voice.id),
                "changed_at": readable(voice.changed_at),
                "values": {
                    name: _value(fields[name], value) for name, value in voice.values.items()
                },
            }
            for voice in found.voices
        ],
        "changed_at": readable(found.received_at),
    }


def _value(field: Field, value: Value) -> Any:
    if isinstance(value, Erased):
        return str(value)
    if type(value) is int and field.type is FieldType.INSTANT:
        return readable(value)
    return value


def _shown(data: dict[str, Any]) -> list[Table | str]:
    if not data["double_bookings"] and not data["conflicts"]:
        return ["None."]
    shown: list[Table | str] = []
    if data["double_bookings"]:
        shown.append(double_booking_table(data["double_bookings"]))
    if data["conflicts"]:
        rows = (row for each in data["conflicts"] for row in _rows(each))
        shown.append(table(_CONFLICTS, rows))
    return shown


def _rows(found: dict[str, Any]) -> list[list[object]]:
    return [
        [
            found["key"],
            found["group"],
            found["state"],
            voice["object"],
            ", ".join(f"{name}={value}" for name, value in sorted(voice["values"].items())),
            voice["changed_at"],
            found["rule"] if voice["object"] == found["decided_for"] else None,
        ]
        for voice in found["voices"]
    ]


app.command()(show)
app.command()(settle)
