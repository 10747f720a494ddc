"""The mapping document: for each field where it comes from, who owns it and where it is written."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields

from calstream_core.settings import Settings
from calstream_ops.reference.field_page import markdown_table
from calstream_ops.reference.rule_lines import rule_lines
from calstream_processors.normalise.calendar_live_fields import SOURCE_OF_FIELD
from calstream_processors.resolve.rule_settings import rule_set_in
from calstream_schemas.entities import KINDS
from calstream_sinks.hubspot.mapping import ROWS

_HUBSPOT = "hubspot"


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One field in one workspace, and where it goes in one sink; no sink writes some fields."""

    workspace: str
    kind: str
    group: str
    field: str
    calendar_live: str
    rules: str
    owner: str
    kept: str
    sink: str = ""
    property: str = ""
    written: str = ""
    direction: str = ""


HEADINGS = tuple(field.name for field in fields(MappingRow))


def mapping_rows(settings: Settings, workspaces: Iterable[str]) -> Iterator[MappingRow]:
    """The rows of these workspaces.

    Raises:
        ConfigError: a workspace's rules are not valid.
    """
    for name in workspaces:
        rules = rule_set_in(settings, name)
        sinks = [
            sink_id
            for sink_id, sink in settings.sinks.items()
            if sink.type == _HUBSPOT and (not sink.workspaces or name in sink.workspaces)
        ]
        for kind in KINDS.values():
            for group in kind.groups:
                for field in group.fields:
                    common = (
                        name,
                        kind.name,
                        group.name,
                        field.name,
                        SOURCE_OF_FIELD.get((kind.name, field.name), ""),
                        "; ".join(rule_lines(kind.name, group.name, rules)),
                        rules.owners[kind.name, group.name],
                        "sealed" if field.sealed else "clear",
                    )
                    written = [
                        MappingRow(
                            *common,
                            sink_id,
                            ", ".join(row.properties),
                            row.transform.summary,
                            row.direction.value,
                        )
                        for sink_id in sinks
                        for row in ROWS
                        if row.kind == kind.name and field.name in row.fields
                    ]
                    yield from written or [MappingRow(*common)]


def as_markdown(rows: list[MappingRow]) -> str:
    """A document with one table for each workspace."""
    parts = ["# Field mapping\n"]
    for name in dict.fromkeys(row.workspace for row in rows):
        own = [list(map(str, astuple(row)))[1:] for row in rows if row.workspace == name]
        parts.append(f"## {name}\n\n{markdown_table(HEADINGS[1:], own)}")
    return "\n".join(parts)


def as_csv(rows: list[MappingRow]) -> str:
    """One line a row, with headings (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADINGS)
    writer.writerows(astuple(row) for row in rows)
    return out.getvalue()
