"""Audit entries in plain words, for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from calstream_ops.inspection.times import readable
from calstream_schemas.audit import AuditChange, AuditEntry, AuditGroup
from calstream_schemas.observations import Fact

_EVENTS: Mapping[str, str] = {
    Fact.STATE: "{source} told how it is",
    Fact.ANNOUNCE: "Calstream was about to write {source}",
    Fact.RESULT: "Calstream wrote {source}",
    Fact.GONE: "{source} is gone",
    Fact.RULES: "rules {rule_set} were put in force",
    Fact.REFOLD: "it was folded again from its copies",
    Fact.MERGE: "{by} decided that {about} is {other}",
    Fact.UNMERGE: "{by} decided that {about} is nobody else after all",
    Fact.SETTLE: "{by} decided what is so of {about}",
    Fact.TICK: "time passed",
    Fact.ERASE: "{by} asked to erase {about}",
    Fact.ERASED: "{source} answered that it was erased there",
    Fact.APART: "{by} decided that {about} and {other} are two",
}


def describe_entry(entry: AuditEntry, key: str) -> Iterator[dict[str, Any]]:
    """What an entry tells of one entity, as plain data with a sentence each.

    A version each, then the conflicts; a decision that made no version of it stands alone.
    """
    event = _event(entry)
    common = {
        "received_at": readable(entry.received_at),
        "occurred_at": readable(entry.occurred_at),
        "event": entry.event,
        "observation_id": entry.observation_id,
        "source": entry.source,
        "decided_by": entry.decided_by,
        "partition": entry.partition,
        "sequence": entry.link.sequence,
    }
    changes = [each for each in entry.changes if each.key == key]
    conflicts = [each for each in entry.conflicts if each.key == key]
    for change in changes:
        yield {
            **common,
            "version": change.version,
            "told": f"{event}: {_change(change)}",
            "groups": [_group(each) for each in change.groups],
            "content_before": change.before.hex() if change.before else None,
            "content_after": change.after.hex() if change.after else None,
        }
    for conflict in conflicts:
        told = f"{event}: the conflict over {conflict.group} is {conflict.state} ({conflict.rule})"
        yield {**common, "version": None, "told": told, "conflict": conflict.group}
    if not changes and not conflicts:
        yield {**common, "version": None, "told": f"{event}: nothing of it changed"}


def _event(entry: AuditEntry) -> str:
    sentence = _EVENTS.get(entry.event, "{event} of {source}")
    return sentence.format(
        event=entry.event,
        source=entry.source,
        by=entry.decided_by or "somebody",
        about=entry.about,
        other=entry.other,
        rule_set=entry.rule_set,
    )


def _change(change: AuditChange) -> str:
    if change.after is None:
        return "it was forgotten, long after it was deleted"
    first = "first heard of; " if change.before is None else ""
    if not change.groups:
        return f"{first}its truth stays, what a system says or what it refers to changed"
    return first + "; ".join(_group_text(each) for each in change.groups)


def _group_text(group: AuditGroup) -> str:
    if group.decided_for is None:
        return f"{group.group}: nobody says anything any more"
    what = "stays, now" if group.same else "changed,"
    return f"{group.group} {what} as {group.decided_for} has it ({group.rule})"


def _group(group: AuditGroup) -> dict[str, Any]:
    return {
        "group": group.group,
        "decided_for": group.decided_for,
        "rule": group.rule,
        "values_changed": not group.same,
    }
