"""What a bench tells: goals, the one JSON object, the exit status, the table in the docs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from calstream_core.errors import ConfigError
from calstream_ops.bench import engine
from calstream_ops.bench.measures import MEASURES
from calstream_ops.bench.page import markdown, markers, write_into
from calstream_ops.bench.report import Measure, Report, Result, ratio, results
from calstream_ops.cli import bench_engine as command
from calstream_ops.cli.root import app

FAST = Measure("fast", "records/s", 100)
LATE = Measure("late", "ms", 20, at_most=True, digits=1)
SEEN = Measure("seen", "s", digits=2)
PEER = Measure("peer", "x", 1.5, needs_peers=True)
MACHINE = {"cpus": 2, "processor": "P", "memory_gb": 8, "system": "S", "python": "3.11.0"}


def _report(*found: Result) -> Report:
    return Report("engine", MACHINE, "abc", {"quick": False}, found)


@pytest.mark.parametrize(
    ("measure", "value", "met"),
    [
        (FAST, 100, True),
        (FAST, 99.9, False),
        (LATE, 20, True),
        (LATE, 20.01, False),
        (SEEN, 5, None),
        (FAST, None, False),
        (SEEN, None, None),
    ],
)
def test_a_goal_is_met_at_its_value_and_a_result_without_one_says_nothing(
    measure: Measure, value: float | None, met: bool | None
) -> None:
    assert Result(measure, value).met is met


def test_what_nobody_asked_for_is_not_missed() -> None:
    asked = results([FAST, PEER], {"fast": 200}, with_peers=True)
    assert [result.met for result in asked] == [True, False]
    assert _report(*asked).exit_status == 1
    left_out = results([FAST, PEER], {"fast": 200}, with_peers=False)
    assert [result.met for result in left_out] == [True, None]
    assert _report(*left_out).exit_status == 0


def test_a_value_that_is_no_result_of_the_bench_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        results([FAST], {"fsat": 1}, with_peers=True)


def test_the_object_has_every_result_in_order_and_rounded() -> None:
    found = _report(Result(FAST, 123.4), Result(LATE, 0.26), Result(SEEN, None)).as_json()
    assert list(found) == ["bench", "machine", "commit", "settings", "results"]
    assert found["results"] == [
        {"name": "fast", "value": 123, "unit": "records/s", "goal": 100, "met": True},
        {"name": "late", "value": 0.3, "unit": "ms", "goal": 20, "met": True},
        {"name": "seen", "value": None, "unit": "s", "goal": None, "met": None},
    ]


@pytest.mark.parametrize(
    ("value", "reference", "expected"), [(6, 3, 2), (None, 3, None), (6, None, None), (6, 0, None)]
)
def test_a_ratio_needs_both_sides(
    value: float | None, reference: float | None, expected: float | None
) -> None:
    assert ratio(value, reference) == expected


def _engine_report(*, ok: bool) -> Report:
    values = {
        measure.name: (measure.goal or 1) * (1 if ok else 2 if measure.at_most else 0.5)
        for measure in MEASURES["engine"]
    }
    return Report(
        "engine",
        MACHINE,
        None,
        {"quick": True},
        results(MEASURES["engine"], values, with_peers=True),
    )


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("words", [("--json",), ("-o", "json")])
def test_the_command_prints_one_object_and_exits_by_the_goals(
    monkeypatch: pytest.MonkeyPatch, ok: bool, words: tuple[str, ...]
) -> None:
    asked: dict[str, Any] = {}

    def run(say: Any, **options: Any) -> Report:
        say("half way")
        asked.update(options)
        return _engine_report(ok=ok)

    monkeypatch.setattr(command, "run_engine_bench", run)
    answer = CliRunner().invoke(app, ["bench", "engine", "--quick", "--without-peers", *words])
    assert answer.exit_code == (0 if ok else 1)
    found = json.loads(answer.stdout)
    assert [each["name"] for each in found["results"]] == [m.name for m in MEASURES["engine"]]
    assert {each["met"] for each in found["results"]} == {ok, None}
    assert "half way" in answer.stderr
    assert asked == {"plan": engine.QUICK, "with_peers": False}


def test_people_get_a_table_with_goals_and_what_is_not_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        command, "run_engine_bench", lambda _say, **_options: _engine_report(ok=False)
    )
    answer = CliRunner().invoke(app, ["bench", "engine"])
    lines = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines()}
    assert lines["plain_records_per_second"] == ["25,000", "records/s", "≥", "50,000", "NO"]
    assert lines["memory_1m_mb"] == ["1,000", "MB", "≤", "500", "NO"]


def test_the_figures_go_between_the_markers_of_a_page_and_nowhere_else(tmp_path: Path) -> None:
    begin, end = markers("engine")
    page, file = tmp_path / "page.md", tmp_path / "engine.json"
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    found = _engine_report(ok=True).as_json()
    file.write_text(json.dumps(found))
    for changed in (True, False):
        answer = CliRunner().invoke(app, ["bench", "render", str(file), str(page), "-o", "json"])
        assert json.loads(answer.stdout) == {"page": str(page), "changed": changed}
    assert page.read_text() == f"before\n{begin}\n{markdown(found)}\n{end}\nafter\n"
    assert (
        "| `plain_records_per_second` | 50,000 | records/s | ≥ 50,000 | yes |" in page.read_text()
    )


@pytest.mark.parametrize("text", ["no markers\n", "{0}\n{0}\n{1}\n", "{1}\n{0}\n"])
def test_a_page_without_the_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text.format(*markers("engine")))
    with pytest.raises(ConfigError):
        write_into(page, _engine_report(ok=True).as_json())
    assert page.read_text() == text.format(*markers("engine"))


def test_a_file_that_no_bench_wrote_is_told(tmp_path: Path) -> None:
    file = tmp_path / "engine.json"
    for text in ("", "{}", '{"bench": "other"}'):
        file.write_text(text)
        answer = CliRunner().invoke(app, ["bench", "render", str(file), str(file), "-o", "json"])
        assert answer.exit_code == ConfigError.exit_status
        assert json.loads(answer.stderr)["code"] == "config-invalid"
