"""`calstream demo`: wires the command line to the demo."""

from typing import Annotated

import typer

from calstream_ops.cli.session import session_of
from calstream_ops.demo import run_demo

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    ctx: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this case. May be repeated.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running to look around.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
    ] = False,
) -> None:
    """See a booking arrive in a CRM, end to end.

    calstream demo
    calstream demo --only double-delivery --keep

    Runs apart from any other installation. Exits with 0 when every case is as it must be, else 1.
    """
    terminal = session_of(ctx).terminal
    status = run_demo(only=tuple(only or ()), keep=keep, as_json=as_json or terminal.is_json)
    raise typer.Exit(status)
