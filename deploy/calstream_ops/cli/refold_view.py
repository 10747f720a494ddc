"""Refolds for people: what one would change, and how far one is."""

from collections.abc import Sequence
from typing import Any

from rich.progress import Progress
from rich.table import Table

from calstream_ops.cli.terminal import table
from calstream_ops.refold_desk import Watch
from calstream_schemas.refolds import Refold


def values_changed(changes: Sequence[dict[str, Any]]) -> int:
    """How many of the changes of `refold_report.shown_changes` are of values."""
    return sum(change["old"] != change["new"] for change in changes)


def change_table(changes: Sequence[dict[str, Any]]) -> Table:
    """What `refold_report.shown_changes` gives, as a table."""
    headings = ("entity", "field", "old", "new", "decided by", "would decide")
    return table(headings, (_row(change) for change in changes))


def refold_progress(shown: Progress) -> Watch:
    """Shows how far refolds are."""
    task = shown.add_task("waiting for the resolver")

    def watch(under_way: dict[str, Refold]) -> None:
        its = under_way.values()
        done, whole = sum(each.done for each in its), sum(each.slices for each in its)
        changed = sum(each.changed for each in its)
        text = f"folding again: slice {done} of {whole}, {changed} entities changed"
        shown.update(task, description=text if whole else "waiting for the resolver")

    return watch


def _row(change: dict[str, Any]) -> list[object]:
    deciders = [
        f"{each['system']} ({each['rule']})" if each else None
        for each in (change["decided_by"], change["would_decide"])
    ]
    return [change["key"], change["field"], change["old"], change["new"], *deciders]
