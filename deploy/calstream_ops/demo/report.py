"""What the demonstration tells at its end: a table for people, one object for machines."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from calstream_ops.demo.case import Result
from calstream_ops.demo.log import Counts, percentile


@dataclass(frozen=True, slots=True)
class Report:
    """The results by case, and what was measured meanwhile."""

    results: dict[str, Result]
    lags_seconds: list[float]
    counts: Counts
    duplicates_dropped: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every case is as expected."""
        return bool(self.results) and all(result.ok for result in self.results.values())


def write_json(report: Report) -> None:
    """Writes one object to standard output."""
    found = {
        "ok": report.ok,
        "cases": [
            {
                "name": name,
                "sent": result.sent,
                "expected": result.expected,
                "actual": result.actual,
                "ok": result.ok,
            }
            for name, result in report.results.items()
        ],
        "lag_seconds": _lag(report),
        "deliveries": len(report.lags_seconds),
        **asdict(report.counts),
        "duplicates_dropped": report.duplicates_dropped,
        "seconds": round(report.seconds, 1),
    }
    sys.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")


def write_table(report: Report) -> None:
    """Writes the table and the figures to standard output."""
    console = Console(highlight=False)
    table = Table(show_lines=True)
    for heading in ("case", "sent", "found in the CRM", "expected"):
        table.add_column(heading, overflow="fold")
    for name, result in report.results.items():
        verdict = "[green]yes[/green]" if result.ok else "[bold red]NO[/bold red]"
        table.add_row(name, result.sent, _describe(result), verdict)
    console.print(table)
    lag = _lag(report)
    if lag["p50"] is not None:
        console.print(
            f"From the accepted webhook to the CRM's confirmation: p50 {lag['p50']:.2f} s, "
            f"p99 {lag['p99']:.2f} s ({len(report.lags_seconds)} writes)."
        )
    console.print(
        f"{report.counts.entities} entities in {report.counts.versions} versions; "
        f"{report.duplicates_dropped} repeats dropped; {report.seconds:.0f} s in all."
    )


def _lag(report: Report) -> dict[str, float | None]:
    return {"p50": percentile(report.lags_seconds, 50), "p99": percentile(report.lags_seconds, 99)}


def _describe(result: Result) -> str:
    """The values found; where one is not as expected, what was."""
    lines = []
    for name, value in result.actual.items():
        line = f"{name}: {_text(value)}"
        if result.expected.get(name) != value:
            line += f" [red](expected {_text(result.expected.get(name))})[/red]"
        lines.append(line)
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
