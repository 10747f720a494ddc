"""The root of the command line: global options, the commands' names, errors and exit statuses.

Only names and summaries are here. The module of a command is imported when the command is used, so
that `--help` and completion answer at once.
"""

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from calstream_core.errors import CalstreamError
from calstream_ops.cli.terminal import Output, Terminal

USAGE_CODE = "usage"
"""The code of a command line that can't be understood; its exit status is 2."""

_FLAGS = frozenset({"-q", "--quiet", "-v", "--verbose", "--no-color"})
_WITH_VALUE = frozenset({"-o", "--output", "--config"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the global options say; every command finds it in its context."""

    terminal: Terminal
    config: Path | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One word after `calstream`.

    Attributes:
        place: the module in this package and its typer application, `module:name`.
        summary: the same as the application's own; a test compares.
        panel: the heading in the help under which it stands.
    """

    place: str
    summary: str
    panel: str

    def load(self) -> Any:
        """Imports the module and gives its command."""
        module, _, name = self.place.partition(":")
        return get_command(getattr(importlib.import_module(f"calstream_ops.cli.{module}"), name))


_RUN, _LOOK, _CONNECT = "Run", "Look", "Connect"

COMMANDS = {
    "init": Entry("initialise:app", "Write a settings file to start from.", _RUN),
    "up": Entry("stack:up_app", "Start everything on this machine.", _RUN),
    "status": Entry("stack:status_app", "Show how the processes do.", _RUN),
    "down": Entry("stack:down_app", "Stop everything.", _RUN),
    "demo": Entry("demo:app", "See a booking arrive in a CRM, end to end.", _RUN),
    "chaos": Entry("chaos:app", "Prove by killing that nothing is lost.", _RUN),
    "bench": Entry("bench:app", "Measure how fast it is, against its goals.", _RUN),
    "workspace": Entry("workspace:app", "Add and list workspaces.", _CONNECT),
    "sink": Entry("sink:app", "Check, set up and resync sinks.", _CONNECT),
    "key": Entry("key:app", "Count, rotate, export and import the keys of sealed data.", _CONNECT),
    "config": Entry("config:app", "Check, show and explain the settings.", _CONNECT),
    "rules": Entry(
        "rules:app", "Show what other rules would change, and make them count.", _CONNECT
    ),
    "replay": Entry("replay:app", "Make the truth again from what is kept.", _CONNECT),
    "generate": Entry("generate:app", "Write documents from the code and the settings.", _LOOK),
    "entity": Entry("entity:app", "Show what is known of a person or booking, and why.", _LOOK),
    "contact": Entry("contact:app", "Decide who is who: merge, unmerge, keep apart.", _LOOK),
    "erase": Entry(
        "erase:app", "Erase a person, here and at every system; show who has done it.", _LOOK
    ),
    "review": Entry("review:app", "List contacts that may be one person.", _LOOK),
    "conflict": Entry(
        "conflict:app", "List double bookings, and what systems say differently; decide.", _LOOK
    ),
    "audit": Entry(
        "audit:app", "Show what changed and who decided; verify that nothing was removed.", _LOOK
    ),
    "webhook": Entry("webhook:app", "Send a signed webhook; watch them arrive.", _LOOK),
    "topic": Entry("topic:app", "Create, check and read Kafka topics.", _LOOK),
}
"""Every command by its name, in the order of the help."""

_PLURALS = {
    f"{name}s": name
    for name in ("workspace", "sink", "key", "webhook", "topic", "contact", "review", "conflict")
} | {"entities": "entity"}


class RootGroup(TyperGroup):
    """The root: loads commands late, takes global options anywhere, reports errors."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(
                TyperCommand(name, help=entry.summary, rich_help_panel=entry.panel), name
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Finds a command and loads it; a plural is taken for its singular."""
        name, command, rest = super().resolve_command(
            ctx, [_PLURALS.get(args[0], args[0]), *args[1:]]
        )
        return name, command if name is None else COMMANDS[name].load(), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Takes the global options from wherever they stand."""
        options, rest = split_global_options(args)
        return super().parse_args(ctx, [*options, *rest])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command line and exits with its status."""
        del standalone_mode  # there is one way to end: exit
        given = sys.argv[1:] if args is None else list(args)
        try:
            status = super().main(
                given, prog_name, complete_var, False, windows_expand_args, **extra
            )
        except CalstreamError as error:
            status = _report(_terminal_for(given), error)
        except typer.TyperException as error:
            status = _report_usage(_terminal_for(given), error)
        except typer.Abort:
            status = 1
        sys.exit(status or 0)


def split_global_options(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options of a command line, and the rest; what follows `--` is left alone."""
    options: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _WITH_VALUE:
            options += [word, *islice(words, 1)]
        elif word in _FLAGS or word.startswith(("--output=", "--config=")) or _is_short(word):
            options.append(word)
        else:
            rest.append(word)
    return options, rest


def _is_short(word: str) -> bool:
    return word.startswith("-o") and len(word) > len("-o")


def _terminal_for(args: Sequence[str]) -> Terminal:
    """For errors: also where the options themselves could not be understood."""
    options, _ = split_global_options(args)
    output = ""
    words = iter(options)
    for word in words:
        if word in {"-o", "--output"}:
            output = next(words, "")
        elif word.startswith("--output="):
            output = word.partition("=")[2]
        elif _is_short(word):
            output = word.removeprefix("-o")
    return Terminal(
        output=Output.JSON if output == Output.JSON else Output.TEXT,
        verbose=not {"-v", "--verbose"}.isdisjoint(options),
        colour="--no-color" not in options,
    )


def _report(terminal: Terminal, error: CalstreamError) -> int:
    if terminal.verbose:
        traceback.print_exception(error)
    terminal.failure(error)
    return error.exit_status


def _report_usage(terminal: Terminal, error: typer.TyperException) -> int:
    message = error.format_message()
    if message:  # empty: the help was shown in its place
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "calstream"
        terminal.error(USAGE_CODE, message, f"`{path} --help` shows what it takes.")
    return error.exit_code


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"calstream {metadata.version('calstream')}\n")
        raise typer.Exit


app = typer.Typer(name="calstream", cls=RootGroup, no_args_is_help=True)


@app.callback(
    epilog="Global options may stand anywhere. docs/command-line.md lists the exit statuses."
)
def root(
    ctx: typer.Context,
    *,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How answers and errors are written.")
    ] = Output.TEXT,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The settings file; by default $CALSTREAM_CONFIG, then ./calstream.toml.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only answers and errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Errors with where they come from.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; the variable NO_COLOR does it too.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Keeps a scheduling platform, the CRMs and the services around a booking in agreement.

    calstream init          writes calstream.toml
    calstream up --detach   starts everything on this machine
    calstream status        shows how it does
    """
    terminal = Terminal(output=output, quiet=quiet, verbose=verbose, colour=not no_color)
    ctx.obj = Invocation(terminal, config)


def main() -> None:
    """Runs the command line of this process, and exits."""
    get_command(app)(prog_name="calstream")
