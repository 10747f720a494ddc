"""`calstream rules`: what the settings' rules would change, and making them count."""

import asyncio
import time
from typing import Annotated, Any

import typer
from rich.table import Table

from calstream_core.clock import now_microseconds
from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.rules_log import rules_in_force
from calstream_ops.inspection.times import readable
from calstream_processors.resolve.refold import FieldChange, field_changes
from calstream_processors.resolve.rule_settings import rule_set_in
from calstream_schemas.entities import Decision, FieldType, Value, kind_of, kind_of_key
from calstream_schemas.observations import encode_observation, rules_changed
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import OBSERVATIONS, full_name

_ASK_EVERY_SECONDS = 0.25

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

    Stays until the resolver has taken them. Sinks then write what has changed.
    """
    session = session_of(ctx)
    if not yes:
        _show(session, _plans(session, workspace))
        session.terminal.say("Nothing was done. `calstream rules apply --yes` does it.")
        return
    wanted = {name: _asked(session, name) for name in _names(session, workspace)}
    with LogReader(session.bootstrap_servers) as reader:
        sent = {
            name: rule_set
            for name, rule_set in wanted.items()
            if rules_in_force(reader, session.settings.kafka, name).id != rule_set.id
        }
        asyncio.run(_send(session, sent))
        _wait(session, reader, sent, time.monotonic() + timeout_seconds)
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


def _asked(session: Session, name: str) -> RuleSet:
    return rule_set_in(session.settings, name)


def _plans(session: Session, workspace: str | None) -> list[dict[str, Any]]:
    wanted = {name: _asked(session, name) for name in _names(session, workspace)}
    keys = existing_keys(session.settings)
    kafka = session.settings.kafka
    plans = []
    with LogReader(session.bootstrap_servers) as reader:
        log = EntityLog(reader, kafka, keys)
        for name, rule_set in wanted.items():
            now = rules_in_force(reader, kafka, name)
            changes = [c for e in log.newest(name) for c in field_changes(e, rule_set)]
            plans.append(
                {
                    "workspace": name,
                    "in_force": {"rule_set": now.id, "pattern": now.pattern},
                    "settings": {"rule_set": rule_set.id, "pattern": rule_set.pattern},
                    "changes": [_change(each) for each in changes],
                }
            )
    return plans


def _change(change: FieldChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "field": change.field,
        "old": _readable(change, change.old),
        "new": _readable(change, change.new),
        "decided_by": _decided(change.before),
        "would_decide": _decided(change.after),
    }


def _decided(decision: Decision | None) -> dict[str, str] | None:
    if decision is None:
        return None
    return {"system": decision.id.system, "object": str(decision.id), "rule": decision.rule}


def _readable(change: FieldChange, value: Value) -> Any:
    field = kind_of(kind_of_key(change.key)).field_by_name[change.field]
    is_time = field.type is FieldType.INSTANT and isinstance(value, int)
    return readable(value) if is_time and isinstance(value, int) else value


def _show(session: Session, plans: list[dict[str, Any]]) -> None:
    shown: list[Table | str] = []
    for each in plans:
        changes = each["changes"]
        values = sum(change["old"] != change["new"] for change in changes)
        same = each["in_force"]["rule_set"] == each["settings"]["rule_set"]
        state = "in force already" if same else f"not in force ({each['in_force']['pattern']} is)"
        shown.append(
            f"{each['workspace']}: {each['settings']['pattern']}, {state}; "
            f"{values} values and {len(changes) - values} deciders would change"
        )
        if changes:
            headings = ("entity", "field", "old", "new", "decided by", "would decide")
            shown.append(table(headings, (_row(change) for change in changes)))
    session.terminal.answer(plans, *shown)


def _row(change: dict[str, Any]) -> list[object]:
    deciders = [
        f"{each['system']} ({each['rule']})" if each else None
        for each in (change["decided_by"], change["would_decide"])
    ]
    return [change["key"], change["field"], change["old"], change["new"], *deciders]


async def _send(session: Session, sets: dict[str, RuleSet]) -> None:
    kafka = session.settings.kafka
    topic, now = full_name(OBSERVATIONS, kafka), now_microseconds()
    observations = [rules_changed(name, its, f"apply/{now}", now) for name, its in sets.items()]
    producer = AsyncProducer(session.bootstrap_servers, "calstream-rules")
    try:
        await producer.send_all(
            [
                (
                    topic,
                    observation.workspace,
                    encode_observation(observation, None),
                    partition_of(observation.workspace, kafka.partitions),
                    [
                        ("ce_id", observation.id.encode()),
                        ("ce_type", b"rules.changed"),
                        ("ce_time", str(now).encode()),
                    ],
                )
                for observation in observations
            ]
        )
    finally:
        await producer.close()


def _wait(session: Session, reader: LogReader, sent: dict[str, RuleSet], give_up_at: float) -> None:
    kafka = session.settings.kafka
    left = dict(sent)
    while left:
        left = {n: its for n, its in left.items() if rules_in_force(reader, kafka, n).id != its.id}
        if not left:
            return
        if time.monotonic() > give_up_at:
            raise UnavailableError(
                Code.STACK_NOT_RUNNING,
                f"The rules were sent, but the resolver has not taken those of {', '.join(left)}.",
                hint="It takes them when it runs: `calstream up`, then `calstream rules plan`.",
            )
        time.sleep(_ASK_EVERY_SECONDS)  # the log only tells on asking
