"""Proof by killing: the commands of docs/chaos.md, and that they leave nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calstream_ops.chaos.moments import FULL_EVENTS, minima_of
from calstream_ops.stack.ports import is_free

pytestmark = pytest.mark.broker

SMALL = "chaos engine --events 5000 --seed 1 --json"
FULL = "chaos engine --events 50000 --seed 1 --json"


def start(command: str, folder: Path) -> subprocess.Popen[str]:
    """Starts a command; all that it writes is in the folder."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "calstream_ops.cli", *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,  # a Ctrl-C of whoever runs the tests is not for it alone
    )


def prove(command: str, folder: Path) -> dict[str, Any]:
    """Runs a trial to its end; its report, if all is well."""
    with start(command, folder) as process:
        answer, progress = process.communicate()
    assert process.returncode == 0, f"{answer}\n{progress}"
    found: dict[str, Any] = json.loads(answer)
    assert found["ok"], answer
    assert (found["lost"], found["duplicated_effects"]) == (0, 0)
    assert found["state_equal"]
    assert not found["findings"]
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []
    return found


def processes_of(folder: Path) -> list[str]:
    """The processes that were told of the folder; whoever lists them is not."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "command="], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_done_twice_however_workers_and_broker_die(tmp_path: Path) -> None:
    found = prove(SMALL, tmp_path)
    assert found["events"] >= 5000
    assert found["kills"] >= 4
    assert min(found[name] for name in ("stops", "broker_restarts", "membership_changes")) >= 1
    assert min(found[name] for name in ("takeovers", "restores_on_empty_disk", "fences")) == 1
    assert found["compactions"] == 12
    assert found["injected_failures"] >= 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_full_proof(tmp_path: Path) -> None:
    found = prove(FULL, tmp_path)
    minima = minima_of(FULL_EVENTS)
    assert found["events"] >= 50_000
    assert found["kills"] >= minima.kills >= 20
    assert found["stops"] >= minima.stops >= 5
    assert found["broker_restarts"] >= minima.broker_restarts >= 2
    assert found["membership_changes"] >= minima.membership_changes >= 3
    assert found["injected_failures"] >= minima.injected_failures


def test_an_interrupted_trial_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with start(SMALL, tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.match(r"1 of \d+: ", line):
                break
        assert processes_of(tmp_path)
        (file,) = tmp_path.glob("*/broker/ports.json")
        ports = json.loads(file.read_text("utf-8"))
        assert not is_free(ports["broker"])
        os.kill(process.pid, signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    assert processes_of(tmp_path) == []
    assert is_free(ports["broker"])
    assert list(tmp_path.iterdir()) == []
