"""Changes `calstream.toml` with its comments kept, and makes the secrets that it refers to.

The file is replaced at once, and only by one that loads; a mistake leaves the old one as it was.
"""

import os
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import LoadedSettings, load_settings

_SECRET_BYTES = 32
_WORKSPACE = re.compile(r"\s*#?\s*\[\[?\s*[\"']?workspaces[\"']?\s*\.")


def replace_settings(path: Path, text: str) -> LoadedSettings:
    """Makes the file hold this text, if the text loads.

    Raises:
        ConfigError: it would not load, or can't be written; the file is as before.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        try:
            draft.write_text(text, "utf-8")
            loaded = _checked(draft, path)
            if path.exists():
                draft.chmod(path.stat().st_mode)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"{path} can't be written: {error.strerror}."
        ) from error
    return LoadedSettings(loaded.settings, path, loaded.origins)


def add_workspace(
    path: Path,
    name: str,
    values: Mapping[str, str],
    source: str,
    references: Sequence[Mapping[str, str]],
) -> LoadedSettings:
    """Adds a workspace to a settings file.

    Args:
        path: the file.
        name: the workspace.
        values: its plain keys.
        source: where its webhooks come from.
        references: to the source's secrets.

    Raises:
        ConfigError: the file is no TOML, has such a workspace, or would not load with it.
    """
    text, old = _read(path)
    if name in old.get("workspaces", {}):
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{path} has a workspace {name!r} already.",
            hint="Change it in the file, or choose another name.",
        )
    section = _section(name, values, source, references)
    wanted = {**old, "workspaces": {**old.get("workspaces", {}), **section.unwrap()["workspaces"]}}
    return _add(path, text, tomlkit.dumps(section), wanted)


def add_source(
    path: Path, name: str, source: str, references: Sequence[Mapping[str, str]]
) -> LoadedSettings:
    """Adds a source of webhooks to a workspace that is in a settings file.

    Args:
        path: the file.
        name: the workspace.
        source: who sends webhooks.
        references: to the source's secrets.

    Raises:
        ConfigError: the file is no TOML, has no such workspace, has secrets of that source already,
            or would not load with it.
    """
    text, old = _read(path)
    workspaces = old.get("workspaces", {})
    if name not in workspaces:
        raise ConfigError(
            Code.WORKSPACE_UNKNOWN,
            f"{path} has no workspace {name!r}.",
            hint=f"`calstream workspace add {name}` adds it.",
        )
    secrets_before = workspaces[name].get("secrets", {})
    if source in secrets_before:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{path} has secrets of {source} for {name!r} already.",
            hint="Change them in the file.",
        )
    added = {"secrets": {**secrets_before, source: [dict(each) for each in references]}}
    wanted = {**old, "workspaces": {**workspaces, name: {**workspaces[name], **added}}}
    return _add(path, text, tomlkit.dumps(_source_section(name, source, references)), wanted)


def _add(path: Path, text: str, added: str, wanted: Mapping[str, Any]) -> LoadedSettings:
    """Puts a section where it fits: the file must then say what is wanted, and nothing else."""
    lines = text.splitlines(keepends=True)
    for place in (_after_workspaces(lines), len(lines)):
        candidate = _joined("".join(lines[:place]), added, "".join(lines[place:]))
        if _parsed(candidate) == wanted:
            return replace_settings(path, candidate)
    raise ConfigError(
        Code.CONFIG_INVALID,
        f"{path} is written in a way to which no section can be added.",
        hint=f"Add this to it yourself:\n{added}",
    )


def _checked(draft: Path, path: Path) -> LoadedSettings:
    try:
        return load_settings(draft)
    except ConfigError as error:
        message = error.message.replace(str(draft), str(path))
        raise ConfigError(error.code, message, hint="Nothing was changed.") from error


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        return text, tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(Code.CONFIG_INVALID, f"{path} is not TOML: {error}.") from error


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _section(
    name: str,
    values: Mapping[str, str],
    source: str,
    references: Sequence[Mapping[str, str]],
) -> TOMLDocument:
    listed = tomlkit.array()
    for reference in references:
        inline = tomlkit.inline_table()
        inline.update(reference)
        listed.append(inline)
    workspace = tomlkit.table()
    for key, value in values.items():
        workspace.add(key, value)
    workspace.add(tomlkit.key(["secrets", source]), listed)
    workspaces = tomlkit.table(is_super_table=True)
    workspaces.add(name, workspace)
    document = tomlkit.document()
    document.add("workspaces", workspaces)
    return document


def _source_section(
    name: str, source: str, references: Sequence[Mapping[str, str]]
) -> TOMLDocument:
    listed = tomlkit.aot()
    for reference in references:
        entry = tomlkit.table()
        entry.update(reference)
        listed.append(entry)
    document: TOMLDocument = tomlkit.document()
    inner: Any = listed
    for key in (source, "secrets", name):
        table = tomlkit.table(is_super_table=True)
        table.add(key, inner)
        inner = table
    document.add("workspaces", inner)
    return document


def _after_workspaces(lines: Sequence[str]) -> int:
    """The line before which a workspace goes: after the others, above the next section's comment.

    A line that only looks like a header, in a text of several lines, gives a wrong answer; the
    caller sees that by parsing.
    """
    headers = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    # an example in a comment is as good a place
    ours = [number for number, line in enumerate(lines) if _WORKSPACE.match(line)]
    following = [number for number in headers if ours and number > ours[-1]]
    if not following:
        return len(lines)
    place = following[0]
    while lines[place - 1].lstrip().startswith("#"):
        place -= 1
    return place


def _joined(before: str, section: str, after: str) -> str:
    parts = (before.rstrip("\n"), section.rstrip("\n"), after.strip("\n"))
    return "\n\n".join(part for part in parts if part) + "\n"


def keep_secret(path: Path, value: str = "") -> bool:
    """Makes a file with a secret that only its owner may read; one that is there stays.

    Args:
        path: the file.
        value: the secret; a new random one by default.

    Returns:
        Whether the file is new.

    Raises:
        ConfigError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(
            Code.SECRET_MISSING, f"The secret {path} can't be written: {error.strerror}."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write((value or secrets.token_urlsafe(_SECRET_BYTES)) + "\n")
    return True


def secret_path(state_directory: Path, name: str) -> Path:
    """Where a secret that we make ourselves is kept."""
    return state_directory / "secrets" / name


def in_toml(text: str) -> str:
    """A text as a TOML string, with its quotes."""
    return tomlkit.string(text).as_string()
