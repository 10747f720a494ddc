"""`calstream bench render`: a bench's figures into a page of the docs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from calstream_core.errors import Code, ConfigError
from calstream_ops.bench.page import write_into
from calstream_ops.cli.session import session_of


def render(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `calstream bench NAME --json` wrote.")],
    page: Annotated[Path, typer.Argument(help="The page; the figures go between its markers.")],
) -> None:
    """Write the figures of a bench into a page.

    calstream bench render engine.json benchmarks.md
    """
    try:
        report = json.loads(file.read_text("utf-8"))
        changed = write_into(page, report)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"{file} is not what a bench writes: {error!r}."
        ) from error
    what = "has new figures" if changed else "had these figures already"
    session_of(ctx).terminal.answer({"page": str(page), "changed": changed}, f"{page} {what}")
