"""`calstream contact`: decisions on who is who."""

import getpass
from typing import Annotated

import typer

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity import find_entity, open_entities
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table
from calstream_ops.decision import DecisionDesk, decision
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.keys import existing_keys
from calstream_schemas.entities import Entity, entity_key
from calstream_schemas.observations import Fact

_TIMEOUT_SECONDS = 30
_SHOWN = ("full_name", "email", "phone", "company")

app = typer.Typer(no_args_is_help=True, add_completion=False)

Key = Annotated[
    str,
    typer.Argument(
        help="WORKSPACE/contact/ID, where ID is ours or SYSTEM/TYPE/ID.",
        autocompletion=workspace_names,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without it only say what would be done.")]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who decided; by default the user of this machine."),
]


@app.callback()
def contact() -> None:
    """Decide who is who: merge, unmerge, keep apart."""


@app.command()
def merge(ctx: typer.Context, key: Key, into: Key, *, yes: Yes = False, by: By = None) -> None:
    """Say that a contact is another one, which survives.

    calstream contact merge acme/contact/calendar_live/attendee/att_7 acme/contact/hubspot/contact/5
    calstream contact merge KEY INTO --yes

    The survivor has what every system says of both; the rules choose. `unmerge` undoes it.
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        loser, survivor = _contact(session, log, key), _contact(session, log, into)
        stands = loser.merge is not None and _root(log, loser).key == _root(log, survivor).key
    _carry_out(session, Fact.MERGE, loser, survivor, yes=yes, by=by, stands=stands)


@app.command()
def unmerge(ctx: typer.Context, key: Key, *, yes: Yes = False, by: By = None) -> None:
    """Take a merge back: the contact gets back what it brought.

    calstream contact unmerge KEY --yes

    KEY is the merged contact by our own id, as the merge named it. The two are not asked about
    again.
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        loser = _contact(session, log, key)
    _carry_out(session, Fact.UNMERGE, loser, None, yes=yes, by=by, stands=False)


@app.command()
def apart(ctx: typer.Context, key: Key, other: Key, *, yes: Yes = False, by: By = None) -> None:
    """Say that two contacts are two people, so that nobody is asked again.

    calstream contact apart KEY OTHER --yes
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        one, two = _contact(session, log, key), _contact(session, log, other)
        first, second = _root(log, one), _root(log, two)
        stands = second.id in first.apart and first.id in second.apart
    _carry_out(session, Fact.APART, first, second, yes=yes, by=by, stands=stands)


def _carry_out(
    session: Session,
    fact: Fact,
    about: Entity,
    other: Entity | None,
    *,
    yes: bool,
    by: str | None,
    stands: bool,
) -> None:
    answer = {
        "decision": fact.value,
        "contact": about.key,
        "other": other.key if other else None,
        "done": stands,
    }
    if yes and not stands:
        decided = decision(fact, about, other, by or getpass.getuser())
        sealer = existing_keys(session.settings)(about.workspace)
        desk = DecisionDesk(session.bootstrap_servers, session.settings.kafka, _TIMEOUT_SECONDS)
        desk.hand_in(decided, about.key, sealer)
        answer |= {"done": True, "decided_by": decided.decided_by, "observation_id": decided.id}
    people = [about, *([other] if other else [])]
    rows = (
        (one.key, *(one.values.get(name) for name in _SHOWN), str(len(one.copies)))
        for one in people
    )
    session.terminal.answer(answer, table(("contact", *_SHOWN, "copies"), rows))
    if stands:
        session.terminal.say("It stands so already.")
    elif yes:
        session.terminal.say(f"Done: {fact}.")
    else:
        session.terminal.say("Nothing was done. The same command with --yes does it.")


def _contact(session: Session, log: EntityLog, key: str) -> Entity:
    found = find_entity(session, log, key)
    if found.kind != "contact":
        raise typer.BadParameter(f"{found.key} is no contact")
    return found


def _root(log: EntityLog, contact: Entity) -> Entity:
    """Whom a contact is by now."""
    while contact.merge is not None:
        into = log.by_key(entity_key(contact.workspace, contact.kind, contact.merge.into))
        if into is None:
            break
        contact = into
    return contact
