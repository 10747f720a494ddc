"""The bench of identities: it measures what it says, on contacts that are found."""

import json

import pytest
from typer.testing import CliRunner

from calstream_ops.bench.identity import Plan, run_identity_bench
from calstream_ops.bench.measures import IDENTITY
from calstream_ops.bench.people import bookings, contact, person
from calstream_ops.bench.report import Report, results
from calstream_ops.cli import bench_identity
from calstream_ops.cli.root import app
from calstream_processors.resolve.state import Workspace

GOALS = {"lookups_per_second": 10_000, "match_p99_ms": 10, "index_restore_seconds": 60}
MET = {
    "lookups_per_second": 10_000.0,
    "match_p99_ms": 10.0,
    "match_p50_ms": 1.0,
    "index_restore_seconds": 60.0,
    "index_memory_mb": 1.0,
    "peak_memory_mb": 2.0,
}


def test_a_small_run_measures_everything() -> None:
    told: list[str] = []
    report = run_identity_bench(told.append, Plan(contacts=300, lookups=100, matches=50))
    found = {each["name"]: each for each in report.as_json()["results"]}
    assert {name: each["goal"] for name, each in found.items() if each["goal"]} == GOALS
    assert found["lookups_per_second"]["value"] > 0
    assert found["match_p99_ms"]["value"] >= found["match_p50_ms"]["value"] > 0
    assert report.settings["contacts"] == 300
    assert len(told) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("lookups_per_second", 9_999.0), ("match_p99_ms", 10.1), ("index_restore_seconds", 60.1)],
)
def test_a_goal_that_is_missed_is_told_by_the_exit_status(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for values, status in ((MET, 0), (MET | {name: value}, 1)):
        report = Report("identity", {}, "abc", {}, results(IDENTITY, values, with_peers=True))
        monkeypatch.setattr(
            bench_identity, "run_identity_bench", lambda _say, _plan, report=report: report
        )
        answer = CliRunner().invoke(app, ["bench", "identity", "--json"])
        assert answer.exit_code == status
        assert json.loads(answer.stdout)["bench"] == "identity"


def test_the_people_are_the_same_in_every_run_and_some_lack_something() -> None:
    people = [person(number) for number in range(500)]
    assert people == [person(number) for number in range(500)]
    for field in ("email", "phone", "company"):
        assert 0 < sum(one[field] is None for one in people) < 500
    workspace = Workspace()
    made = [contact(number, workspace) for number in range(50)]
    assert all(one.match_keys and len(one.copies) == 2 for one in made)
    assert list(bookings(50, 20, seed=1)) == list(bookings(50, 20, seed=1))
