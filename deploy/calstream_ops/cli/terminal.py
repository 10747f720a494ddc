"""What the command line shows: answers on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from calstream_core.errors import CalstreamError

# a pipe has no width; a table that is read by a program must not be folded
_PIPE_WIDTH = 500


class Output(StrEnum):
    """How answers are written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command writes to.

    Standard output gets the answer and nothing else. Progress and errors go to standard error.

    Attributes:
        output: `json` writes answers as one JSON document, errors as one JSON object.
        quiet: only answers and errors.
        verbose: errors with their causes.
        colour: where the stream is a terminal and NO_COLOR is not set.
    """

    output: Output = Output.TEXT
    quiet: bool = False
    verbose: bool = False
    colour: bool = True

    @property
    def is_json(self) -> bool:
        """Whether answers are JSON."""
        return self.output is Output.JSON

    def say(self, text: str) -> None:
        """Tells a person something; not with `-q`, and not with `-o json`."""
        if not self.quiet and not self.is_json:
            self._console(sys.stderr).print(printable(text), soft_wrap=True)

    def answer(self, data: Any, *text: Table | Text | str) -> None:
        """Writes the answer: `data` as JSON, or `text`."""
        if self.is_json:
            sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
            return
        console = self._console(sys.stdout)
        for part in text:
            console.print(printable(part) if isinstance(part, str) else part, soft_wrap=True)

    def document(self, text: str) -> None:
        """Writes a document as it is, to be kept in a file."""
        sys.stdout.write(text)

    def json_line(self, data: Any) -> None:
        """Writes one JSON document on a line of its own, at once."""
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def text_line(self, text: str) -> None:
        """Writes one line of an answer that grows, at once."""
        sys.stdout.write(printable(text, lines=False) + "\n")
        sys.stdout.flush()

    def error(self, code: str, message: str, hint: str = "") -> None:
        """Says what went wrong: in JSON one object, else a block with what to do about it."""
        if self.is_json:
            found = {"code": code, "message": message, "hint": hint}
            sys.stderr.write(json.dumps(found, ensure_ascii=False) + "\n")
            return
        block = Text.assemble(("error: ", "bold red"), printable(message))
        if hint:
            block.append(f"\n  hint: {printable(hint)}")
        block.append(f"\n  code: {code}, see docs/errors.md", style="dim")
        self._console(sys.stderr).print(block, soft_wrap=True)

    def failure(self, error: CalstreamError) -> None:
        """Says what an error of ours says."""
        self.error(error.code, error.message, error.hint)

    def progress(self) -> Progress:
        """A line on standard error that shows what goes on; nothing where no terminal is there."""
        console = self._console(sys.stderr)
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=self.quiet or self.is_json or not console.is_terminal,
        )

    def _console(self, stream: TextIO) -> Console:
        return Console(
            file=stream,
            no_color=None if self.colour else True,
            width=None if stream.isatty() else _PIPE_WIDTH,
            markup=False,
            highlight=False,
            emoji=False,
        )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without frames. None is an empty cell; a number stands on the right."""
    found = [list(row) for row in rows]
    result = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for position, heading in enumerate(headings):
        column = [row[position] for row in found]
        numbers = bool(column) and all(type(cell) is int for cell in column)
        result.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in found:
        result.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row))
    return result


def shown(value: object) -> str:
    """A value as a person reads it: None is empty, flags are words, one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(shown(item) for item in value)
    return printable(str(value), lines=False)


def printable(text: str, *, lines: bool = True) -> str:
    """Text without control characters: what others wrote must not steer the terminal."""
    kept = {"\n"} if lines else set()
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)
