"""Verifies chains of audit entries: that none was removed, changed or put elsewhere. Pure.

An entry names the hash of the one before it, so a change shows at its successor; the last one and
those that were cut off behind it show against what was noted elsewhere of the chain: its head in
`resolver.state`, the checkpoints there, and reports that were kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from calstream_schemas.audit import START, AuditEntry, Link, decode_audit_entry
from calstream_schemas.codec import Poison

Witnesses = Mapping[int, Link]
"""Entries by their number, as they were noted when they were written."""


class FaultKind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"  # an entry is not what was written
    REMOVED = "removed"  # entries are missing
    REORDERED = "reordered"  # an entry is not where it was written
    TRUNCATED = "truncated"  # the newest entries are missing
    ADDED = "added"  # an entry that its writer does not know of
    UNREADABLE = "unreadable"  # no entry at all
    MISPLACED = "misplaced"  # an entry of another partition


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        offset: where it was noticed.
        first, last: the numbers of the entries that it is about; 0 where there is none.
    """

    kind: FaultKind
    partition: int
    offset: int
    first: int
    last: int
    writer: str = ""

    def __str__(self) -> str:
        which = f"entry {self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        which = which if self.first == self.last else f"entries {which}"
        what = {
            FaultKind.CHANGED: f"{which} was changed, or written by somebody else",
            FaultKind.REMOVED: f"{which} missing before it",
            FaultKind.REORDERED: f"{which} is not where it was written",
            FaultKind.TRUNCATED: f"{which} missing behind it",
            FaultKind.ADDED: f"{which} not written by {self.writer}, which does not know of it",
            FaultKind.UNREADABLE: "this is no audit entry",
            FaultKind.MISPLACED: f"{which} is of another partition",
        }[self.kind]
        return f"partition {self.partition}, offset {self.offset}: {what}"


@dataclass(slots=True)
class _State:
    """One chain so far."""

    first: int
    newest: Link
    newest_offset: int
    count: int = 0


