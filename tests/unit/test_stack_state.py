"""The state file of the local stack, and which process a pid means."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calstream_core import process_identity
from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.process_identity import ProcessIdentity, identify
from calstream_core.settings import KafkaSettings, Settings, StateSettings
from calstream_core.stack_state import (
    ProcessRecord,
    StackState,
    broker_address,
    read_stack,
    remove_stack,
    write_stack,
)

NOW = datetime(2026, 11, 20, 9, 15, tzinfo=UTC)


def myself() -> ProcessIdentity:
    identity = identify(os.getpid())
    assert identity is not None
    return identity


def a_stack(broker: ProcessIdentity, *, ready: bool = True) -> StackState:
    record = ProcessRecord(
        name="broker", identity=broker, started_at=NOW, address="127.0.0.1:29092", ready=ready
    )
    return StackState(supervisor=myself(), started_at=NOW, processes=(record,), ready=ready)


def settings(directory: Path, bootstrap_servers: str = "") -> Settings:
    return Settings(
        state=StateSettings(directory=directory),
        kafka=KafkaSettings(bootstrap_servers=bootstrap_servers),
    )


def test_what_is_written_is_read_and_what_is_removed_is_gone(tmp_path: Path) -> None:
    state = a_stack(myself())
    write_stack(tmp_path / "new", state)
    assert read_stack(tmp_path / "new") == state
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["stack.json"]
    remove_stack(tmp_path / "new")
    assert read_stack(tmp_path / "new") is None


def test_a_state_file_that_is_not_ours_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match=r"stack\.json can't be understood"):
        read_stack(tmp_path)


def test_the_address_in_the_settings_comes_before_the_running_broker(tmp_path: Path) -> None:
    write_stack(tmp_path, a_stack(myself()))
    assert broker_address(settings(tmp_path, "kafka.example:9092")) == "kafka.example:9092"
    assert broker_address(settings(tmp_path)) == "127.0.0.1:29092"


@pytest.mark.parametrize("case", ["no stack", "dead broker", "reused pid", "not ready"])
def test_without_a_broker_that_runs_there_is_no_address(tmp_path: Path, case: str) -> None:
    if case == "dead broker":
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        write_stack(tmp_path, a_stack(ProcessIdentity(pid=dead.pid, birth="1")))
    elif case == "reused pid":
        write_stack(tmp_path, a_stack(ProcessIdentity(pid=os.getpid(), birth="another birth")))
    elif case == "not ready":
        write_stack(tmp_path, a_stack(myself(), ready=False))
    with pytest.raises(UnavailableError) as raised:
        broker_address(settings(tmp_path))
    assert raised.value.code is Code.STACK_NOT_RUNNING
    assert "calstream up" in raised.value.hint


def test_a_process_that_ended_but_is_not_reaped_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        identity = identify(child.pid)
        assert identity is not None
        assert identity.is_alive()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not identity.is_alive()


def test_a_pid_without_process_has_no_identity() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert identify(child.pid) is None


def test_ps_tells_a_birth_that_stays_the_same_and_none_for_the_dead() -> None:
    if not Path("/bin/ps").exists():
        pytest.skip("this machine has no /bin/ps")
    births = {process_identity._birth_from_ps(os.getpid()) for _ in range(2)}
    assert len(births) == 1
    assert births != {""}
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert process_identity._birth_from_ps(child.pid) == ""
