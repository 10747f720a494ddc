"""`calstream generate`: documents that are written from the code and the settings."""

import typer

from calstream_ops.cli.session import session_of
from calstream_ops.reference.field_page import field_page

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
