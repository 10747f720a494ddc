"""`calstream review`: contacts that may be one person, for somebody to decide."""

from typing import Annotated

import typer

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.review_log import open_reviews
from calstream_ops.inspection.times import readable
from calstream_schemas.entities import entity_key

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def review() -> None:
    """List contacts that may be one person."""


@app.command("list")
def list_(
    ctx: typer.Context,
    workspace: Annotated[str, typer.Argument(autocompletion=workspace_names)],
) -> None:
    """List the open match reviews of a workspace: which two, and what they have in common.

    calstream review list acme

    `calstream contact merge` says that they are one, `calstream contact apart` that they are two.
    It opens personal values with the keys of this installation.
    """
    session = session_of(ctx)
    name = session.workspace(workspace)
    keys = existing_keys(session.settings)
    with LogReader(session.bootstrap_servers) as reader:
        found = open_reviews(reader, session.settings.kafka, keys, name)
    data = [
        {
            "id": each.id,
            "contacts": [entity_key(name, "contact", id_) for id_ in each.contacts],
            "reason": each.reason.value,
            "evidence": each.evidence,
            "opened_at": readable(each.opened_at),
        }
        for each in found
    ]
    rows = (
        (*each.contacts, each.reason, each.evidence, readable(each.opened_at)) for each in found
    )
    headings = ("contact", "may be", "they share", "which is", "since")
    session.terminal.answer(data, table(headings, rows))
