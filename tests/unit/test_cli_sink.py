"""`calstream sink`: lists and resyncs, against a health listener that plays the sinks process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from calstream_core.errors import Code, ConfigError
from calstream_core.health import HealthServer
from calstream_ops.cli.root import app

IDLE = {"intent": 0, "retry": 0, "waiting": 0, "dead": 1, "ready": 0}
PROGRESS = {
    "mode": "verify",
    "running": True,
    "replayed": 5,
    "total": 0,
    "checked": 0,
    "same": 0,
    "missing": 0,
    "different": 0,
}


@dataclass
class Process:
    """Answers `/v1/sinks` with one state after the other, the last one for ever."""

    states: list[dict[str, Any]]
    asked: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def show(self, _request: dict[str, Any]) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def resync(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if request["sink"] == "refused":
            raise ConfigError(Code.CONFIG_INVALID, "No such sink.", hint="Look.")
        return PROGRESS


def state(*, pending: dict[str, int] = IDLE, **progress: Any) -> dict[str, Any]:
    resync = PROGRESS | progress if progress else None
    return {
        sink: {"fault": None, "pending": pending, "resync": resync} for sink in ("crm", "refused")
    }


@pytest.fixture(scope="module")
def listener() -> Iterator[Process]:
    found = Process([])
    actions = {"/v1/sinks": found.show, "/v1/sinks/resync": found.resync}
    server = HealthServer("127.0.0.1:0", {}, actions)
    found.address = f"127.0.0.1:{server.port}"
    yield found
    server.close()


@pytest.fixture
def process(listener: Process) -> Process:
    listener.states = [state()]
    listener.asked = []
    return listener


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    (tmp_path / "calstream.toml").write_text(
        "[sinks.crm]\ntype = 'hubspot'\n[sinks.refused]\ntype = 'hubspot'\n"
    )
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["sink", *words])


def test_the_list_tells_what_the_running_process_still_has_to_do(process: Process) -> None:
    process.states = [state(pending=IDLE | {"retry": 2}, running=False)]
    answer = run("list", "--address", process.address, "-o", "json")
    assert answer.exit_code == 0
    crm = json.loads(answer.stdout)[0]
    assert (crm["id"], crm["title"], crm["state"]) == ("crm", "HubSpot", "well")
    assert crm["pending"]["retry"] == 2
    assert crm["resync"]["running"] is False


def test_the_list_needs_no_running_process() -> None:
    answer = run("list", "-o", "json")
    assert answer.exit_code == 0
    assert [each["state"] for each in json.loads(answer.stdout)] == ["not running"] * 2


def test_an_address_at_which_nobody_answers_is_status_69() -> None:
    assert run("list", "--address", "127.0.0.1:1").exit_code == 69


def test_a_resync_waits_until_nothing_is_pending_and_sums_up(process: Process) -> None:
    process.states = [
        state(),
        state(running=True),
        state(running=False, checked=3, missing=1, pending=IDLE | {"waiting": 1}),
        state(running=False, checked=3, missing=1, same=2),
    ]
    answer = run("resync", "crm", "--verify", "--yes", "--address", process.address, "-o", "json")
    assert answer.exit_code == 0
    assert process.asked == [{"sink": "crm", "mode": "verify"}]
    told = json.loads(answer.stdout)
    del told["seconds"]
    assert told == {
        "sink": "crm",
        "mode": "verify",
        "checked": 3,
        "same": 2,
        "different": 0,
        "missing": 1,
        "dead": 1,
    }


def test_a_resync_on_which_something_was_given_up_is_status_65(process: Process) -> None:
    process.states = [state(), state(running=False, pending=IDLE | {"dead": 3})]
    answer = run("resync", "crm", "--rewrite", "--yes", "--address", process.address, "-o", "json")
    assert answer.exit_code == 65
    error = json.loads(answer.stderr)
    assert error["code"] == "vendor-refused"
    assert error["message"].startswith("2 entities")


def test_a_resync_that_takes_too_long_goes_on_without_us(process: Process) -> None:
    process.states = [state(running=True)]
    answer = run(
        "resync", "crm", "--verify", "--yes", "--timeout", "0", "--address", process.address
    )
    assert answer.exit_code == 69
    assert "It goes on" in answer.stderr


def test_without_waiting_it_is_only_started(process: Process) -> None:
    process.states = [state(running=True)]
    answer = run(
        "resync", "crm", "--trust-ledger", "--yes", "--no-wait", "--address", process.address
    )
    assert answer.exit_code == 0
    assert process.asked == [{"sink": "crm", "mode": "trust-ledger"}]


def test_what_the_process_refuses_is_told_in_its_own_words(process: Process) -> None:
    answer = run(
        "resync", "refused", "--verify", "--yes", "--address", process.address, "-o", "json"
    )
    assert answer.exit_code == 1
    assert json.loads(answer.stderr) == {
        "code": "config-invalid",
        "message": "No such sink.",
        "hint": "Look.",
    }


def test_a_sink_that_the_process_does_not_know_needs_a_restart(process: Process) -> None:
    process.states = [{}]
    answer = run("resync", "crm", "--verify", "--yes", "--address", process.address)
    assert answer.exit_code == 69
    assert "reads the settings at its start" in answer.stderr


@pytest.mark.parametrize("flags", [(), ("--verify", "--rewrite")])
def test_a_resync_needs_exactly_one_mode(flags: tuple[str, ...]) -> None:
    assert run("resync", "crm", *flags).exit_code == 2


def test_an_unknown_sink_gets_a_suggestion() -> None:
    answer = run("check", "cmr")
    assert answer.exit_code == 78
    assert "Did you mean crm?" in answer.stderr
