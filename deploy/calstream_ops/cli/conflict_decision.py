"""`calstream conflict show` and `settle`: an entity's conflicts, and a person's decision on one."""

import getpass
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.table import Table

from calstream_core.clock import now_microseconds
from calstream_core.errors import Code, RecordError
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity import find_entity, open_entities
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.decision import DecisionDesk
from calstream_ops.inspection.conflict_log import conflicts_of_workspace
from calstream_ops.inspection.entity_report import shown_value
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.times import readable
from calstream_ops.settlement_values import values_of_system, values_typed
from calstream_schemas.conflicts import Conflict, ConflictState
from calstream_schemas.entities import Entity, Values, kind_of
from calstream_schemas.settlements import settle as settle_group

_TIMEOUT_SECONDS = 30
_HEADINGS = ("entity", "group", "state", "system", "says", "since")

Key = Annotated[
    str,
    typer.Argument(
        help="WORKSPACE/KIND/ID, where ID is ours or SYSTEM/TYPE/ID.",
        autocompletion=workspace_names,
    ),
]


def show(
    ctx: typer.Context, key: Key, group: Annotated[str | None, typer.Argument()] = None
) -> None:
    """Show the conflicts of an entity, also those that are over and how they ended.

    calstream conflict show acme/booking/calendar_live/event/cal_7f3a
    calstream conflict show KEY schedule
    """
    session = session_of(ctx)
    entity = _entity(session, key)
    found = _conflicts(session, entity)
    _answer(session, [c for c in found if group in {None, c.group}])


def settle(
    ctx: typer.Context,
    key: Key,
    group: Annotated[str, typer.Argument(help="The group of fields, as `list` names it.")],
    *,
    system: Annotated[
        str | None, typer.Option("--for", metavar="SYSTEM", help="What this system says is so.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="VALUE", help="This is so: FIELD=TEXT, or the text."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without it only say what would be done.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decided; by default you.")
    ] = None,
) -> None:
    """Decide a conflict: what one system says, or something else.

    calstream conflict settle KEY company --for hubspot --yes
    calstream conflict settle KEY company --value "Northwind Ltd" --yes
    calstream conflict settle KEY schedule --value start_at=2026-11-27T15:00:00Z --yes

    It stands until a system says something new of the group; then the rules decide again.
    """
    if (system is None) == (not value):
        raise typer.BadParameter("give either --for or --value")
    session = session_of(ctx)
    entity = _entity(session, key)
    stands = _open_conflict(session, entity, group)
    try:
        country = session.settings.workspaces[entity.workspace].default_country
        values = (
            values_of_system(stands, system)
            if system is not None
            else values_typed(entity, group, value or [], country)
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    decided = settle_group(entity, group, values, by or getpass.getuser(), now_microseconds())
    if yes:
        sealer = existing_keys(session.settings)(entity.workspace)
        desk = DecisionDesk(session.bootstrap_servers, session.settings.kafka, _TIMEOUT_SECONDS)
        desk.hand_in(decided, entity.key, sealer)
    answer = {
        "entity": entity.key,
        "group": group,
        "values": _shown(entity.kind, values),
        "decided_by": decided.decided_by,
        "observation_id": decided.id if yes else None,
        "done": yes,
    }
    fields = _shown(entity.kind, values).items()
    session.terminal.answer(answer, table(("field", "value"), ((n, str(v)) for n, v in fields)))
    session.terminal.say(
        "Done." if yes else "Nothing was done. The same command with --yes does it."
    )


def _entity(session: Session, key: str) -> Entity:
    with open_entities(session) as log:
        return find_entity(session, log, key)


def _conflicts(session: Session, entity: Entity) -> list[Conflict]:
    keys, kafka = existing_keys(session.settings), session.settings.kafka
    with LogReader(session.bootstrap_servers) as reader:
        _, found = conflicts_of_workspace(reader, kafka, keys, entity.workspace)
    return [each for each in found if each.entity_key == entity.key]


def _open_conflict(session: Session, entity: Entity, group: str) -> Conflict:
    for each in _conflicts(session, entity):
        if each.group == group and each.state is ConflictState.OPEN:
            return each
    raise RecordError(
        Code.CONFLICT_NOT_OPEN,
        f"{entity.key} has no open conflict on {group!r}.",
        hint=f"`calstream conflict list {entity.workspace}` lists them.",
    )


def _answer(session: Session, found: Iterable[Conflict]) -> None:
    data = [_described(each) for each in found]
    session.terminal.answer(data, _table(data))


def _described(conflict: Conflict) -> dict[str, Any]:
    return {
        "entity": conflict.entity_key,
        "group": conflict.group,
        "state": conflict.state.value,
        "rule": conflict.rule,
        "decided_for": str(conflict.decided_for),
        "voices": [
            {
                "system": voice.id.system,
                "object": str(voice.id),
                "values": _shown(conflict.kind, voice.values),
                "since": readable(voice.changed_at),
            }
            for voice in conflict.voices
        ],
    }


def _shown(kind: str, values: Values) -> dict[str, Any]:
    fields = kind_of(kind).field_by_name
    return {name: shown_value(fields[name], value) for name, value in values.items()}


def _table(data: Iterable[dict[str, Any]]) -> Table:
    rows = (
        (
            each["entity"],
            each["group"],
            each["state"],
            voice["system"] + (" (counts)" if voice["object"] == each["decided_for"] else ""),
            ", ".join(f"{name}: {value}" for name, value in voice["values"].items()),
            voice["since"],
        )
        for each in data
        for voice in each["voices"]
    )
    return table(_HEADINGS, rows)
