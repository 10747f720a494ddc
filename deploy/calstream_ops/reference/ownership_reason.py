"""Who owns a group of fields by the settings, and why. Pure."""

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import WorkspaceSettings
from calstream_ops.reference.rule_lines import SETTING_OF_RULES, rule_lines
from calstream_processors.resolve.rule_settings import rule_set_of
from calstream_schemas.entities import KINDS, Kind
from calstream_schemas.rule_sets import NEWEST


@dataclass(frozen=True, slots=True)
class OwnerReason:
    """Who owns a group in one workspace, and why.

    Attributes:
        workspace: None stands for any that changes nothing.
        owner: a role, or `newest`.
        reason: the pattern, or the setting that goes before it, with its origin.
        otherwise: what decides while the owner has not spoken.
        rules: what the workspace's rules write into it, and by which of them.
    """

    workspace: str | None
    kind: str
    group: str
    fields: tuple[str, ...]
    owner: str
    reason: str
    otherwise: str
    rules: tuple[str, ...]


def explain_owner(
    what: str,
    name: str | None,
    workspace: WorkspaceSettings,
    origin: Callable[[str], str],
    sinks: Collection[str] = (),
) -> OwnerReason:
    """Explains one group or field.

    Args:
        what: `kind.group` or `kind.field`.
        name: of the workspace.
        workspace: its settings.
        origin: where a setting comes from, by its dotted key.
        sinks: the ids of the sinks, which may stand in the precedence.

    Raises:
        ConfigError: there is no such kind, group or field, or the workspace's rules are not valid.
    """
    kind, group = _find(what)
    rules = rule_set_of(name or "", workspace, sinks)
    owner = rules.owners[kind.name, group]
    prefix = f"workspaces.{name}."
    lines = rule_lines(kind.name, group, rules)
    setting = f"{kind.name}.{group}"
    if setting in workspace.rules.owners:
        place = origin(f"{prefix}rules.owners.{setting}")
        reason = f'{prefix}rules.owners."{setting}" in {place}'
    else:
        reason = f"the pattern {workspace.pattern.value}"
        if name is not None:
            reason += f", {origin(f'{prefix}pattern')}"
    order = "the newest word; at the same time " + " before ".join(rules.precedence)
    return OwnerReason(
        name,
        kind.name,
        group,
        tuple(field.name for field in kind.group_by_name[group].fields),
        owner,
        reason,
        order if owner != NEWEST else f"{order} (always)",
        (*lines, *_set_by(kind.name, group, prefix, origin)) if lines else (),
    )


def _set_by(kind: str, group: str, prefix: str, origin: Callable[[str], str]) -> Iterator[str]:
    setting = SETTING_OF_RULES.get((kind, group))
    if setting is not None:
        yield f"set by {prefix}{setting}, {origin(f'{prefix}{setting}')}"


def _find(what: str) -> tuple[Kind, str]:
    kind_name, _, name = what.partition(".")
    kind = KINDS.get(kind_name)
    if kind is None:
        raise _unknown(what, list(KINDS), kind_name)
    if name in kind.group_by_name:
        return kind, name
    for group in kind.groups:
        for field in group.fields:
            if name in {field.name, field.name.removesuffix("_at")}:
                return kind, group.name
    names = [*kind.group_by_name, *kind.field_by_name]
    raise _unknown(what, [f"{kind_name}.{each}" for each in names], what)


def _unknown(what: str, known: list[str], given: str) -> ConfigError:
    close = difflib.get_close_matches(given, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
    return ConfigError(
        Code.CONFIG_INVALID,
        f"There is no group or field {what!r}.",
        hint=f"{hint} See docs/fields.md.",
    )
