"""Reads the topic `audit`: verifies its chains, and finds what it tells of an entity."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import RecordError
from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.audit_chain import ChainVerifier, Fault, Witnesses
from calstream_ops.inspection.log_reader import LogReader, Place, Range
from calstream_schemas.audit import START, AuditEntry, Link, decode_audit_entry
from calstream_schemas.codec import Poison
from calstream_schemas.resolver_state import audit_writer_of, is_audit_head
from calstream_schemas.topics import AUDIT, RESOLVER_STATE, full_name

_SETTLE_SECONDS = 2.0
_ASK_EVERY_SECONDS = 0.1
_TELL_EVERY = 1000
_DAY_SECONDS = 24 * 60 * 60

Progress = Callable[[int, int], object]
"""Told how many offsets were read, and of how many."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """One chain as it was found.

    Attributes:
        head: the newest entry; None where there is no entry.
        entries: how many the topic has of it.
        first: the number of the oldest that the topic still has.
    """

    writer: str
    partition: int
    head: Link | None
    entries: int
    first: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What verifying found."""

    chains: tuple[ChainReport, ...]
    faults: tuple[Fault, ...]


Heads = Mapping[str, Link]
"""The newest entry of each writer's chain in one partition."""


@dataclass(slots=True)
class _Noted:
    """What `resolver.state` says of the chains of one partition, by writer."""

    heads: dict[str, Link] = field(default_factory=dict)
    links: defaultdict[str, dict[int, Link]] = field(default_factory=lambda: defaultdict(dict))


class AuditLog:
    """The audit of one installation.

    Args:
        reader: reads the log.
        kafka: the topics' names and the number of partitions.
    """

    def __init__(self, reader: LogReader, kafka: KafkaSettings) -> None:
        self._reader = reader
        self._kafka = kafka
        self._topic = full_name(AUDIT, kafka)
        self._state_topic = full_name(RESOLVER_STATE, kafka)

    def verify(
        self, kept: Mapping[tuple[str, int], Link], progress: Progress = lambda _done, _all: None
    ) -> AuditReport:
        """Looks whether entries were removed, changed or put elsewhere. The resolver may run.

        Args:
            kept: the newest entries of an earlier report, by writer and partition.
            progress: is told how far it is.

        Raises:
            ConfigError: a topic is missing.
            UnavailableError: the broker does not answer.
        """
        state = _StateLog(self._reader, self._state_topic)
        noted = state.read()
        ranges = self._reader.ranges([self._topic])
        verifiers = {
            place: ChainVerifier(place[1], its.begin, _witnesses(noted[place[1]], kept, place[1]))
            for place, its in ranges.items()
        }
        whole = sum(its.end - its.begin for its in ranges.values())
        for done, record in enumerate(self._reader.read(ranges)):
            verifiers[record.topic, record.partition].add(record.offset, record.value or b"")
            if done % _TELL_EVERY == 0:
                progress(done, whole)
        progress(whole, whole)
        least = {partition: _least(noted[partition], kept, partition) for _, partition in ranges}
        self._settle(verifiers, {place: least[place[1]] for place in ranges}, ranges)
        give_up_at = time.monotonic() + _SETTLE_SECONDS
        while True:
            known = state.read()
            # the parts of a transaction become readable one after the other
            ahead = any(its.exceeds(known[place[1]].heads) for place, its in verifiers.items())
            if not ahead or time.monotonic() > give_up_at:
                return _report(verifiers, least, {n: its.heads for n, its in known.items()})
            time.sleep(_ASK_EVERY_SECONDS)

    def _settle(
        self,
        verifiers: Mapping[Place, ChainVerifier],
        heads: Mapping[Place, Heads],
        ranges: Mapping[Place, Range],
    ) -> None:
        """Reads on until all is there that the state told of, or it does not come."""
        give_up_at = time.monotonic() + _SETTLE_SECONDS
        ends = {place: its.end for place, its in ranges.items()}
        while time.monotonic() < give_up_at:
            lacking = [p for p, its in verifiers.items() if its.lacks(heads[p])]
            if not lacking:
                return
            now = self._reader.ranges([self._topic], [partition for _, partition in lacking])
            rest = {place: Range(ends[place], its.end) for place, its in now.items()}
            for record in self._reader.read(rest):
                place = record.topic, record.partition
                verifiers[place].add(record.offset, record.value or b"")
                ends[place] = record.offset + 1
            time.sleep(_ASK_EVERY_SECONDS)

    def history(self, key: str) -> Iterator[AuditEntry]:
        """What the audit tells of an entity, oldest first.

        Raises:
            RecordError: an entry can't be read.
        """
        workspace, _, rest = key.partition("/")
        needle = rest.rpartition("/")[2].encode()
        partition = partition_of(workspace, self._kafka.partitions)
        for record in self._reader.read(self._reader.ranges([self._topic], [partition])):
            if record.value is None or record.key != workspace or needle not in record.value:
                continue
            entry = decode_audit_entry(record.value)
            if isinstance(entry, Poison):
                raise RecordError(
                    entry.code,
                    f"The audit entry at offset {record.offset} of partition {partition} can't be "
                    f"read: {entry.reason}.",
                    hint="`calstream audit verify` tells what is wrong.",
                )
            if key in entry.keys:
                yield entry


