"""How figures are got out of what was observed."""

import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.errors import UnavailableError
from calstream_ops.bench.latency import Latencies
from calstream_ops.bench.machine import commit, describe_machine
from calstream_ops.bench.output import steady
from calstream_ops.bench.process import WorkerProcess
from calstream_ops.bench.restore import extrapolated
from calstream_ops.bench.worker import max_resident_bytes


@given(
    per_batch=st.integers(1, 500),
    every_milliseconds=st.integers(1, 50),
    batches=st.integers(10, 200),
    slow_milliseconds=st.integers(0, 5000),
)
def test_a_steady_rate_is_found_behind_a_slow_start(
    per_batch: int, every_milliseconds: int, batches: int, slow_milliseconds: int
) -> None:
    counts = Counter({1_000: 1})
    began = 1_000 + slow_milliseconds
    for number in range(1, batches + 1):
        counts[began + number * every_milliseconds] += per_batch
    window = steady(counts, warm_up_seconds=slow_milliseconds / 1000)
    assert window.outputs == counts.total()
    assert window.records <= window.outputs
    if slow_milliseconds < batches * every_milliseconds / 2:
        assert window.per_second == pytest.approx(per_batch / every_milliseconds * 1000)


def test_there_is_no_rate_where_all_came_at_once() -> None:
    with pytest.raises(UnavailableError):
        steady(Counter({5: 1000, 6: 1}), 1.0)


def test_percentiles_are_values_that_were_seen() -> None:
    found = Latencies([float(number) for number in range(1, 201)])
    assert (found.percentile(50), found.percentile(99), found.percentile(100)) == (101, 199, 200)
    assert Latencies([7.0]).percentile(99) == 7


def test_what_is_left_of_a_restore_is_estimated_at_its_rate_and_said_to_be() -> None:
    found = extrapolated(
        {"seconds": 2.0, "remaining": 1_000_000}, {"seconds": 42.0, "remaining": 600_000}
    )
    assert found.seconds == 42 + 60
    assert found.details["extrapolated"]
    assert found.details["records_per_second"] == 10_000


def test_a_restore_that_got_nowhere_is_not_estimated() -> None:
    with pytest.raises(UnavailableError):
        extrapolated({"seconds": 2.0, "remaining": 5}, {"seconds": 42.0, "remaining": 5})


def test_the_machine_is_described_without_its_name() -> None:
    found = describe_machine()
    assert found["cpus"] >= 1
    assert found["memory_gb"] >= 1
    assert set(found) == {"system", "architecture", "processor", "cpus", "memory_gb", "python"}
    head = commit()
    assert head is None or len(head.rstrip("+")) == 12


def test_a_process_knows_how_much_memory_it_took_at_most() -> None:
    before = max_resident_bytes()
    kept = bytearray(b"x" * 64_000_000)
    assert max_resident_bytes() > max(before, 10_000_000)
    assert len(kept) == 64_000_000


PROGRAM = """
print('noise {"event": "progress", "seconds": 1}', flush=True)
print('{"event": "progress", "seconds": 2}', flush=True)
print('{"event": "ready", "seconds": 3}', flush=True)
"""


def test_a_worker_s_events_are_heard_among_its_log() -> None:
    with WorkerProcess("worker", [sys.executable, "-c", PROGRAM + "input()"]) as worker:
        assert worker.wait_for("ready", 30) == {"event": "ready", "seconds": 3}
        first, last = worker.first("progress"), worker.last("progress")
    assert first == {"event": "progress", "seconds": 1}
    assert last == {"event": "progress", "seconds": 2}


def test_a_worker_that_ends_is_told_with_its_last_lines() -> None:
    program = "import sys; print('no such thing'); sys.exit(3)"
    with (
        WorkerProcess("worker", [sys.executable, "-c", program]) as worker,
        pytest.raises(UnavailableError, match=r"(?s)worker ended by itself.*no such thing"),
    ):
        worker.wait_for("ready", 30)


def test_a_worker_that_says_nothing_is_given_up() -> None:
    with (
        WorkerProcess("worker", [sys.executable, "-c", "import time; time.sleep(60)"]) as worker,
        pytest.raises(UnavailableError, match="did not say 'ready'"),
    ):
        worker.wait_for("ready", 0.3)
