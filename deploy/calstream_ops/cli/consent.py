"""`calstream consent`: what a person agreed to, and when they changed their mind."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.entity import find_entity, open_entities
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.consent_report import describe_consents
from calstream_schemas.entities import Entity

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def consent() -> None:
    """Show what a person agreed to, with every grant and withdrawal."""


@app.command()
def show(
    ctx: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            help="WORKSPACE/contact/ID, where ID is ours or SYSTEM/TYPE/ID; WORKSPACE with"
            " --email.",
            autocompletion=workspace_names,
        ),
    ],
    email: Annotated[
        str | None, typer.Option(help="The contact with this address.", metavar="ADDRESS")
    ] = None,
) -> None:
    """Show what a contact agreed to: by purpose what stands, and how it came to that.

    calstream consent show acme --email jo.park@example.com

    It is kept after an erasure, without the person: then name the contact by our own id.
    """
    session = session_of(ctx)
    with open_entities(session) as log:
        person = find_entity(session, log, key, email)
        if person.kind != "contact":
            raise typer.BadParameter(f"{person.key} is no contact")
        theirs = [
            one
            for one in log.newest(person.workspace, "consent")
            if one.references.get("contact_ref") == person.id
        ]
    found = {"contact": person.key, "consents": describe_consents(theirs)}
    session.terminal.answer(found, Text(person.key, style="bold"), *_tables(theirs))


def _tables(consents: list[Entity]) -> list[Table | Text]:
    rows = [
        (
            each["purpose"],
            "granted" if decision["granted"] else "withdrawn",
            decision["decided_at"],
            decision["basis"],
            decision["source"],
        )
        for each in describe_consents(consents)
        for decision in each["history"]
    ]
    if not rows:
        return [Text("Nothing was asked.")]
    return [table(("purpose", "", "at", "basis", "said by"), rows)]
