"""`calstream generate`: documents that are written from the code and the settings."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.session import session_of
from calstream_ops.reference.field_page import field_page
from calstream_ops.reference.mapping_document import as_csv, as_markdown, mapping_rows


class DocumentFormat(StrEnum):
    """How a document is written."""

    MARKDOWN = "markdown"
    CSV = "csv"


app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def generate() -> None:
    """Write documents from the code and the settings."""


@app.command()
def fields(ctx: typer.Context) -> None:
    """Write the page that lists every field, its owners, and what is sealed.

    calstream generate fields
    """
    session = session_of(ctx)
    page = field_page()
    if session.terminal.is_json:
        session.terminal.answer({"markdown": page})
    else:
        session.terminal.document(page)


@app.command()
def mapping(
    ctx: typer.Context,
    *,
    workspace: Annotated[
        str | None,
        typer.Option(help="Only this workspace; by default all.", autocompletion=workspace_names),
    ] = None,
    format_: Annotated[
        DocumentFormat, typer.Option("--format", help="A page, or a table for a spreadsheet.")
    ] = DocumentFormat.MARKDOWN,
) -> None:
    """Write where each field comes from, who owns it, and where it is written.

    calstream generate mapping
    calstream generate mapping --workspace acme --format csv
    """
    session = session_of(ctx)
    settings = session.settings
    names = [session.workspace(workspace)] if workspace else list(settings.workspaces)
    rows = list(mapping_rows(settings, names))
    if session.terminal.is_json:
        session.terminal.answer([asdict(row) for row in rows])
    else:
        write = as_csv if format_ is DocumentFormat.CSV else as_markdown
        session.terminal.document(write(rows))
