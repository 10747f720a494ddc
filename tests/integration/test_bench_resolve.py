"""`calstream bench resolve` on a real broker, small: what it prints has its shape."""

import json
import subprocess
import sys

import pytest

from calstream_ops.bench.measures import RESOLVE
from calstream_ops.bench.steps import NAMES

pytestmark = pytest.mark.broker

OPTIONS = ("--json", "--quick", "--without-peers")


def test_webhooks_are_resolved_and_each_step_has_its_cost() -> None:
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "calstream_ops.cli", "bench", "resolve", *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout, answer.stderr
    found = json.loads(answer.stdout)
    assert found["bench"] == "resolve"
    assert found["settings"]["quick"]
    assert [each["name"] for each in found["results"]] == [measure.name for measure in RESOLVE]
    values = {each["name"]: each["value"] for each in found["results"]}
    assert values["webhooks_per_second_per_core"] > 1
    assert values["ratio_to_quix"] is None
    # every version of an entity that the webhooks made was read: about two for each
    webhooks = found["settings"]["plan"]["webhooks"]
    assert 2 * webhooks < found["settings"]["entities"] < 4 * webhooks
    steps = [values[f"step_{name}_us"] for name in NAMES]
    assert sum(steps) == pytest.approx(values["cpu_us_per_webhook"], rel=0.05)
    for name in ("normalise", "seal", "open", "fold", "encode_entities", "native_threads"):
        assert values[f"step_{name}_us"] > 0, name
    met = [each["met"] for each in found["results"]]
    assert answer.returncode == (1 if False in met else 0)
