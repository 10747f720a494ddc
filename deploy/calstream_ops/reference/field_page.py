"""The page that lists every field: its group, its owner in each pattern, whether it is sealed."""

from collections.abc import Iterable, Sequence

from calstream_processors.resolve.automation.writes import WRITTEN_BY_RULES
from calstream_processors.resolve.ownership import PATTERNS
from calstream_schemas.entities import KINDS, Field

_INTRODUCTION = """\
# Fields

Written by `calstream generate fields` from the catalogue and the patterns; a test compares.

Fields of one group are said, kept and decided together. Under each pattern stands the group's
default owner: a role, or `newest` where the newest word counts. [Who owns what](ownership.md) tells
how to change it. What is sealed is encrypted in every topic. Times are microseconds in UTC.
"""

_RULES = """\
## Fields that rules write

Into a copy of the system `rules`, which counts as its owner says. [Automation](automation.md) tells
by which rules.
"""


def field_page() -> str:
    """The page in Markdown."""
    kinds = markdown_table(("kind", "what"), ([k.name, k.doc] for k in KINDS.values()))
    rows = [
        [
            kind.name,
            group.name,
            f"`{field.name}`",
            _type(field),
            *(rules.owners[kind.name, group.name] for rules in PATTERNS.values()),
            "sealed" if field.sealed else "clear",
            field.doc,
        ]
        for kind in KINDS.values()
        for group in kind.groups
        for field in group.fields
    ]
    headings = ("kind", "group", "field", "type", *PATTERNS, "kept", "meaning")
    written = markdown_table(
        ("kind", "group", "fields", "what the rules say"),
        (
            (kind, group, _fields(kind, group), what)
            for (kind, group), what in WRITTEN_BY_RULES.items()
        ),
    )
    return f"{_INTRODUCTION}\n{kinds}\n{markdown_table(headings, rows)}\n{_RULES}\n{written}"


def _fields(kind: str, group: str) -> str:
    return ", ".join(f"`{field.name}`" for field in KINDS[kind].group_by_name[group].fields)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _type(field: Field) -> str:
    return f"reference to {field.reference}" if field.reference else field.type.name.lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
