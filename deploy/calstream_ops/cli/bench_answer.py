"""What the commands of `calstream bench` have in common: their options, and how they answer."""

from dataclasses import replace
from typing import Annotated, NoReturn

import typer

from calstream_ops.bench.page import HEADINGS, rows
from calstream_ops.bench.report import Report
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import Output, table

Quick = Annotated[
    bool, typer.Option("--quick", help="A small run for trying out; its figures say little.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
]


def answer_with(ctx: typer.Context, report: Report, *, as_json: bool) -> NoReturn:
    """Shows a report and ends the command.

    Args:
        ctx: of the command.
        report: what was measured.
        as_json: as one JSON object, whatever the terminal's output is.

    Raises:
        typer.Exit: always; with 0 when every goal is met, else 1.
    """
    terminal = session_of(ctx).terminal
    if as_json:
        terminal = replace(terminal, output=Output.JSON)
    found = report.as_json()
    terminal.answer(found, table(HEADINGS, rows(found)))
    raise typer.Exit(report.exit_status)
