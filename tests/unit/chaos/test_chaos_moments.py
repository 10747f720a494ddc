"""The seeded schedule of a trial."""

import re
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from calstream_ops.chaos.moments import (
    FULL_EVENTS,
    MEMBERSHIP_CHANGES,
    STOPS,
    WORKERS,
    Fault,
    minima_of,
    schedule,
)

SEEDS = range(20)


def test_the_full_proof_has_every_fault_as_often_as_it_must() -> None:
    minima = minima_of(FULL_EVENTS)
    assert minima.kills >= 20
    assert minima.stops >= 5
    assert minima.broker_restarts >= 2
    assert minima.membership_changes >= 3


def test_more_records_than_the_full_proof_needs_bring_no_more_faults() -> None:
    assert minima_of(20 * FULL_EVENTS) == minima_of(FULL_EVENTS)


def test_a_small_trial_has_each_fault_at_least_once() -> None:
    minima = minima_of(1000)
    assert minima.kills == 4
    assert (minima.stops, minima.broker_restarts, minima.membership_changes) == (1, 1, 1)


@pytest.mark.parametrize("events", [1000, 5000, 20_000, FULL_EVENTS])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_has_what_its_minima_ask_for(events: int, seed: int) -> None:
    minima = minima_of(events)
    done = Counter(moment.fault for moment in schedule(events, seed))
    assert done[Fault.KILL] == minima.kills
    assert sum(done[fault] for fault in STOPS) == minima.stops
    assert done[Fault.COMPACT] == 1
    assert done[Fault.RESTART_BROKER] == minima.broker_restarts
    assert sum(done[fault] for fault in MEMBERSHIP_CHANGES) == minima.membership_changes
    assert done[Fault.FENCE] == minima.fences


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sections_follow_one_another_and_hold_all_records(seed: int) -> None:
    moments = schedule(FULL_EVENTS, seed)
    assert moments[0].begins_at == 0
    assert moments[-1].ends_at == FULL_EVENTS
    for moment, following in pairwise(moments):
        assert moment.ends_at == following.begins_at
    for moment in moments:
        assert moment.begins_at < moment.fires_at < moment.ends_at
        assert moment.records_per_second > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_there_are_never_fewer_workers_than_the_least(seed: int) -> None:
    workers = WORKERS
    for moment in schedule(FULL_EVENTS, seed):
        workers += {Fault.JOIN: 1, Fault.LEAVE: -1}.get(moment.fault, 0)
        assert workers >= WORKERS


def test_the_same_seed_gives_the_same_moments_and_another_gives_others() -> None:
    assert schedule(5000, 7) == schedule(5000, 7)
    assert schedule(5000, 7) != schedule(5000, 8)


def test_the_page_says_how_often_what_is_done() -> None:
    page = (Path(__file__).parents[3] / "docs" / "chaos.md").read_text("utf-8")
    told = {
        name: (int(small), int(full))
        for name, small, full in re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    }
    small, full = asdict(minima_of(5000)), asdict(minima_of(FULL_EVENTS))
    assert told == {name: (small[name], full[name]) for name in small}
