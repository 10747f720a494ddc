"""When what is done to a trial: a seeded schedule of faults, spread over the records that flow.

Each fault has a section of the stream. The section's records flow before, during and after it, at a
pace of its own, so that it hits a busy stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import Final

FULL_EVENTS: Final = 50_000
"""From so many records on, a trial has every fault as often as the full proof asks for."""

WORKERS: Final = 3
"""At least so many run, but for those that are down for a moment."""

_MOST_WORKERS = 5
_CALM = 0.7
_SECTION_SECONDS = (0.3, 1.5)
_FIRES_AT = (0.2, 0.8)
_PAUSE_SECONDS = (0.0, 4.0)
_LEAVES = 0.6


class Fault(StrEnum):
    """What is done.

    Attributes:
        KILL: a worker gets SIGKILL and is started again after a pause.
        STOP: a worker gets SIGSTOP, and SIGCONT after a pause that its session may survive.
        TAKE_OVER: a worker gets SIGSTOP, and SIGCONT once others have taken over and committed.
        COMPACT: the same; then the state's log is compacted, and a worker restores on an empty
            disk.
        RESTART_BROKER: the broker gets SIGKILL and is started again after a pause; half of the
            time a worker is killed meanwhile, and starts while the broker is away.
        JOIN: one more worker.
        LEAVE: a worker gets SIGTERM for good.
        FENCE: a stranger opens a partition's transactions, so that its owner is fenced and the
            group knows nothing of it.
    """

    KILL = "kill"
    STOP = "stop"
    TAKE_OVER = "take-over"
    COMPACT = "compact"
    RESTART_BROKER = "restart-broker"
    JOIN = "join"
    LEAVE = "leave"
    FENCE = "fence"


STOPS: Final = frozenset({Fault.STOP, Fault.TAKE_OVER, Fault.COMPACT})
MEMBERSHIP_CHANGES: Final = frozenset({Fault.JOIN, Fault.LEAVE})


@dataclass(frozen=True, slots=True)
class Moment:
    """One fault and its section of the stream.

    Attributes:
        fault: what is done.
        begins_at: the records before the section.
        fires_at: the records after which the fault comes.
        ends_at: the records up to the section's end.
        records_per_second: how fast they flow.
        pick: which one it hits, from 0 to 1: a place among those that it can hit.
        pause_seconds: how long what it hits is down.
        calm: whether the section waits until every partition is restored; else the fault may hit
            a rebalance.
    """

    fault: Fault
    begins_at: int
    fires_at: int
    ends_at: int
    records_per_second: float
    pick: float
    pause_seconds: float
    calm: bool


@dataclass(frozen=True, slots=True)
class Minima:
    """How often a trial does what, at least.

    Attributes:
        kills: SIGKILLs of workers.
        stops: SIGSTOPs of workers.
        broker_restarts: SIGKILLs of the broker.
        membership_changes: workers that join or leave.
        fences: owners that are fenced by a stranger.
        injected_failures: failures that workers inject into their own producers.
    """

    kills: int
    stops: int
    broker_restarts: int
    membership_changes: int
    fences: int
    injected_failures: int


def minima_of(events: int) -> Minima:
    """What a trial with so many records must have."""
    share = min(1.0, events / FULL_EVENTS)

    def scaled(full: int, least: int) -> int:
        return max(least, round(full * share))

    return Minima(
        kills=scaled(20, 4),
        stops=scaled(5, 1),
        broker_restarts=scaled(2, 1),
        membership_changes=scaled(4, 1),
        fences=scaled(2, 1),
        injected_failures=scaled(20, 1),
    )


def schedule(events: int, seed: int) -> Sequence[Moment]:
    """The moments of a trial, in their order; the same for the same arguments."""
    random = Random(seed)  # noqa: S311 - seeded on purpose
    faults = _faults(minima_of(events), random)
    bounds = [events * number // len(faults) for number in range(len(faults) + 1)]
    return [
        Moment(
            fault=fault,
            begins_at=begin,
            fires_at=begin + int((end - begin) * random.uniform(*_FIRES_AT)),
            ends_at=end,
            records_per_second=(end - begin) / random.uniform(*_SECTION_SECONDS),
            pick=random.random(),
            pause_seconds=random.uniform(*_PAUSE_SECONDS),
            calm=random.random() < _CALM,
        )
        for fault, (begin, end) in zip(faults, pairwise(bounds), strict=True)
    ]


def _faults(minima: Minima, random: Random) -> list[Fault]:
    take_overs = minima.stops // 2
    faults = [
        *[Fault.KILL] * minima.kills,
        Fault.COMPACT,
        *[Fault.TAKE_OVER] * take_overs,
        *[Fault.STOP] * (minima.stops - 1 - take_overs),
        *[Fault.RESTART_BROKER] * minima.broker_restarts,
        *[Fault.JOIN] * minima.membership_changes,
        *[Fault.FENCE] * minima.fences,
    ]
    random.shuffle(faults)
    workers = WORKERS
    for place, fault in enumerate(faults):
        if fault is Fault.JOIN:
            if workers == _MOST_WORKERS or (workers > WORKERS and random.random() < _LEAVES):
                faults[place] = Fault.LEAVE
            workers += 1 if faults[place] is Fault.JOIN else -1
    return faults
