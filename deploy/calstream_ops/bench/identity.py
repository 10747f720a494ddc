"""`calstream bench identity`: finding out who somebody is, among a million contacts."""

import gc
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from calstream_core.sealing import KeyStore, contact_key
from calstream_engine import Work
from calstream_engine.state.rocks import RocksStores
from calstream_engine.state.store import PartitionStore
from calstream_engine.work import TableSpec
from calstream_ops.bench.machine import commit, describe_machine
from calstream_ops.bench.measures import IDENTITY
from calstream_ops.bench.people import WORKSPACE, bookings, contact
from calstream_ops.bench.report import Report, results
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.ladder import match
from calstream_processors.resolve.matching import keys_of_statements, match_rules
from calstream_processors.resolve.partition import Partition
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities.avro import encode_entity
from calstream_schemas.topics import ENTITIES

_WRITTEN_AT_ONCE = 5000
_TOLD_EVERY = 100_000
_MEGABYTE = 1_000_000

Say = Callable[[str], None]
"""Takes a line that tells a person how far it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        contacts: in the workspace.
        lookups: of whom a booking's attendee is.
        matches: whole observations of new attendees, resolved one by one.
    """

    contacts: int = 1_000_000
    lookups: int = 200_000
    matches: int = 50_000


QUICK = Plan(contacts=20_000, lookups=5_000, matches=2_000)
"""For trying out; its figures say little."""


def run_identity_bench(say: Say, plan: Plan | None = None) -> Report:
    """Makes a workspace on disk as the resolver keeps it, and measures. Takes some minutes."""
    asked = plan or Plan()
    with TemporaryDirectory(prefix="calstream-bench-") as directory:
        keys = KeyStore(Path(directory) / "keys")
        store = RocksStores(Path(directory)).open(ENTITIES.name, 0, keep_seconds=3600)
        try:
            say(f"writing {asked.contacts} contacts")
            _write(say, store, keys, asked.contacts)
            values = _measure(say, asked, store, keys)
        finally:
            store.close()
    settings = {
        **asdict(asked),
        "restore": "indexes of one partition from its RocksDB, every key and head read",
        "lookup": "normalise and hash what is stated, climb the ladder",
        "match": "a whole observation: look up, read and decode the contact, fold",
    }
    return Report(
        "identity",
        describe_machine(),
        commit(),
        settings,
        results(IDENTITY, values, with_peers=True),
    )


def _write(say: Say, store: PartitionStore, keys: KeyStore, contacts: int) -> None:
    sealer = keys.sealer(WORKSPACE)
    workspace = Workspace(IdentityIndex(sealer.keyed_hash))
    for start in range(0, contacts, _WRITTEN_AT_ONCE):
        numbers = range(start, min(start + _WRITTEN_AT_ONCE, contacts))
        made = [contact(number, workspace) for number in numbers]
        sealer.make(contact_key(one.id) for one in made)  # in one go, as the resolver does
        store.apply(((one.key.encode(), encode_entity(one, sealer)) for one in made), 0)
        if numbers.stop % _TOLD_EVERY == 0:
            say(f"{numbers.stop} are written")


def _measure(
    say: Say, plan: Plan, store: PartitionStore, keys: KeyStore
) -> dict[str, float | None]:
    say("restoring the indexes")
    gc.collect()
    before = _resident_mb()
    partition = Partition(keys, Work(0, {ENTITIES.name: (TableSpec(ENTITIES.name, ""), store)}))
    began = time.perf_counter()
    restored = partition.restore(store.items())
    restore_seconds = time.perf_counter() - began
    assert restored == plan.contacts
    memory_mb = _resident_mb() - before
    workspace = partition.workspace(WORKSPACE)
    say(f"looking up {plan.lookups} people")
    lookups_per_second = _lookups_per_second(plan, workspace)
    say(f"resolving {plan.matches} observations")
    took = sorted(_match_seconds(plan, workspace))
    return {
        "lookups_per_second": lookups_per_second,
        "match_p99_ms": took[len(took) * 99 // 100] * 1000,
        "match_p50_ms": took[len(took) // 2] * 1000,
        "index_restore_seconds": restore_seconds,
        "index_memory_mb": memory_mb,
        "peak_memory_mb": _peak_mb(),
    }


def _lookups_per_second(plan: Plan, workspace: Workspace) -> float:
    asked = list(bookings(plan.contacts, plan.lookups, seed=1))
    rules, index, found = match_rules(workspace.rules), workspace.index, 0
    began = time.perf_counter()
    for one in asked:
        found += match(index, keys_of_statements(one, rules, index.keyed)) is not None
    seconds = time.perf_counter() - began
    assert 0 < found < len(asked)  # some are known and some are not
    return len(asked) / seconds


def _match_seconds(plan: Plan, workspace: Workspace) -> Iterator[float]:
    for one in bookings(plan.contacts, plan.matches, seed=2):
        began = time.perf_counter()
        made = resolve(workspace, one, workspace.rules)
        yield time.perf_counter() - began
        assert made
        workspace.trim(1000)  # so that contacts are read, as the rarely seen ones are


def _resident_mb() -> float:
    """What the process holds now; where the system does not tell, the most it has held so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak_mb()
    return pages * resource.getpagesize() / _MEGABYTE


def _peak_mb() -> float:
    """The most that the process has held so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024) / _MEGABYTE