class _StateLog:
    """What `resolver.state` says of the chains; asked again, it reads on."""

    def __init__(self, reader: LogReader, topic: str) -> None:
        self._reader = reader
        self._topic = topic
        self._read_to: dict[Place, int] = {}
        self._noted: defaultdict[int, _Noted] = defaultdict(_Noted)

    def read(self) -> Mapping[int, _Noted]:
        """By partition, as of now."""
        ranges = {
            place: Range(max(its.begin, self._read_to.get(place, 0)), its.end)
            for place, its in self._reader.ranges([self._topic]).items()
        }
        for record in self._reader.read(ranges):
            self._read_to[record.topic, record.partition] = record.offset + 1
            key = record.key.encode()
            writer = audit_writer_of(key)
            if writer is None or record.value is None:
                continue
            link = Link.decode(record.value)
            noted = self._noted[record.partition]
            noted.links[writer][link.sequence] = link
            if is_audit_head(key):
                noted.heads[writer] = link
        found: defaultdict[int, _Noted] = defaultdict(_Noted)
        for partition, its in self._noted.items():
            found[partition] = _Noted(dict(its.heads), its.links)
        return found


def _witnesses(
    noted: _Noted, kept: Mapping[tuple[str, int], Link], partition: int
) -> dict[str, Witnesses]:
    found: dict[str, dict[int, Link]] = {
        writer: dict(links) for writer, links in noted.links.items()
    }
    for (writer, its_partition), link in kept.items():
        if its_partition == partition:
            its = found.setdefault(writer, {})
            # what was kept elsewhere counts more: who can write the log can write the state too
            its[link.sequence] = link
    return dict(found)


def _least(noted: _Noted, kept: Mapping[tuple[str, int], Link], partition: int) -> Heads:
    """How far each chain goes at least."""
    heads = dict(noted.heads)
    for (writer, its_partition), link in kept.items():
        if its_partition == partition and link.sequence > heads.get(writer, START).sequence:
            heads[writer] = link
    return heads


def _report(
    verifiers: Mapping[Place, ChainVerifier],
    least: Mapping[int, Heads],
    known: Mapping[int, Heads],
) -> AuditReport:
    retention_seconds = (AUDIT.retention_days or 0) * _DAY_SECONDS
    dropped_before = now_microseconds() - retention_seconds * MICROSECONDS_PER_SECOND
    chains: list[ChainReport] = []
    faults: list[Fault] = []
    for (_topic, partition), verifier in sorted(verifiers.items()):
        heads = least[partition]
        faults += verifier.faults(heads, known.get(partition, {}), dropped_before)
        chains += _chains(partition, verifier, heads)
    return AuditReport(tuple(chains), tuple(faults))


def _chains(partition: int, verifier: ChainVerifier, heads: Iterable[str]) -> Iterator[ChainReport]:
    for writer in sorted({*verifier.heads, *heads}):
        yield ChainReport(
            writer,
            partition,
            verifier.heads.get(writer),
            verifier.entries.get(writer, 0),
            verifier.firsts.get(writer, 0),
        )
