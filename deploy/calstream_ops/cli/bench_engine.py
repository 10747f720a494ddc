"""`calstream bench engine`: wires the command line to the engine's bench."""

from dataclasses import replace
from typing import Annotated

import typer

from calstream_ops.bench.engine import QUICK, run_engine_bench
from calstream_ops.bench.page import HEADINGS, rows
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import Output, table
from calstream_ops.stack import Console


def engine(
    ctx: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small run for trying out; its figures say little.")
    ] = False,
    without_peers: Annotated[
        bool, typer.Option("--without-peers", help="Only our own engine.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
    ] = False,
) -> None:
    """Measure the engine: rates, restore, memory, latency; and its peers on the same broker.

    calstream bench engine
    calstream bench engine --json > engine.json
    calstream bench engine --quick --without-peers

    Takes about six minutes, and some more the first time to install the peers. Runs on a broker of
    its own. Exits with 0 when every goal is met, else 1.
    """
    terminal = session_of(ctx).terminal
    if as_json:
        terminal = replace(terminal, output=Output.JSON)
    report = run_engine_bench(
        Console().progress, plan=QUICK if quick else None, with_peers=not without_peers
    )
    found = report.as_json()
    terminal.answer(found, table(HEADINGS, rows(found)))
    raise typer.Exit(report.exit_status)
