"""The rule set that a workspace's settings ask for, and where each owner comes from."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import WorkspaceSettings
from calstream_core.settings.model import BufferSettings, DoubleBookingSettings
from calstream_processors.resolve.ownership import PATTERNS
from calstream_schemas.double_booking_rules import (
    PRIORITY_FIELDS,
    Buffer,
    DoubleBookingRules,
    Policy,
)
from calstream_schemas.entities import KINDS
from calstream_schemas.entities.slot import BUSY
from calstream_schemas.rule_sets import NEWEST, ROLES, OwnerKey, RuleSet

_VALUES = {"event_kind": ("one_to_one", "group", "webinar"), "status": BUSY}


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
        double_booking=_double_booking(asked.double_booking),
    )


def _double_booking(asked: DoubleBookingSettings) -> DoubleBookingRules:
    return DoubleBookingRules(
        policy=Policy(asked.policy),
        priority=asked.priority,
        event_types=_buffers(asked.event_types),
        hosts=_buffers(asked.hosts),
        horizon_days=asked.horizon_days,
    )


def _buffers(asked: Mapping[str, BufferSettings]) -> dict[str, Buffer]:
    return {name: Buffer(its.before_minutes, its.after_minutes) for name, its in asked.items()}


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
    yield from _double_booking_faults(workspace.rules.double_booking)


def _double_booking_faults(asked: DoubleBookingSettings) -> Iterator[str]:
    for line in asked.priority:
        name, _, value = line.partition("=")
        place = f"double_booking.priority: {line!r}"
        if name not in PRIORITY_FIELDS or not value:
            yield f"{place} must be FIELD=VALUE; FIELD is one of {', '.join(PRIORITY_FIELDS)}"
        elif name in _VALUES and value not in _VALUES[name]:
            yield f"{place}: there is no {name} {value!r}{_closest(value, _VALUES[name])}"
    if len(set(asked.priority)) < len(asked.priority):
        yield "double_booking.priority: a line stands twice"
    if asked.policy == "priority" and not asked.priority:
        yield "double_booking.priority: the policy needs at least one line"


def _closest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
