"""What folding a workspace's entities again would change, as plain data."""

from collections.abc import Iterable
from typing import Any

from calstream_core.clock import now_microseconds
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.times import readable
from calstream_processors.resolve.refold import FieldChange
from calstream_processors.resolve.rehearsal import Rehearsal, rehearse
from calstream_schemas.entities import Decision, FieldType, Value, kind_of, kind_of_key
from calstream_schemas.observations import rules_changed
from calstream_schemas.rule_sets import RuleSet


def rehearsal_of(log: EntityLog, workspace: str, in_force: RuleSet, rules: RuleSet) -> Rehearsal:
    """What rules would change in a workspace.

    Args:
        log: the entities.
        workspace: whose.
        in_force: its rules until now.
        rules: those that would come into force; or those that are, to see what other code decides.

    Raises:
        ConfigError: the workspace has no key here.
        RecordError: an entity can't be read.
    """
    changed = rules_changed(workspace, rules, "plan", now_microseconds())
    return rehearse(log.newest(workspace), in_force, changed)


def shown_changes(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    """The fields that are decided otherwise, or in another way, as JSON has them."""
    return [_change(each) for each in changes]


def _change(change: FieldChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "field": change.field,
        "old": _readable(change, change.old),
        "new": _readable(change, change.new),
        "decided_by": _decided(change.before),
        "would_decide": _decided(change.after),
    }


def _decided(decision: Decision | None) -> dict[str, str] | None:
    if decision is None:
        return None
    return {"system": decision.id.system, "object": str(decision.id), "rule": decision.rule}


def _readable(change: FieldChange, value: Value) -> Any:
    field = kind_of(kind_of_key(change.key)).field_by_name[change.field]
    is_time = field.type is FieldType.INSTANT and isinstance(value, int)
    return readable(value) if is_time and isinstance(value, int) else value
