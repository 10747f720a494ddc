"""`calstream bench identity`."""

import typer

from calstream_ops.bench.identity import QUICK, run_identity_bench
from calstream_ops.cli.bench_answer import AsJson, Quick, answer_with
from calstream_ops.stack import Console


def identity(
    ctx: typer.Context,
    *,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast it is found out who somebody is, among a million contacts.

    calstream bench identity
    calstream bench identity --json > identity.json
    calstream bench identity --quick

    Takes about five minutes, 2 GB of memory and 2 GB of disk. Needs no broker. Exits with 0 when
    every goal is met, else 1.
    """
    report = run_identity_bench(Console().progress, QUICK if quick else None)
    answer_with(ctx, report, as_json=as_json)
