"""`calstream chaos`: wires the command line to the trials."""

from typing import Annotated

import typer
from rich.text import Text

from calstream_ops.chaos import run_engine_chaos
from calstream_ops.chaos.report import Report
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import Output, Terminal, table

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def chaos() -> None:
    """Prove by killing that nothing is lost."""


@app.command()
def engine(
    ctx: typer.Context,
    events: Annotated[
        int, typer.Option(min=1000, help="How many records flow, at least.")
    ] = 50_000,
    seed: Annotated[int, typer.Option(help="The same seed, the same moments.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the logs and data.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The result as one JSON object; the same as -o json.")
    ] = False,
) -> None:
    """Kill workers and the broker of the engine while records flow, and compare.

    calstream chaos engine --events 5000

    Compares what is found with a plain sequential reference. It has a broker of its own. Exits
    with 0 only if no effect is lost, repeated or out of order.
    """
    terminal = session_of(ctx).terminal
    report = run_engine_chaos(events, seed, keep=keep)
    _tell(Terminal(output=Output.JSON) if as_json else terminal, report)
    raise typer.Exit(0 if report.ok else 1)


def _tell(terminal: Terminal, report: Report) -> None:
    fields = report.fields()
    rows = [(name, value) for name, value in fields.items() if name != "findings"]
    findings = [Text(line, style="red") for line in fields["findings"]]
    terminal.answer(fields, table(("", ""), rows), *findings)
