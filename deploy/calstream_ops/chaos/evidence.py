"""Gathers what a trial left behind and gives it to the verdict: logs, state, disks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calstream_engine.records import Place
from calstream_engine.state.restore import Restore, run_restore
from calstream_engine.state.rocks import RocksStores
from calstream_engine.state.store import directory_of
from calstream_engine.work import position_key
from calstream_ops.chaos.layout import PARTITIONS, TOPICS, TOTALS, VERSIONS
from calstream_ops.chaos.reference import Expected, Kind, expected_of
from calstream_ops.chaos.topic_log import read_effects, read_partition, read_source
from calstream_ops.chaos.verdict import Verdict

_TABLES: Final = {TOTALS: TOPICS.totals, VERSIONS: TOPICS.versions}
_KEEP_SECONDS: Final = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a trial left what is compared.

    Attributes:
        bootstrap_servers: the trial's broker.
        written: the values that the harness wrote to the source.
        disks: the state directories of all workers there were.
        empty: a directory that is not there yet, for a restore from nothing.
    """

    bootstrap_servers: str
    written: Sequence[bytes]
    disks: Sequence[Path]
    empty: Path


def judge(evidence: Evidence) -> Verdict:
    """Compares everything; blocks for some seconds."""
    verdict = Verdict()
    servers = evidence.bootstrap_servers
    sources = [read_source(servers, number) for number in range(PARTITIONS)]
    verdict.source(evidence.written, [one.value for records in sources for one in records])
    for partition, source in enumerate(sources):
        expected = expected_of(source)
        for kind in Kind:
            found = read_effects(servers, kind, partition)
            verdict.effects(kind, partition, expected.effects[kind], found)
        _changelogs(verdict, servers, partition, expected)
        for table, topic in _TABLES.items():
            place = Place(topic, partition)
            restored = _restored(servers, evidence.empty, table, place)
            verdict.state("restored", place, expected.state, restored)
            for disk in evidence.disks:
                if directory_of(disk, table, partition).is_dir():
                    restored = _restored(servers, disk, table, place)
                    there = Place(f"{disk.name}:{topic}", partition)
                    verdict.state("disks", there, expected.state, restored)
    return verdict


def _changelogs(
    verdict: Verdict, bootstrap_servers: str, partition: int, expected: Expected
) -> None:
    """The state as the changelogs say it, folded here."""
    key_of_position = position_key(TOPICS.source)
    for topic in _TABLES.values():
        state: dict[bytes, bytes] = {}
        for record in read_partition(bootstrap_servers, topic, partition):
            key, value = record.key() or b"", record.value()
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        if topic == TOPICS.totals:
            position = state.pop(key_of_position, None)
            verdict.position(partition, expected, None if position is None else int(position))
        verdict.state("state", Place(topic, partition), expected.state, state)


def _restored(
    bootstrap_servers: str, directory: Path, table: str, place: Place
) -> dict[bytes, bytes]:
    """What a store holds once it is brought up to the end of its changelog."""
    store = RocksStores(directory).open(table, place.partition, keep_seconds=_KEEP_SECONDS)
    try:
        restore = Restore(place.topic, place.partition, store)
        run_restore(bootstrap_servers, [restore], lambda: False)
        return dict(store.items())
    finally:
        store.close()
