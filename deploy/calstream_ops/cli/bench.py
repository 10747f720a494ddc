"""`calstream bench`: measure how fast it is; a module for each bench beside this one."""

import typer

from calstream_ops.cli.bench_engine import engine
from calstream_ops.cli.bench_identity import identity
from calstream_ops.cli.bench_overlap import overlap
from calstream_ops.cli.bench_render import render
from calstream_ops.cli.bench_resolve import resolve

app = typer.Typer(
    help="Measure how fast it is, against its goals.", no_args_is_help=True, add_completion=False
)
app.command("engine")(engine)
app.command("identity")(identity)
app.command("resolve")(resolve)
app.command("overlap")(overlap)
app.command("render")(render)
