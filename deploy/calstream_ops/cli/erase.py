"""`calstream erase`: destroys what is known of a person, and shows who has done their part."""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import partition_of
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity import find_entity
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.decision import DecisionDesk, erasure_order
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.erasure_log import (
    ErasurePlan,
    describe_erasure,
    erasure_plan,
    erasures_of,
    read_erasure,
)
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_schemas.entities import Entity
from calstream_schemas.erasures import Erasure, ErasureState
from calstream_schemas.topics import ERASURES, full_name

_TIMEOUT_SECONDS = 30

app = typer.Typer(add_completion=False)


@app.command()
def erase(
    ctx: typer.Context,
    *,
    contact: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="WORKSPACE/contact/ID, where ID is ours or SYSTEM/TYPE/ID; WORKSPACE with"
            " --email.",
            autocompletion=workspace_names,
        ),
    ],
    email: Annotated[
        str | None, typer.Option(help="The contact with this address.", metavar="ADDRESS")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    deadline_days: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="The keys are destroyed by then, whether every system has answered or not.",
        ),
    ] = 20,
    by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who decided; by default the user of this machine."),
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to stay.")
    ] = 120,
) -> None:
    """Erase a person, here and at every system; show who has done it.

    calstream erase --contact acme --email jo.park@example.com
    calstream erase --contact acme/contact/calendar_live/attendee/att_55 --dry-run

    Shows what goes, and asks. Then the systems delete what they have, and the keys are destroyed;
    there is no way back. Of somebody who was erased it shows who has answered. It stays until all
    is done, which it will be without it too.
    """
    session = session_of(ctx)
    with LogReader(session.bootstrap_servers) as reader:
        log = EntityLog(reader, session.settings.kafka, existing_keys(session.settings))
        person = find_entity(session, log, contact, email)
        if person.kind != "contact":
            raise typer.BadParameter(f"{person.key} is no contact")
        found = _known(reader, session, person)
        plan = None if found else _plan(session, log, person)
    if plan is not None:
        person = plan.contacts[0]
        if dry_run or not (yes or _agreed(session, plan)):
            session.terminal.answer(_plan_data(plan), *_plan_text(plan))
            session.terminal.say("Nothing was done. The same command with --yes does it.")
            return
        order = erasure_order(person, _systems(session, person.workspace), deadline_days, by)
        sealer = existing_keys(session.settings)(person.workspace)
        desk = DecisionDesk(session.bootstrap_servers, session.settings.kafka, _TIMEOUT_SECONDS)
        desk.hand_in(order, person.key, sealer)
    if not dry_run:
        found = _until_done(session, person, timeout_seconds)
    assert found is not None
    data = describe_erasure(found)
    session.terminal.answer(data, *_erasure_text(data))


def _known(reader: LogReader, session: Session, person: Entity) -> Erasure | None:
    if person.erasing_since is None and person.erased_at is None:
        return None
    erasures = erasures_of(reader, session.settings.kafka, person.workspace)
    return next((one for one in reversed(erasures) if f"contact/{person.id}" in one.entities), None)


def _systems(session: Session, workspace: str) -> tuple[str, ...]:
    return tuple(
        sorted(
            name
            for name, sink in session.settings.sinks.items()
            if not sink.workspaces or workspace in sink.workspaces
        )
    )


def _plan(session: Session, log: EntityLog, person: Entity) -> ErasurePlan:
    sealer = existing_keys(session.settings)(person.workspace)
    systems = _systems(session, person.workspace)
    return erasure_plan(log.newest(person.workspace), person, systems, sealer)


def _plan_data(plan: ErasurePlan) -> dict[str, Any]:
    return {
        "contacts": [contact.key for contact in plan.contacts],
        "bookings": [booking.key for booking in plan.bookings],
        "bookings_kept": plan.kept,
        **{
            f"{kind}s": count
            for kind, count in sorted(Counter(one.kind for one in plan.theirs).items())
        },
        "systems": list(plan.systems),
        "keys": len(plan.keys),
        "done": False,
    }


def _plan_text(plan: ErasurePlan) -> list[Any]:
    person = plan.contacts[0]
    named = ", ".join(
        str(person.values[name])
        for name in ("full_name", "email", "phone")
        if person.values.get(name) is not None
    )
    rows = [
        ("person", f"{named} ({', '.join(contact.key for contact in plan.contacts)})"),
        ("systems that are told", ", ".join(plan.systems) or "none"),
        ("bookings that had nobody else", len(plan.bookings)),
        ("bookings that others keep", plan.kept),
        *((f"{kind}s", n) for kind, n in sorted(Counter(o.kind for o in plan.theirs).items())),
        ("keys that are destroyed", len(plan.keys)),
    ]
    return [table(("what goes", ""), [(name, str(value)) for name, value in rows])]


def _agreed(session: Session, plan: ErasurePlan) -> bool:
    """Asks a person, where there is one."""
    if session.terminal.is_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    session.terminal.answer({}, *_plan_text(plan))
    return typer.confirm("Erase this person? There is no way back.", err=True)


def _until_done(session: Session, person: Entity, timeout_seconds: float) -> Erasure:
    """Follows an erasure; returns it when it is done, or as it stands when the time is over."""
    kafka, workspace = session.settings.kafka, person.workspace
    topic, partition = full_name(ERASURES, kafka), partition_of(workspace, kafka.partitions)
    give_up_at = time.monotonic() + timeout_seconds
    newest: Erasure | None = None
    with LogReader(session.bootstrap_servers) as reader, session.terminal.progress() as progress:
        line = progress.add_task("erasing")
        begin = reader.ranges([topic], [partition])[topic, partition].begin
        for record in reader.follow({(topic, partition): begin}):
            if record is not None and record.value is not None:
                erasure = read_erasure(record.key, record.value)
                if erasure.workspace == workspace and f"contact/{person.id}" in erasure.entities:
                    newest = erasure
                    progress.update(line, description=_line(erasure))
            elif newest is not None and newest.state is ErasureState.DONE:
                return newest
            if time.monotonic() > give_up_at:
                break
    if newest is None:
        raise UnavailableError(
            Code.STACK_NOT_RUNNING,
            f"Nothing is heard of the erasure for {timeout_seconds:.0f} s.",
            hint="Do the processors run?",
        )
    session.terminal.say("It goes on; the same command shows how far it is.")
    return newest


def _line(erasure: Erasure) -> str:
    waits = sorted({system for system, _ in erasure.waits_for})
    return f"waiting for {', '.join(waits)}" if waits else "destroying keys"


def _erasure_text(data: Mapping[str, Any]) -> list[Any]:
    rows = [(name, data[name]) for name in ("contact", "state", "asked_at", "asked_by", "deadline")]
    rows.append(("waits for", ", ".join(data["waits_for"]) or "nothing"))
    rows.append(("facts dropped since", data["dropped_since"]))
    headings = ("receipt of", "for", "done", "at", "detail")
    return [
        table(("erasure", ""), [(name, str(value)) for name, value in rows]),
        "",
        table(headings, [list(each.values()) for each in data["receipts"]]),
    ]
