"""The pages on errors, settings and commands say what the code does, all of it and no more."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperGroup

from calstream_core.errors import (
    Code,
    ConfigError,
    RecordError,
    UnavailableError,
)
from calstream_core.settings import Settings
from calstream_ops.cli.root import COMMANDS, USAGE_CODE

DOCS = Path(__file__).parents[2] / "docs"
PLACEHOLDERS = {
    "workspaces": "NAME",
    "sinks": "ID",
    "secrets": "SOURCE",
    "owners": "GROUP",
    "event_types": "SLUG",
    "hosts": "ID",
}


def rows(page: str, heading: str) -> list[list[str]]:
    """The table whose first column has this heading."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("| "):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def test_every_error_code_has_a_heading_and_no_other_has() -> None:
    text = (DOCS / "errors.md").read_text("utf-8")
    assert sorted(re.findall(r"^### (\S+)$", text, re.MULTILINE)) == sorted([*Code, USAGE_CODE])


def test_every_heading_of_an_error_says_something() -> None:
    text = (DOCS / "errors.md").read_text("utf-8")
    sections = re.split(r"^##+ .*$", text, flags=re.MULTILINE)[1:]
    headings = re.findall(r"^(##+) .*$", text, re.MULTILINE)
    for heading, section in zip(headings, sections, strict=True):
        if heading == "###":
            assert section.strip()


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that can be set, with placeholders for names."""
    for name, field in model.model_fields.items():
        yield from _keys(f"{prefix}{name}", name, field.annotation, field)


def _keys(
    key: str, name: str, annotation: Any, field: FieldInfo
) -> Iterator[tuple[str, FieldInfo]]:
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        yield from _keys(f"{key}.{PLACEHOLDERS[name]}", name, inner[1], field)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from settings_of(annotation, f"{key}.")
    else:
        yield key, field
        element = inner[0] if get_origin(annotation) is tuple else None
        if isinstance(element, type) and issubclass(element, BaseModel):
            yield from settings_of(element, f"{key}[].")


def shown_default(key: str, field: FieldInfo) -> str:
    if key == "state.directory":
        return "the user's state directory"
    if key.endswith((".SOURCE", ".GROUP")) or (not field.is_required() and field.default is None):
        return "none"
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, tuple):
        return "`[]`"
    return f"`{default}`" if default != "" else '`""`'


def test_every_setting_is_on_the_page_with_its_default() -> None:
    expected = {f"`{key}`": shown_default(key, field) for key, field in settings_of(Settings)}
    found = {key: default for key, default, _ in rows("settings.md", "key")}
    assert found == expected


def test_every_command_is_on_the_page_in_its_own_words() -> None:
    expected = {}
    for name, entry in COMMANDS.items():
        command = entry.load()
        if isinstance(command, TyperGroup):
            for verb, each in command.commands.items():
                expected[f"`calstream {name} {verb}`"] = (each.help or "").partition("\n")[0]
        else:
            expected[f"`calstream {name}`"] = entry.summary
    assert dict(rows("command-line.md", "command")) == expected


def test_every_exit_status_of_an_error_is_on_the_page() -> None:
    found = {int(status) for status, _ in rows("command-line.md", "status")}
    statuses = {kind.exit_status for kind in (ConfigError, RecordError, UnavailableError)}
    assert statuses | {0, 1, 2, 130} == found
