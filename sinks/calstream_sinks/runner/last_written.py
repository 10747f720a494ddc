"""What a vendor holds since our last write, as far as we have been told.

Fresher than its copy, which comes round through the resolver; gone with the process.
"""

from collections.abc import Collection
from dataclasses import replace

from calstream_schemas.entities import Copy
from calstream_sinks.api import FieldValues, Snapshot
from calstream_sinks.runner.learned import AnySink


class LastWritten:
    """By the entity's key, for one sink."""

    def __init__(self, sink: AnySink) -> None:
        self._sink = sink
        self._snapshots: dict[str, Snapshot] = {}

    def put(self, key: str, snapshot: Snapshot) -> None:
        """Remembers what the vendor made of a write."""
        self._snapshots[key] = snapshot

    def forget(self, key: str) -> None:
        """Forgets a key: it belongs to another worker, or has another object now."""
        self._snapshots.pop(key, None)

    def doubt(self, key: str, fields: Collection[str]) -> None:
        """Forgets fields that were announced and whose write was not confirmed.

        An edit there that says the same could not be told from ours any more.
        """
        known = self._snapshots.get(key)
        if known is not None:
            left = {name: text for name, text in known.fields.items() if name not in fields}
            self._snapshots[key] = replace(known, fields=left)

    def fields(self, key: str, kind: str, copy: Copy | None) -> FieldValues | None:
        """What the vendor holds; None if that is not known.

        What somebody changed there since, as its copy tells, is remembered too: once we have
        announced that we write over an edit, the copy no longer says that it is still there.
        """
        known = self._snapshots.get(key)
        if known is None:
            return None
        since = {
            group: register
            for group, register in (copy.registers if copy else {}).items()
            if not register.by_self and register.modified_at > known.modified_at
        }
        if copy is not None and since:
            edited = self._sink.held(kind, replace(copy, registers=since)).fields
            known = self._snapshots[key] = replace(known, fields={**known.fields, **edited})
        return known.fields
