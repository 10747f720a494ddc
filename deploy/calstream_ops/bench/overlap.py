"""`calstream bench overlap`: finding double bookings of a host who has ten thousand bookings."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from calstream_core.sealing import KeyStore
from calstream_ops.bench.booked_host import WORKSPACE, calendar, changes
from calstream_ops.bench.machine import commit, describe_machine
from calstream_ops.bench.measures import OVERLAP
from calstream_ops.bench.report import Report, results
from calstream_processors.resolve.consequences import Change, follow
from calstream_processors.resolve.double_booking_messages import double_booking_messages
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.codec import Poison
from calstream_schemas.double_booking_rules import Buffer, DoubleBookingRules, Policy
from calstream_schemas.double_bookings import encode_double_booking
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity
from calstream_schemas.entities.head import decode_head, head_of
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet

RULES = replace(
    CALENDAR_TO_CRM,
    double_booking=DoubleBookingRules(
        Policy.FIRST_WINS, event_types={"trial": Buffer(before_minutes=5)}
    ),
)
"""Rules that ask for all there is: buffers, and somebody who keeps the slot."""

Say = Callable[[str], None]
"""Takes a line that tells a person how far it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        bookings: future ones of one host, long ones among them.
        changes: observations after that, one by one.
    """

    bookings: int = 10_000
    changes: int = 20_000


QUICK = Plan(bookings=1_000, changes=500)
"""For trying out; its figures say little."""


@dataclass(frozen=True, slots=True)
class Took:
    """What one observation took, in seconds of CPU time.

    Attributes:
        finding: of its time, that on double bookings: index, search, arbitration, records,
            messages.
        whole: from the observation to its versions and what follows.
        found: double bookings that it opened, changed or cleared.
    """

    finding: float
    whole: float
    found: int


def run_overlap_bench(say: Say, plan: Plan | None = None) -> Report:
    """Books a host out for years, and measures. Takes half a minute."""
    asked = plan or Plan()
    workspace = Workspace()
    workspace.double_bookings.use(RULES.double_booking)
    say(f"booking one host {asked.bookings} times")
    for observation in calendar(asked.bookings):
        _take(workspace, observation, RULES)
    restore_seconds = _restore_seconds(list(workspace.entities.values()))
    say(f"resolving {asked.changes} observations")
    gc.collect()
    took = [_take(workspace, each, RULES) for each in changes(asked.bookings, asked.changes, 1)]
    settings = {
        **asdict(asked),
        "found": sum(each.found for each in took),
        "clock": "CPU time of the one thread, so that what else runs on the machine does not count",
        "find": "double bookings of one observation: index, search, arbitration, records, messages",
        "observation": "all of one observation but its encoding: resolve, fold, indexes, find",
        "restore": "the index from the heads of the host's bookings, every head read",
    }
    values = {
        "find_p99_ms": _percentile([each.finding for each in took], 99),
        "find_p50_ms": _percentile([each.finding for each in took], 50),
        "observation_p99_ms": _percentile([each.whole for each in took], 99),
        "restore_seconds": restore_seconds,
    }
    found = results(OVERLAP, values, with_peers=True)
    return Report("overlap", describe_machine(), commit(), settings, found)


def _take(workspace: Workspace, observation: Observation, rules: RuleSet) -> Took:
    began = time.thread_time()
    made = resolve(workspace, observation, rules)
    changed = [Change(workspace.get(each.key), each, observation) for each in made]
    heads = [head_of(each) for each in made]
    seconds, found = 0.0, 0
    for head, entity in zip(heads, made, strict=True):
        looked = time.thread_time()
        workspace.double_bookings.put(head)
        seconds += time.thread_time() - looked
        workspace.put(entity)  # the double bookings know it already
    looked = time.thread_time()
    for each in workspace.double_bookings.settle(rules.double_booking, observation):
        encode_double_booking(each)
        found += 1
    drawn = list(follow(workspace, changed, rules, [double_booking_messages]))
    ended = time.thread_time()
    seconds += ended - looked
    _take_drawn(workspace, drawn, rules)
    return Took(seconds, ended - began, found)


def _take_drawn(workspace: Workspace, drawn: Sequence[Observation], rules: RuleSet) -> None:
    for observation in drawn:
        for entity in resolve(workspace, observation, rules):
            workspace.put(entity)
        workspace.double_bookings.settle(rules.double_booking, observation)


def _restore_seconds(entities: Sequence[Entity]) -> float:
    with TemporaryDirectory(prefix="calstream-bench-") as directory:
        keys = KeyStore(Path(directory) / "keys")
        raws = list(_encoded(entities, keys))
    restored = Workspace(IdentityIndex())
    began = time.thread_time()
    for raw in raws:
        head = decode_head(raw)
        assert not isinstance(head, Poison)
        restored.double_bookings.put(head)
    restored.double_bookings.restored()
    return time.thread_time() - began


def _encoded(entities: Sequence[Entity], keys: KeyStore) -> Iterator[bytes]:
    sealer = keys.sealer(WORKSPACE)
    for entity in entities:
        if entity.kind == "booking":
            yield encode_entity(entity, sealer)


def _percentile(seconds: Sequence[float], percent: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000
