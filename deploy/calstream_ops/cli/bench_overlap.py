"""`calstream bench overlap`."""

from dataclasses import replace
from typing import Annotated

import typer

from calstream_ops.bench.overlap import QUICK, run_overlap_bench
from calstream_ops.bench.page import HEADINGS, rows
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import Output, table
from calstream_ops.stack import Console


def overlap(
    ctx: typer.Context,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small run for trying out; its figures say little.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
    ] = False,
) -> None:
    """Measure how fast double bookings are found of a host who has ten thousand bookings.

    calstream bench overlap
    calstream bench overlap --json > overlap.json
    calstream bench overlap --quick

    Takes half a minute. Needs no broker. Exits with 0 when every goal is met, else 1.
    """
    terminal = session_of(ctx).terminal
    if as_json:
        terminal = replace(terminal, output=Output.JSON)
    report = run_overlap_bench(Console().progress, QUICK if quick else None)
    found = report.as_json()
    terminal.answer(found, table(HEADINGS, rows(found)))
    raise typer.Exit(report.exit_status)
