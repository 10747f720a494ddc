"""The processes of the stack on one machine: what is run, in which order, and where."""

import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calstream_core.errors import ConfigError
from calstream_core.settings import LoadedSettings, load_settings
from calstream_ops.cli.root import app
from calstream_ops.stack import ChildSpec
from calstream_ops.stack_processes import process_specs, stack_plan

FREE = "127.0.0.1:0"


def loaded(directory: Path, more: str = "") -> LoadedSettings:
    path = directory / "calstream.toml"
    path.write_text(
        f"[state]\ndirectory = '{directory / 'state'}'\n[ingest]\nlisten = '{FREE}'\n{more}"
    )
    return load_settings(path, {})


SINK = "[sinks.crm]\ntype = 'hubspot'\nbase_url = 'http://127.0.0.1:4999/hubspot'\n"


def test_every_process_gets_the_settings_file_and_a_health_listener(tmp_path: Path) -> None:
    specs = process_specs(loaded(tmp_path, SINK), sandbox_listen="127.0.0.1:4999")
    assert [spec.name for spec in specs] == ["sandbox", "ingest", "processors", "sinks"]
    for spec in specs:
        assert spec.argv[:3] == (sys.executable, "-P", "-m")
        assert spec.argv[3] == f"calstream_{spec.name}"
        assert spec.health.startswith("http://127.0.0.1:")
        assert spec.health.endswith("/healthz")
    for spec in specs[1:]:
        assert spec.environment == {"CALSTREAM_CONFIG": str(tmp_path / "calstream.toml")}
    assert len({spec.health for spec in specs}) == 4


def test_health_listeners_keep_their_ports(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SINK)
    first, second = process_specs(settings), process_specs(settings)
    assert [spec.health for spec in first] == [spec.health for spec in second]


def test_ingest_is_where_webhooks_go_and_the_sinks_where_they_are_asked(tmp_path: Path) -> None:
    by_name = {spec.name: spec for spec in process_specs(loaded(tmp_path, SINK))}
    assert by_name["ingest"].address == FREE
    assert by_name["sinks"].health == f"http://{by_name['sinks'].address}/healthz"


def test_without_sinks_or_sandbox_there_is_no_such_process(tmp_path: Path) -> None:
    specs = process_specs(loaded(tmp_path), sandbox_listen=None)
    assert [spec.name for spec in specs] == ["ingest", "processors"]


def test_topics_come_first_and_only_the_sandbox_is_set_up_by_itself(tmp_path: Path) -> None:
    more = SINK + "[sinks.real]\ntype = 'hubspot'\n"
    plan = stack_plan(loaded(tmp_path, more), sandbox_listen="127.0.0.1:4999")
    names = [unit.name for unit in plan("127.0.0.1:1")]
    assert names == [
        "topics",
        "sandbox",
        "set-up of crm in the sandbox",
        "ingest",
        "processors",
        "sinks",
    ]


def test_a_child_names_the_sandbox_s_scale_of_waiting(tmp_path: Path) -> None:
    spec = process_specs(loaded(tmp_path), retry_scale=0.01)[0]
    assert isinstance(spec, ChildSpec)
    assert spec.argv[-2:] == ("--retry-scale", "0.01")


def test_a_port_that_is_taken_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        settings = loaded(tmp_path)
        with pytest.raises(ConfigError, match="The sandbox can't listen at"):
            stack_plan(settings, sandbox_listen=taken)("127.0.0.1:1")
        monkeypatch.setenv("CALSTREAM_INGEST__LISTEN", taken)
        answer = CliRunner().invoke(
            app, ["--config", str(tmp_path / "calstream.toml"), "up", "--detach"]
        )
    assert answer.exit_code == 78
    assert f"Ingest can't listen at {taken}" in answer.stderr
    assert "ingest.listen" in answer.stderr
