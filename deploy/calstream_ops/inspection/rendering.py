"""Records as plain data for JSON: times readable, personal values closed unless they are opened."""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson

from calstream_core.errors import CalstreamError, UnavailableError
from calstream_core.sealing import Box, Erased
from calstream_engine.state.store import RESERVED
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogRecord
from calstream_ops.inspection.times import readable, readable_milliseconds
from calstream_schemas import codec
from calstream_schemas.codec import Decoded, Poison
from calstream_schemas.entities import KINDS, FieldType
from calstream_schemas.resolver_state import (
    audit_writer_of,
    workspace_of_assignments,
    workspace_of_refold,
    workspace_of_rules,
)
from calstream_schemas.topics import RESOLVER_STATE
from calstream_schemas.webhooks import decode_received, decode_rejected

SEALED = "sealed"
"""What stands in place of a personal value."""

_KIND_BY_RECORD = {kind.record: kind for kind in KINDS.values()}
_WEBHOOKS: Mapping[str, Callable[[bytes, SealerOf], Any]] = {
    "WebhookReceived": decode_received,
    "WebhookRejected": decode_rejected,
}

_STATE: Mapping[str, Callable[[bytes], str | None]] = {
    "rule_set": workspace_of_rules,
    "assignments": workspace_of_assignments,
    "refold": workspace_of_refold,
    "audit_link": audit_writer_of,
}
"""What `resolver.state` has beside what was seen, and whose it is by the key."""

Open = Callable[[str, Box], str]
"""Opens a sealed value of a field."""


def outline(record: LogRecord) -> dict[str, Any]:
    """Where a record is, without its value."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": readable_milliseconds(record.timestamp_ms),
        "key": record.key,
        "headers": dict(record.headers),
    }


def raw(record: LogRecord) -> dict[str, Any]:
    """A record with its value as it is."""
    value = record.value
    return outline(record) | {
        "value_base64": None if value is None else base64.b64encode(value).decode()
    }


def decoded(record: LogRecord, sealer_of: SealerOf | None = None) -> dict[str, Any]:
    """A record with its value decoded; never raises for what is in it.

    Args:
        record: of any topic of ours.
        sealer_of: opens personal values; without it they show as `sealed`.
    """
    value = record.value
    if value is None:
        return outline(record) | {"record": None, "value": None}
    if record.topic.endswith(RESOLVER_STATE.name):
        return outline(record) | _state(record.key.encode(), value)
    found = codec.decode(value)
    if isinstance(found, Poison):
        return raw(record) | {"unreadable": found.reason}
    return outline(record) | {"record": found.record, "value": _value(value, found, sealer_of)}


def _state(key: bytes, value: bytes) -> dict[str, Any]:
    if key.startswith(RESERVED):
        return {"record": "position", "value": value.decode("ascii")}
    for name, its in _STATE.items():
        if its(key) is not None:
            return {"record": name, "value": _json_or_text(value)}
    return {"record": "seen", "value": _seen(value)}


def _seen(value: bytes) -> str:
    text = value.decode("ascii", "replace")
    return readable(int(text)) if text.isdecimal() else text


def _value(raw_value: bytes, found: Decoded, sealer_of: SealerOf | None) -> Any:
    body = found.body
    kind = _KIND_BY_RECORD.get(found.record)
    context = kind.name if kind else str(body.get("kind", ""))

    def open_(field: str, box: Box) -> str:
        if sealer_of is None:
            return SEALED
        try:
            plain = sealer_of(body["workspace"]).open(f"{context}.{field}", box)
        except UnavailableError:
            raise
        except CalstreamError:
            return SEALED  # not our key; the rest of the record is of use all the same
        return str(plain) if isinstance(plain, Erased) else plain.decode("utf-8", "replace")

    shown = _shown(body, "", found.record, context, open_)
    if found.record in _WEBHOOKS and sealer_of is not None:
        webhook = _WEBHOOKS[found.record](raw_value, sealer_of)
        if not isinstance(webhook, Poison) and webhook.body is not None:
            shown["body"] = _json_or_text(webhook.body)
    return shown


def _shown(value: Any, name: str, record: str, kind: str, open_: Open) -> Any:
    """A value for JSON.

    Args:
        value: as Avro gave it.
        name: of the field that holds it; for cells of a register, of the field that they are of.
        record: the outermost record's name.
        kind: of the entity that it is about.
        open_: for what is sealed.
    """
    if isinstance(value, dict):
        if value.keys() == {"key_id", "box"}:
            return open_(name, Box(value["key_id"], value["box"]))
        cell = value.get("field") if value.keys() == {"field", "value"} else None
        return {
            key: _shown(item, cell if cell and key == "value" else key, record, kind, open_)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, name, record, kind, open_) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if type(value) is int and _is_time(name, record, kind):
        return readable(value)
    return value


def _is_time(name: str, record: str, kind: str) -> bool:
    field = KINDS[kind].field_by_name.get(name) if kind in KINDS else None
    if field is not None:
        return field.type is FieldType.INSTANT
    return name in _time_names(record)


@cache
def _time_names(record: str) -> frozenset[str]:
    """The names of a record's fields, at any depth, that are times."""
    names: set[str] = set()

    def visit(node: Any, name: str) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item, name)
        elif isinstance(node, dict):
            if node.get("logicalType") == "timestamp-micros":
                names.add(name)
            for field in node.get("fields", ()):
                visit(field["type"], field["name"])
            for key in ("type", "items", "values"):
                if key in node and not isinstance(node[key], str):
                    visit(node[key], name)

    visit(codec.newest(record).source, "")
    return frozenset(names)


def _json_or_text(body: bytes | Erased) -> Any:
    if isinstance(body, Erased):
        return str(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
