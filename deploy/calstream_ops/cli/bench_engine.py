"""`calstream bench engine`: wires the command line to the engine's bench."""

from typing import Annotated

import typer

from calstream_ops.bench.engine import QUICK, run_engine_bench
from calstream_ops.cli.bench_answer import AsJson, Quick, answer_with
from calstream_ops.stack import Console


def engine(
    ctx: typer.Context,
    quick: Quick = False,
    without_peers: Annotated[
        bool, typer.Option("--without-peers", help="Only our own engine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the engine: rates, restore, memory, latency; and its peers on the same broker.

    calstream bench engine
    calstream bench engine --json > engine.json
    calstream bench engine --quick --without-peers

    Takes about six minutes, and some more the first time to install the peers. Runs on a broker of
    its own. Exits with 0 when every goal is met, else 1.
    """
    report = run_engine_bench(
        Console().progress, plan=QUICK if quick else None, with_peers=not without_peers
    )
    answer_with(ctx, report, as_json=as_json)
