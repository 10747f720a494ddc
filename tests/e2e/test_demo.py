"""The demonstration is the end-to-end test: every staging case on the real stack, over HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calstream_ops.demo.cases import CASES

pytestmark = pytest.mark.e2e


def _demo(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CALSTREAM_")}
    return subprocess.run(
        [sys.executable, "-m", "calstream_ops.cli", "demo", *arguments],
        env={**environment, "HOME": str(home), "TMPDIR": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = _demo("--json", home=tmp_path_factory.mktemp("home"))
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_case_is_as_expected(report: dict[str, Any]) -> None:
    assert [case["name"] for case in report["cases"]] == [case.name for case in CASES]
    assert [case for case in report["cases"] if not case["ok"]] == []
    assert report["ok"] is True


def test_repeats_were_dropped_and_delays_measured(report: dict[str, Any]) -> None:
    assert report["duplicates_dropped"] >= 6
    assert 0 < report["lag_seconds"]["p50"] <= report["lag_seconds"]["p99"] < 20
    assert report["entities"] < report["versions"]


def test_it_stays_within_its_time(report: dict[str, Any]) -> None:
    assert report["seconds"] < 60


def test_a_case_that_does_not_exist_is_refused_with_the_names(tmp_path: Path) -> None:
    done = _demo("--only", "nothing", home=tmp_path)
    assert done.returncode == 78
    assert "new-booking" in done.stderr


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    done = _demo("--only", "bad-signature", home=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "bad-signature" in done.stdout
    assert "workspace add" in done.stdout
    assert list(tmp_path.glob("calstream-demo-*")) == []
    assert not _processes_that_mention(str(tmp_path))


def _processes_that_mention(text: str) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if text in line]
