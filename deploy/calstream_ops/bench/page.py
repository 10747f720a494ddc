"""Figures for people: a table on the terminal, and the same table in a page of the docs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calstream_core.errors import Code, ConfigError
from calstream_ops.bench.measures import MEASURES

HEADINGS = ("result", "value", "unit", "goal", "met")


def rows(report: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The rows of a report's table, as text."""
    limits = {measure.name for measure in MEASURES[report["bench"]] if measure.at_most}
    for result in report["results"]:
        goal = result["goal"]
        sign = "≤" if result["name"] in limits else "≥"
        yield (
            result["name"],
            "-" if result["value"] is None else number(result["value"]),
            result["unit"],
            "" if goal is None else f"{sign} {number(goal)}",
            {True: "yes", False: "NO", None: ""}[result["met"]],
        )


def number(value: float) -> str:
    """A number with separators where it is large."""
    return f"{value:,}"


def markdown(report: Mapping[str, Any]) -> str:
    """A report's table and where it was measured, in Markdown."""
    machine, commit = report["machine"], report["commit"] or "unknown"
    where = (
        f"Measured on {machine['cpus']} cores ({machine['processor']}), {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {machine['python']}; commit `{commit}`."
    )
    lines = [
        where,
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"| {' | '.join('---' for _ in HEADINGS)} |",
        *(f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows(report)),
    ]
    return "\n".join(lines)


def write_into(page: Path, report: Mapping[str, Any]) -> bool:
    """Replaces what stands between the bench's markers in a page.

    Returns:
        Whether the page has changed.

    Raises:
        ConfigError: the page can't be read or has no such markers.
    """
    begin, end = markers(report["bench"])
    try:
        text = page.read_text("utf-8")
        before, rest = text.split(begin)
        _, after = rest.split(end)
    except (OSError, ValueError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{page} has no place for the figures.",
            hint=f"It must hold the lines {begin} and {end}, once.",
        ) from error
    changed = f"{before}{begin}\n{markdown(report)}\n{end}{after}"
    page.write_text(changed, "utf-8")
    return changed != text


def markers(bench: str) -> tuple[str, str]:
    """The lines between which the figures stand."""
    return f"<!-- figures of {bench} -->", f"<!-- end of the figures of {bench} -->"
