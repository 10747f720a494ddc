"""`calstream bench overlap`."""

import typer

from calstream_ops.bench.overlap import QUICK, run_overlap_bench
from calstream_ops.cli.bench_answer import AsJson, Quick, answer_with
from calstream_ops.stack import Console


def overlap(
    ctx: typer.Context,
    *,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast double bookings are found of a host who has ten thousand bookings.

    calstream bench overlap
    calstream bench overlap --json > overlap.json
    calstream bench overlap --quick

    Takes half a minute. Needs no broker. Exits with 0 when every goal is met, else 1.
    """
    report = run_overlap_bench(Console().progress, QUICK if quick else None)
    answer_with(ctx, report, as_json=as_json)
