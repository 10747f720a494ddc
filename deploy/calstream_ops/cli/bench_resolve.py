"""`calstream bench resolve`: wires the command line to the resolver's bench."""

from dataclasses import replace
from typing import Annotated

import typer

from calstream_ops.bench.page import HEADINGS, rows
from calstream_ops.bench.resolve import QUICK, run_resolve_bench
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import Output, table
from calstream_ops.stack import Console


def resolve(
    ctx: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small run for trying out; its figures say little.")
    ] = False,
    without_peers: Annotated[
        bool, typer.Option("--without-peers", help="Only our own processors.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
    ] = False,
) -> None:
    """Measure the processors: webhooks that one worker on one core resolves; what a step costs.

    calstream bench resolve
    calstream bench resolve --json > resolve.json
    calstream bench resolve --quick --without-peers

    Takes about five minutes, and some more the first time to install the peer. Runs on a broker of
    its own. Exits with 0 when every goal is met, else 1.
    """
    terminal = session_of(ctx).terminal
    if as_json:
        terminal = replace(terminal, output=Output.JSON)
    report = run_resolve_bench(
        Console().progress, plan=QUICK if quick else None, with_peers=not without_peers
    )
    found = report.as_json()
    terminal.answer(found, table(HEADINGS, rows(found)))
    raise typer.Exit(report.exit_status)
