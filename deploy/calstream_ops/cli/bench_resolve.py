"""`calstream bench resolve`: wires the command line to the resolver's bench."""

from typing import Annotated

import typer

from calstream_ops.bench.resolve import QUICK, run_resolve_bench
from calstream_ops.cli.bench_answer import AsJson, Quick, answer_with
from calstream_ops.stack import Console


def resolve(
    ctx: typer.Context,
    quick: Quick = False,
    without_peers: Annotated[
        bool, typer.Option("--without-peers", help="Only our own processors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the processors: webhooks that one worker on one core resolves; what a step costs.

    calstream bench resolve
    calstream bench resolve --json > resolve.json
    calstream bench resolve --quick --without-peers

    Takes about five minutes, and some more the first time to install the peer. Runs on a broker of
    its own. Exits with 0 when every goal is met, else 1.
    """
    report = run_resolve_bench(
        Console().progress, plan=QUICK if quick else None, with_peers=not without_peers
    )
    answer_with(ctx, report, as_json=as_json)
