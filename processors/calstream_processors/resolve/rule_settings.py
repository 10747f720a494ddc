"""The rule set that a workspace's settings ask for, and where each owner comes from."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import Settings, WorkspaceSettings
from calstream_processors.resolve.closest import closest
from calstream_processors.resolve.double_booking_settings import (
    double_booking_faults,
    double_booking_rules_of,
)
from calstream_processors.resolve.lead_settings import lead_faults, lead_rules_of
from calstream_processors.resolve.ownership import PATTERNS
from calstream_schemas.entities import KINDS
from calstream_schemas.rule_sets import NEWEST, ROLES, OwnerKey, RuleSet

SOURCES = ("calendar_live",)
"""The systems that every workspace hears of; those of sinks are named by the sinks' ids."""


def rule_set_in(settings: Settings, name: str) -> RuleSet:
    """The rule set that the settings ask for a workspace of theirs; see `rule_set_of`."""
    return rule_set_of(name, settings.workspaces[name], settings.sinks)


def rule_set_of(name: str, workspace: WorkspaceSettings, sinks: Collection[str] = ()) -> RuleSet:
    """The pattern's rule set with what the workspace changes.

    Args:
        name: of the workspace, for messages.
        workspace: its settings.
        sinks: the ids of the sinks; each is a system whose precedence can be told.

    Raises:
        ConfigError: an unknown kind, group, role or system, or rules for leads that make no sense.
            Every fault is named, with the closest name.
    """
    faults = [
        *_faults(workspace, sinks),
        *lead_faults(workspace.rules),
        *double_booking_faults(workspace.rules.double_booking),
    ]
    if faults:
        lines = "\n".join(f"  workspaces.{name}.rules.{fault}" for fault in faults)
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"The rules of workspace {name} are not valid:\n{lines}",
            hint="docs/fields.md lists kinds, groups and owners; docs/automation.md the rules for "
            "leads.",
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
        tombstone_after_days=asked.tombstone_after_days,
        leads=lead_rules_of(asked),
        double_booking=double_booking_rules_of(asked.double_booking),
    )


def _key(text: str) -> OwnerKey:
    kind, _, group = text.partition(".")
    return (kind, group)


def _faults(workspace: WorkspaceSettings, sinks: Collection[str]) -> Iterator[str]:
    for text, role in workspace.rules.owners.items():
        kind, group = _key(text)
        place = f'owners."{text}"'
        if kind not in KINDS:
            yield f"{place}: there is no kind {kind!r}{closest(kind, KINDS)}"
        elif group not in KINDS[kind].group_by_name:
            known = KINDS[kind].group_by_name
            field_ = KINDS[kind].field_by_name.get(group)
            owning = [name for name, its in known.items() if field_ in its.fields]
            of = f"; the field is in the group {owning[0]}" if owning else closest(group, known)
            yield f"{place}: {kind} has no group {group!r}{of}"
        if role not in {*ROLES, NEWEST}:
            yield f"{place}: there is no role {role!r}{closest(role, (*ROLES, NEWEST))}"
    precedence, known_names = workspace.rules.precedence, (*ROLES, *SOURCES, *sinks)
    for each in precedence:
        if each not in known_names:
            place = closest(each, known_names)
            yield f"precedence: there is no role or system {each!r}{place}"
    for twice in sorted({each for each in precedence if precedence.count(each) > 1}):
        yield f"precedence: {twice} stands twice"
