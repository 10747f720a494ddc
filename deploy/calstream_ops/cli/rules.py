"""`calstream rules`: what the settings' rules would change, and making them count."""

from typing import Annotated, Any

import typer
from rich.table import Table

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.double_booking_view import double_booking_table, shown_double_booking
from calstream_ops.cli.refold_view import change_table, refold_progress, values_changed
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.refold_report import rehearsal_of, shown_changes
from calstream_ops.inspection.wanted_rules import WantedRules, wanted_rules
from calstream_ops.refold_desk import RefoldDesk
from calstream_schemas.rule_sets import RuleSet

app = typer.Typer(no_args_is_help=True, add_completion=False)

Workspace = Annotated[
    str | None,
    typer.Option(
        help="Only this workspace; by default all.",
        autocompletion=workspace_names,
    ),
]


@app.callback()
def rules() -> None:
    """Show what other rules would change, and make them count."""


@app.command()
def plan(ctx: typer.Context, workspace: Workspace = None) -> None:
    """Show what the rules in the settings would change in today's truth. Changes nothing.

    calstream rules plan
    calstream rules plan --workspace acme -o json

    It opens personal values with the keys of this installation.
    """
    session = session_of(ctx)
    _show(session, _plans(session, workspace))


@app.command()
def apply(
    ctx: typer.Context,
    *,
    workspace: Workspace = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, show the plan.")] = False,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to stay.")
    ] = 60,
) -> None:
    """Send the rules in the settings to the workspaces; their entities are folded again.

    calstream rules apply          shows the plan
    calstream rules apply --yes    does it

    Stays until all is folded again; if it is interrupted, the resolver goes on. Sinks then write
    what has changed.
    """
    session = session_of(ctx)
    if not yes:
        _show(session, _plans(session, workspace))
        session.terminal.say("Nothing was done. `calstream rules apply --yes` does it.")
        return
    with LogReader(session.bootstrap_servers) as reader:
        found = _wanted(session, reader, _log(session, reader), workspace)
    wanted = {name: its.wanted for name, its in found.items()}
    desk = RefoldDesk(session.bootstrap_servers, session.settings.kafka)
    with session.terminal.progress() as shown:
        sent = desk.hand_in(wanted, "apply", timeout_seconds, refold_progress(shown))
    data = [
        {"workspace": name, "rule_set": rule_set.id, "applied": name in sent}
        for name, rule_set in wanted.items()
    ]
    headings = ("workspace", "rule set", "applied")
    session.terminal.answer(data, table(headings, (list(each.values()) for each in data)))


def _names(session: Session, workspace: str | None) -> list[str]:
    if workspace is not None:
        return [session.workspace(workspace)]
    return list(session.settings.workspaces)


def _log(session: Session, reader: LogReader) -> EntityLog:
    return EntityLog(reader, session.settings.kafka, existing_keys(session.settings))


def _wanted(
    session: Session, reader: LogReader, log: EntityLog, workspace: str | None
) -> dict[str, WantedRules]:
    return wanted_rules(session.settings, reader, log, _names(session, workspace))


def _plans(session: Session, workspace: str | None) -> list[dict[str, Any]]:
    with LogReader(session.bootstrap_servers) as reader:
        log = _log(session, reader)
        found = _wanted(session, reader, log, workspace)
        return [_plan(log, name, its) for name, its in found.items()]


def _plan(log: EntityLog, name: str, its: WantedRules) -> dict[str, Any]:
    would = rehearsal_of(log, name, its.in_force, its.wanted)
    return {
        "workspace": name,
        "in_force": _named(its.in_force),
        "settings": _named(its.wanted),
        "zone_changes": [
            {
                "zone": each.zone,
                "wall_from": each.wall_from,
                "wall_until": each.wall_until,
                "offset_seconds": each.offset_seconds,
            }
            for each in its.zone_changes
        ],
        "changes": shown_changes(would.fields),
        "double_bookings": [shown_double_booking(each) for each in would.double_bookings],
    }


def _named(rule_set: RuleSet) -> dict[str, str]:
    return {"rule_set": rule_set.id, "pattern": rule_set.pattern, "tzdata": rule_set.tzdata}


def _show(session: Session, plans: list[dict[str, Any]]) -> None:
    shown: list[Table | str] = []
    for each in plans:
        changes, double = each["changes"], each["double_bookings"]
        values = values_changed(changes)
        same = each["in_force"]["rule_set"] == each["settings"]["rule_set"]
        state = "in force already" if same else f"not in force ({each['in_force']['pattern']} is)"
        shown.append(
            f"{each['workspace']}: {each['settings']['pattern']}, {state}; "
            f"{values} values and {len(changes) - values} deciders would change, "
            f"{len(double)} double bookings would open, change or be cleared"
        )
        if each["zone_changes"]:
            zones = sorted({change["zone"] for change in each["zone_changes"]})
            shown.append(
                f"the clocks of {', '.join(zones)} have changed with tzdata "
                f"{each['settings']['tzdata']}: what is to come keeps its wall time"
            )
        if changes:
            shown.append(change_table(changes))
        if double:
            shown.append(double_booking_table(double))
    session.terminal.answer(plans, *shown)
