"""Reads the settings and remembers where each value came from."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from calstream_core.errors import Code, ConfigError
from calstream_core.settings.model import Settings

CONFIG_FILE_NAME = "calstream.toml"
ENVIRONMENT_PREFIX = "CALSTREAM_"
_CONFIG_VARIABLE = "CALSTREAM_CONFIG"
_NOT_SETTINGS = {_CONFIG_VARIABLE, "CALSTREAM_VENDOR_SPECS", "CALSTREAM_HOME"}


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with their origin.

    Attributes:
        settings: the checked settings.
        path: the file that was read, or None where there was none.
        origins: for each dotted key that was set, `file` or the name of the variable.
    """

    settings: Settings
    path: Path | None
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Where a dotted key's value comes from: a file, a variable, or `default`."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return "default"


def load_settings(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> LoadedSettings:
    """Reads `calstream.toml` and the environment.

    Args:
        path: the file; otherwise `$CALSTREAM_CONFIG`, otherwise `calstream.toml` in the working
            directory if it is there. A file that is named must exist.
        environment: the variables, by default the process's.

    Raises:
        ConfigError: the file is missing, is no TOML, or has unknown or impossible values. Every
            fault is named at once, an unknown key with the closest known one.
    """
    variables = os.environ if environment is None else environment
    file = _find(path, variables)
    tree = _read(file) if file else {}
    origins = dict.fromkeys(_leaves(tree), str(file))
    for name, keys, value in _from_environment(variables):
        _put(tree, keys, value, name)
        origins[".".join(keys)] = name
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"The settings{f' in {file}' if file else ''} are not valid:\n"
            + "\n".join(f"  {line}" for line in _explain(error, origins)),
            hint="Correct them and run `calstream config check`.",
        ) from error
    return LoadedSettings(settings, file, origins)


def _find(path: Path | None, variables: Mapping[str, str]) -> Path | None:
    named = path or (Path(variables[_CONFIG_VARIABLE]) if variables.get(_CONFIG_VARIABLE) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(
                Code.CONFIG_NOT_FOUND,
                f"There is no settings file {named}.",
                hint="`calstream init` writes one.",
            )
        return named
    here = Path.cwd() / CONFIG_FILE_NAME
    return here if here.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(Code.CONFIG_INVALID, f"{file} is not TOML: {error}.") from error


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += _leaves(value, f"{dotted}.")
        else:
            found.append(dotted)
    return found


def _from_environment(variables: Mapping[str, str]) -> list[tuple[str, list[str], Any]]:
    found = []
    for name in sorted(variables):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _NOT_SETTINGS:
            continue
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        text = variables[name]
        value: Any = text
        if text[:1] in {"[", "{"}:
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise ConfigError(
                    Code.CONFIG_INVALID, f"The variable {name} is not JSON: {error}."
                ) from error
        found.append((name, keys, value))
    return found


def _put(tree: dict[str, Any], keys: list[str], value: Any, name: str) -> None:
    for key in keys[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise ConfigError(
                Code.CONFIG_INVALID, f"The variable {name} goes below {key}, which is a value."
            )
        tree = below
    tree[keys[-1]] = value


def _explain(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"])
        origin = origins.get(where, "")
        if origin.startswith(ENVIRONMENT_PREFIX):
            where = f"{where} (from {origin})"
        if fault["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key{_suggestion(fault)}")
        else:
            lines.append(f"{where}: {fault['msg']}")
    return lines


def _suggestion(fault: ErrorDetails) -> str:
    model: type[BaseModel] | None = Settings
    for part in fault["loc"][:-1]:
        model = _below(model, part)
    if model is None:
        return ""
    close = difflib.get_close_matches(str(fault["loc"][-1]), list(model.model_fields), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _below(model: type[BaseModel] | None, part: str | int) -> type[BaseModel] | None:
    """The model under a key; a step into a mapping or a list stays at the model that holds it."""
    if model is None:
        return None
    field = model.model_fields.get(str(part))
    if field is None:
        return model
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending.extend(get_args(annotation))
    return None
