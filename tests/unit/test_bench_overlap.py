"""The bench of double bookings: it measures what it says, on bookings that overlap."""

import json

import pytest
from typer.testing import CliRunner

from calstream_ops.bench.booked_host import calendar, changes, days
from calstream_ops.bench.measures import OVERLAP
from calstream_ops.bench.overlap import Plan, run_overlap_bench
from calstream_ops.bench.report import Report, results
from calstream_ops.cli import bench_overlap
from calstream_ops.cli.root import app


def test_a_small_run_measures_everything() -> None:
    told: list[str] = []
    report = run_overlap_bench(told.append, Plan(bookings=600, changes=60))
    found = {each["name"]: each for each in report.as_json()["results"]}
    assert found["find_p99_ms"]["goal"] == 1
    assert found["observation_p99_ms"]["value"] >= found["find_p50_ms"]["value"] > 0
    assert report.settings["found"] > 0
    assert len(told) == 2


@pytest.mark.parametrize(("value", "status"), [(1.0, 0), (1.001, 1)])
def test_a_goal_that_is_missed_is_told_by_the_exit_status(
    value: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Report(
        "overlap", {}, "abc", {}, results(OVERLAP, {"find_p99_ms": value}, with_peers=True)
    )
    monkeypatch.setattr(bench_overlap, "run_overlap_bench", lambda _say, _plan: report)
    answer = CliRunner().invoke(app, ["bench", "overlap", "--json"])
    assert answer.exit_code == status
    assert json.loads(answer.stdout)["bench"] == "overlap"


def test_the_bookings_are_the_same_in_every_run_and_long_ones_are_among_them() -> None:
    bookings = list(calendar(1000))
    assert bookings == list(calendar(1000))
    assert len(bookings) == 1000
    assert days(10_000) > 600
    assert list(changes(1000, 50, 1)) == list(changes(1000, 50, 1)) != list(changes(1000, 50, 2))
