"""What a sink tells the resolver: announcements, results, what it found, what is gone. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from calstream_schemas.entities import Copy, Entity, NaturalId, Register, Stamp, Values
from calstream_schemas.observations import (
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)
from calstream_sinks.api import Change, Sink, SinkConfig, Snapshot

AnySink = Sink[SinkConfig]
PROVISIONAL = "~"
"""First letter of the id of an object without one yet; the resolver drops it for a real one."""


class Learned:
    """Makes the observations of one sink."""

    def __init__(self, sink_id: str, sink: AnySink) -> None:
        self._sink_id = sink_id
        self._sink = sink

    def announced(self, change: Change, now: int, own: frozenset[str]) -> Observation:
        """What is about to be written; an echo of it then is not taken for the vendor's word.

        Where the write only repeats the vendor's own word (`own`), the word stays the vendor's.
        Taken for ours it would count no longer, and the truth would fall back to what it replaced.

        It is stamped just after what the vendor last said, by the vendor's clock and not by ours:
        an edit that somebody makes there next is newer, whichever clock is ahead.
        """
        entity = change.entity
        copy = copy_at(entity, self._sink_id, change.external_id)
        known = copy.registers if copy else {}
        touched = change.fields.keys() - own
        ours = self._sink.statements(entity.kind, change.projection.fields, touched)
        return self._observation(
            entity,
            Fact.ANNOUNCE,
            object_id=change.external_id or f"{PROVISIONAL}{entity.id}",
            event=f"{change.operation_id}/{now}",
            statements=tuple(
                _statement(group, values, _after(known.get(group)), by_self=True)
                for group, values in sorted(ours.items())
            ),
            now=now,
        )

    def applied(
        self, change: Change, snapshot: Snapshot, now: int, own: frozenset[str]
    ) -> Observation:
        """What the vendor made of a write: ours where we wrote, its own word elsewhere."""
        entity, at = change.entity, snapshot.modified_at
        touched = change.fields.keys() - own
        ours = self._sink.statements(entity.kind, snapshot.fields, touched)
        theirs = {g: v for g, v in self._news(entity, snapshot).items() if g not in ours}
        return self._observation(
            entity,
            Fact.RESULT,
            object_id=snapshot.external_id,
            event=f"{change.operation_id}/{at}",
            statements=(
                *_statements(ours, at, by_self=True),
                *_statements(theirs, at, by_self=False),
            ),
            now=now,
        )

    def found(self, entity: Entity, snapshot: Snapshot, now: int) -> Observation:
        """What the vendor holds, in its own word."""
        at = snapshot.modified_at
        return self._observation(
            entity,
            Fact.STATE,
            object_id=snapshot.external_id,
            event=f"found/{at}/{now}",
            statements=_statements(self._news(entity, snapshot), at, by_self=False),
            now=now,
        )

    def gone(self, entity: Entity, external_id: str, now: int) -> Observation:
        """The vendor no longer has the object: later than all that it said of it."""
        copy = copy_at(entity, self._sink_id, external_id)
        said = (register.modified_at for register in copy.registers.values()) if copy else ()
        gone = self._observation(
            entity, Fact.GONE, object_id=external_id, event="gone", statements=(), now=now
        )
        return replace(gone, occurred_at=max(now, *said, 0))

    def _news(self, entity: Entity, snapshot: Snapshot) -> dict[str, Values]:
        """The groups of a snapshot that differ from what the vendor's copy says.

        A group that the vendor never had and still leaves empty is no statement.
        """
        copy = copy_at(entity, self._sink_id, snapshot.external_id)
        known = {g: r.values for g, r in copy.registers.items()} if copy else {}
        return {
            group: values
            for group, values in snapshot.statements.items()
            if known.get(group) != values
            and (group in known or any(value is not None for value in values.values()))
        }

    def _observation(
        self,
        entity: Entity,
        fact: Fact,
        *,
        object_id: str,
        event: str,
        statements: tuple[Statement, ...],
        now: int,
    ) -> Observation:
        natural_id = NaturalId(self._sink_id, entity.kind, object_id)
        return Observation(
            id=observation_id(self._sink_id, event, fact, natural_id),
            workspace=entity.workspace,
            fact=fact,
            kind=entity.kind,
            natural_id=natural_id,
            role=self._sink.manifest.role,
            received_at=now,
            occurred_at=max((s.stamp.modified_at for s in statements), default=now),
            statements=statements,
            about=entity.id,
        )


def copy_at(entity: Entity, sink_id: str, external_id: str | None) -> Copy | None:
    """The copy of one object of one system."""
    if external_id is None:
        return None
    return entity.copies.get(NaturalId(sink_id, entity.kind, external_id))


def _after(register: Register | None) -> int:
    return register.modified_at + 1 if register else 0


def _statement(group: str, values: Values, at: int, *, by_self: bool) -> Statement:
    return Statement(group, values, Stamp(NO_VERSION, at, by_self))


def _statements(groups: Mapping[str, Values], at: int, *, by_self: bool) -> tuple[Statement, ...]:
    return tuple(
        _statement(group, values, at, by_self=by_self) for group, values in sorted(groups.items())
    )
