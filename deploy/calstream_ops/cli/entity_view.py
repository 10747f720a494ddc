"""Entities and their histories as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from calstream_ops.cli.terminal import shown, table

_INDENT = "  "


def entity_text(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """What `entity_report.describe` gives, as text."""
    yield Text(found["key"], style="bold")
    yield Text(
        f"version {found['version']}, learned at {found['cause']['received_at']}; "
        f"first seen at {found['first_seen_at']}"
    )
    if found["merge"]:
        its = found["merge"]
        yield Text(f"merged into {its['into']} by {shown(its['by'])} at {its['at']}", style="bold")
    if found["erasure"]:
        yield Text(f"{found['erasure']['state']} at {found['erasure']['since']}", style="bold")
    if found["apart"]:
        yield Text(f"not the same as {', '.join(found['apart'])}")
    yield Text()
    yield table(
        ("field", "value", "decided by", "said at", "rule"),
        (
            (name, _value(its["value"]), _source(its["source"]), its["said_at"], its["rule"])
            for name, its in found["fields"].items()
        ),
    )
    if found["references"]:
        yield Text()
        yield table(("refers to", "entity"), found["references"].items())
    yield Text()
    headings = ("copy", "role", "last word", "written by", "holds", "differs from the truth")
    yield table(headings, map(_copy_row, found["copies"]))


def history_text(key: str, versions: Sequence[Mapping[str, Any]]) -> Iterator[Table | Text]:
    """What `entity_report.describe_history` gives, as text."""
    yield Text(key, style="bold")
    for version in versions:
        yield Text()
        if version["deleted"]:
            yield Text("deleted", style="bold")
            continue
        yield Text(
            f"version {version['version']}, learned at {version['received_at']}", style="bold"
        )
        if version["changes"]:
            yield table(
                ("field", "before", "after", "decided by", "rule"),
                (
                    (
                        change["field"],
                        _value(change["before"]),
                        _value(change["after"]),
                        _source(change["source"]) if change["source"] else "",
                        change["rule"],
                    )
                    for change in version["changes"]
                ),
            )
        for copy in version["copies"]:
            groups = f": {', '.join(copy['groups'])}" if copy["groups"] else ""
            yield Text(f"{_INDENT}copy {_source(copy)} {copy['change']}{groups}", style="dim")


def _copy_row(copy: Mapping[str, Any]) -> tuple[object, ...]:
    groups = copy["groups"]
    by_us = {its["by_calstream"] for its in groups.values()}
    writer = {frozenset({True}): "us", frozenset({False}): "them"}.get(frozenset(by_us), "both")
    return (
        _source(copy) + (" (gone)" if copy["gone"] else ""),
        copy["role"],
        max((its["said_at"] for its in groups.values()), default=""),
        writer if groups else "",
        ", ".join(groups),
        "; ".join(f"{field}={_value(value)}" for field, value in copy["differs"].items()),
    )


def _source(source: Mapping[str, str]) -> str:
    return shown(f"{source['system']}/{source['type']}/{source['id']}")


def _value(value: Any) -> str:
    return "-" if value is None else shown(value)