class ChainVerifier:
    """Verifies the chains of one partition, entry by entry in the order of the log.

    Args:
        partition: its number.
        begin: the first offset that the log still has; what is before it was dropped by retention.
        witnesses: by writer, what was noted of its chain.
    """

    def __init__(
        self,
        partition: int,
        begin: int = 0,
        witnesses: Mapping[str, Witnesses] | None = None,
    ) -> None:
        self._partition = partition
        self._begin = begin
        self._witnesses = witnesses or {}
        self._chains: dict[str, _State] = {}
        self._missing: dict[tuple[str, int], int] = {}
        self._faults: list[Fault] = []

    @property
    def heads(self) -> dict[str, Link]:
        """The newest entry of each writer's chain so far."""
        return {writer: its.newest for writer, its in self._chains.items()}

    @property
    def entries(self) -> dict[str, int]:
        """How many entries each writer's chain has so far."""
        return {writer: its.count for writer, its in self._chains.items()}

    @property
    def firsts(self) -> dict[str, int]:
        """The number of the oldest entry of each writer's chain."""
        return {writer: its.first for writer, its in self._chains.items()}

    def add(self, offset: int, raw: bytes) -> AuditEntry | None:
        """Takes the next record; returns it as an entry if it is one."""
        entry = decode_audit_entry(raw)
        if isinstance(entry, Poison):
            self._faults.append(Fault(FaultKind.UNREADABLE, self._partition, offset, 0, 0))
            return None
        number = entry.link.sequence
        fault = partial(self._fault, entry.writer)
        if entry.partition != self._partition:
            fault(FaultKind.MISPLACED, offset, number)
            return entry
        noted = self._witnesses.get(entry.writer, {}).get(number)
        if noted is not None and noted.hash != entry.link.hash:
            fault(FaultKind.CHANGED, offset, number)
        state = self._chains.get(entry.writer)
        if state is None:
            self._begins(entry, offset)
        elif number <= state.newest.sequence and entry.previous != state.newest.hash:
            self._missing.pop((entry.writer, number), None)
            fault(FaultKind.REORDERED, offset, number)
            state.count += 1
        else:
            self._follows(state, entry, offset)
        return entry

    def lacks(self, heads: Mapping[str, Link]) -> bool:
        """Whether there are entries beyond those that were taken so far."""
        return any(
            self._chains[writer].newest.sequence < head.sequence
            if writer in self._chains
            else head.sequence > 0
            for writer, head in heads.items()
        )

    def exceeds(self, known: Mapping[str, Link]) -> bool:
        """Whether entries were taken that are beyond what is known of their writers' chains."""
        return any(
            its.newest.sequence > known.get(writer, START).sequence
            for writer, its in self._chains.items()
        )

    def faults(
        self, heads: Mapping[str, Link], known: Mapping[str, Link], dropped_before: int
    ) -> list[Fault]:
        """All that is wrong, by offset.

        Args:
            heads: how far each writer's chain went at least when the log was read.
            known: how far it went at most.
            dropped_before: what came in earlier than that, in microseconds, may have been dropped
                by retention.
        """
        found = [
            Fault(FaultKind.REMOVED, self._partition, offset, first, last, writer)
            for writer, first, last, offset in self._gaps()
        ]
        for writer, head in heads.items():
            state = self._chains.get(writer)
            newest, offset = (state.newest, state.newest_offset) if state else (START, self._begin)
            if newest.sequence >= head.sequence:
                continue
            if state is None and self._begin and head.received_at < dropped_before:
                continue
            first = newest.sequence + 1
            found.append(
                Fault(FaultKind.TRUNCATED, self._partition, offset, first, head.sequence, writer)
            )
        for writer, state in self._chains.items():
            head = known.get(writer, START)
            newest, offset = state.newest, state.newest_offset
            if newest.sequence > head.sequence:
                first = head.sequence + 1
                found.append(
                    Fault(FaultKind.ADDED, self._partition, offset, first, newest.sequence, writer)
                )
            elif newest.sequence == head.sequence and newest.hash != head.hash:
                last = newest.sequence
                found.append(Fault(FaultKind.CHANGED, self._partition, offset, last, last, writer))
        # an entry that differs from what was noted of it shows at its successor too
        return sorted(
            {*self._faults, *found}, key=lambda each: (each.offset, each.first, each.kind)
        )

    def _begins(self, entry: AuditEntry, offset: int) -> None:
        number = entry.link.sequence
        if number == 1 and entry.previous != START.hash:
            self._fault(entry.writer, FaultKind.CHANGED, offset, number)
        if number > 1 and self._begin == 0:
            self._lack(entry.writer, range(1, number), offset)
        self._chains[entry.writer] = _State(number, entry.link, offset, 1)

    def _follows(self, state: _State, entry: AuditEntry, offset: int) -> None:
        number = entry.link.sequence
        newest, expected = state.newest, state.newest.sequence + 1
        link = entry.link
        if entry.previous == newest.hash and number != expected:
            self._fault(entry.writer, FaultKind.CHANGED, offset, expected)
            link = replace(link, sequence=expected)
        elif number > expected:
            self._lack(entry.writer, range(expected, number), offset)
        elif entry.previous != newest.hash:
            self._fault(entry.writer, FaultKind.CHANGED, state.newest_offset, newest.sequence)
        state.newest, state.newest_offset = link, offset
        state.count += 1

    def _lack(self, writer: str, numbers: Iterable[int], offset: int) -> None:
        for number in numbers:
            self._missing[writer, number] = offset

    def _gaps(self) -> Iterator[tuple[str, int, int, int]]:
        """Runs of entries that are missing: writer, first, last, and the offset behind them."""
        left = sorted(self._missing.items())
        start = 0
        for place, ((writer, number), offset) in enumerate(left):
            following = left[place + 1] if place + 1 < len(left) else None
            if following is None or following[0] != (writer, number + 1):
                yield writer, left[start][0][1], number, offset
                start = place + 1

    def _fault(self, writer: str, kind: FaultKind, offset: int, number: int) -> None:
        self._faults.append(Fault(kind, self._partition, offset, number, number, writer))
