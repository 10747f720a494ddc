"""`calstream replay`: make the truth again from what is kept."""

from typing import Annotated, Any

import typer
from rich.table import Table

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.refold_view import change_table, refold_progress, values_changed
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.refold_report import rehearsal_of, shown_changes
from calstream_ops.inspection.rules_log import rules_in_force
from calstream_ops.refold_desk import RefoldDesk

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def replay() -> None:
    """Make the truth again from what is kept."""


@app.command()
def refold(
    ctx: typer.Context,
    *,
    workspace: Annotated[
        str | None,
        typer.Option(help="Only this workspace; by default all.", autocompletion=workspace_names),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, show the report.")] = False,
    timeout_seconds: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0, help="How long it may stand still."),
    ] = 60,
) -> None:
    """Fold entities again from their own copies, by the rules in force and the code of today.

    calstream replay refold          reports what would change, and changes nothing
    calstream replay refold --yes    does it

    After an upgrade whose code decides otherwise. What is decided otherwise becomes a new version;
    nothing else changes, and no message is sent. It opens personal values with the keys of this
    installation.
    """
    session = session_of(ctx)
    names = (
        list(session.settings.workspaces) if workspace is None else [session.workspace(workspace)]
    )
    if not yes:
        reports = _reports(session, names)
        session.terminal.answer(reports, *_shown(reports))
        session.terminal.say("Nothing was done. `calstream replay refold --yes` does it.")
        return
    with LogReader(session.bootstrap_servers) as reader:
        in_force = {name: rules_in_force(reader, session.settings.kafka, name) for name in names}
    desk = RefoldDesk(session.bootstrap_servers, session.settings.kafka)
    with session.terminal.progress() as shown:
        desk.hand_in(in_force, "refold", timeout_seconds, refold_progress(shown), again=True)
    data = [{"workspace": name, "rule_set": rules.id} for name, rules in in_force.items()]
    headings = ("workspace", "folded by")
    session.terminal.answer(data, table(headings, (list(each.values()) for each in data)))


def _reports(session: Session, names: list[str]) -> list[dict[str, Any]]:
    kafka = session.settings.kafka
    keys = existing_keys(session.settings)
    reports = []
    with LogReader(session.bootstrap_servers) as reader:
        log = EntityLog(reader, kafka, keys)
        for name in names:
            rules = rules_in_force(reader, kafka, name)
            changes = shown_changes(rehearsal_of(log, name, rules, rules).fields)
            reports.append({"workspace": name, "rule_set": rules.id, "changes": changes})
    return reports


def _shown(reports: list[dict[str, Any]]) -> list[Table | str]:
    shown: list[Table | str] = []
    for each in reports:
        changes = each["changes"]
        values = values_changed(changes)
        rest = len(changes) - values
        shown.append(f"{each['workspace']}: {values} values and {rest} deciders would change")
        if changes:
            shown.append(change_table(changes))
    return shown
