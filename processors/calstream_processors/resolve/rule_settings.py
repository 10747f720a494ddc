"""The rule set that a workspace's settings ask for, and where each owner comes from."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import WorkspaceSettings
from calstream_processors.resolve.ownership import PATTERNS
from calstream_schemas.entities import KINDS
from calstream_schemas.rule_sets import NEWEST, ROLES, OwnerKey, RuleSet


def rule_set_of(name: str, workspace: WorkspaceSettings) -> RuleSet:
    """The pattern's rule set with what the workspace changes.

    Args:
        name: of the workspace, for messages.
        workspace: its settings.

    Raises:
        ConfigError: an unknown kind, group or role. Every fault is named, with the closest name.
    """
    faults = list(_faults(workspace))
    if faults:
        lines = "\n".join(f"  workspaces.{name}.rules.{fault}" for fault in faults)
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"The rules of workspace {name} are not valid:\n{lines}",
            hint="docs/fields.md lists kinds, groups and owners.",
        )
    asked, pattern = workspace.rules, PATTERNS[workspace.pattern]
    first = asked.precedence
    return replace(
        pattern,
        owners={**pattern.owners, **{_key(text): role for text, role in asked.owners.items()}},
        precedence=(*first, *(role for role in pattern.precedence if role not in first)),
        conflict_window_seconds=asked.conflict_window_seconds,
        ignore_plus_addresses=asked.ignore_plus_addresses,
        ignore_dots=asked.ignore_dots,
    )


def _key(text: str) -> OwnerKey:
    kind, _, group = text.partition(".")
    return (kind, group)


def _faults(workspace: WorkspaceSettings) -> Iterator[str]:
    for text, role in workspace.rules.owners.items():
        kind, group = _key(text)
        place = f'owners."{text}"'
        if kind not in KINDS:
            yield f"{place}: there is no kind {kind!r}{_closest(kind, KINDS)}"
        elif group not in KINDS[kind].group_by_name:
            known = KINDS[kind].group_by_name
            field_ = KINDS[kind].field_by_name.get(group)
            owning = [name for name, its in known.items() if field_ in its.fields]
            of = f"; the field is in the group {owning[0]}" if owning else _closest(group, known)
            yield f"{place}: {kind} has no group {group!r}{of}"
        if role not in {*ROLES, NEWEST}:
            yield f"{place}: there is no role {role!r}{_closest(role, (*ROLES, NEWEST))}"
    precedence = workspace.rules.precedence
    for role in precedence:
        if role not in ROLES:
            yield f"precedence: there is no role {role!r}{_closest(role, ROLES)}"
    if len(set(precedence)) < len(precedence):
        yield "precedence: a role stands twice"


def _closest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
