"""`calstream bench engine` on a real broker, small: what it prints has its shape."""

import json
import subprocess
import sys
from typing import Any

import pytest

from calstream_ops.bench.measures import MEASURES

pytestmark = pytest.mark.broker

OURS = {measure.name for measure in MEASURES["engine"] if not measure.needs_peers}


def _bench(*words: str) -> tuple[int, dict[str, Any], str]:
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "calstream_ops.cli", "bench", "engine", "--json", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout), answer.stderr


def _values(found: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in found["results"]}


def test_our_engine_is_measured_without_peers() -> None:
    status, found, progress = _bench("--quick", "--without-peers")
    assert found["bench"] == "engine"
    assert found["settings"]["quick"]
    assert not found["settings"]["not_measured"]
    assert list(_values(found)) == [measure.name for measure in MEASURES["engine"]]
    for each in found["results"]:
        assert set(each) == {"name", "value", "unit", "goal", "met"}
        assert (each["value"] is not None) == (each["name"] in OURS), each
    assert status == (1 if False in [each["met"] for each in found["results"]] else 0)
    assert "round 1 of 1" in progress

    values = _values(found)
    assert 500 < values["transactional_records_per_second"] < 2_000_000
    assert 500 < values["plain_records_per_second"] < 2_000_000
    assert 0 < values["restore_1m_seconds"] < 120
    assert 30 < values["memory_1m_mb"] < 2000
    for mode in ("plain", "transactional"):
        assert 0 < values[f"latency_p50_{mode}_ms"] <= values[f"latency_p99_{mode}_ms"] < 10_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_peers_do_the_same_job() -> None:
    _status, found, progress = _bench("--quick")
    values, missing = _values(found), found["settings"]["not_measured"]
    assert missing.keys() <= {"kafka_streams"}, progress
    streams = "" if missing else "kafka_streams_records_per_second"
    for name in ("quix_records_per_second", "faust_records_per_second", streams):
        assert not name or 100 < values[name] < 1_000_000, name
    assert values["ratio_to_faust"] > 1
    assert values["faust_restore_1m_seconds"] > 0
