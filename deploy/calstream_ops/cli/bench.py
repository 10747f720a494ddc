"""`calstream bench`: wires the command line to the benches."""

import typer

from calstream_ops.cli.bench_identity import identity

app = typer.Typer(
    help="Measure how fast it is, against its goals.", no_args_is_help=True, add_completion=False
)
app.command("identity")(identity)


@app.callback()
def bench() -> None:
    """Measure how fast it is, against its goals."""
