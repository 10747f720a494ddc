"""Whether image, compose file and settings fit each other; needs no container engine."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import yaml

from calstream_core.clock import now_microseconds
from calstream_core.health import HealthServer
from calstream_core.settings import Settings, load_settings
from calstream_ops.stack.broker_config import broker_properties
from calstream_ops.stack.jar_lock import read_lock
from calstream_processors.normalise import normalise
from calstream_schemas.webhooks import ReceivedWebhook
from calstream_sinks.registry import make_sink
from calstream_sinks.runner.context import RunnerContext

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
OURS = [name for name in SERVICES if name != "kafka"]
ONE_SHOT = ["topics", "sandbox-setup"]
PROCESSES = [name for name in OURS if name not in ONE_SHOT]


def _settings() -> Settings:
    return load_settings(ROOT / "deploy/docker/calstream.toml", environment={}).settings


def _secret_names(service: str) -> set[str]:
    return set(SERVICES[service].get("secrets", ()))


# the services


def test_the_services_are_the_product_s_and_no_others() -> None:
    processes = {"ingest", "processors", "sinks", "sandbox"}
    assert set(SERVICES) == {"kafka", *processes, *ONE_SHOT}
    assert {n for n, s in SERVICES.items() if s.get("profiles")} == {"sandbox", "sandbox-setup"}


@pytest.mark.parametrize("name", OURS)
def test_a_command_exists_with_its_options(name: str) -> None:
    command = SERVICES[name]["command"]
    if command[0] == "python":
        argv = [sys.executable, *command[1:]]
    else:
        assert command[0] in PROJECT["project"]["scripts"]
        argv = [sys.executable, "-m", "calstream_ops.cli", *command[1:]]
    done = subprocess.run([*argv, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for option in command:
        if option.startswith("--"):
            assert option in done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_our_image_is_this_version_is_built_once_and_never_pulled() -> None:
    version = PROJECT["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"calstream:{version}"}
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}
    assert {SERVICES[name]["platform"] for name in OURS} == {"linux/amd64"}
    (build,) = (service["build"] for service in SERVICES.values() if "build" in service)
    assert ROOT / build["context"] / build["dockerfile"] == DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name in OURS:
        assert service["read_only"] is True
        assert service["init"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port)
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_what_runs_for_long_is_restarted_and_tells_how_it_does(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert "restart" not in service
        assert "healthcheck" not in service
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    waits = SERVICES[name].get("depends_on", {})
    for other, how in waits.items():
        ends = other in ONE_SHOT
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
        optional = not SERVICES[name].get("profiles") and SERVICES[other].get("profiles")
        assert how.get("required", True) is not bool(optional)
    if name in {"ingest", "processors", "sinks"}:
        assert {"kafka", "topics"} <= set(waits)


# the health checks


def _check(name: str, port: int | None = None) -> list[str]:
    """A service's check as a command of this machine, on another port if one is given."""
    command: list[str] = SERVICES[name]["healthcheck"]["test"][1:]
    assert command[0] == "python"
    code = command[-1] if port is None else re.sub(r":\d+/", f":{port}/", command[-1])
    return [sys.executable, *command[1:-1], code]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_check_asks_where_the_process_listens(name: str) -> None:
    command = SERVICES[name]["command"]
    option = "--listen" if name == "sandbox" else "--health-listen"
    host, _, port = command[command.index(option) + 1].partition(":")
    assert host == "0.0.0.0"
    assert f"http://127.0.0.1:{port}/healthz" in _check(name)[-1]


@pytest.mark.parametrize(("fault", "status"), [(None, 0), ("no broker", 1)])
def test_a_check_tells_well_from_ill(
    fault: str | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # Docker may hand one in
    server = HealthServer("127.0.0.1:0", {"broker": lambda: fault})
    try:
        for name in PROCESSES:
            done = subprocess.run(_check(name, server.port), capture_output=True, check=False)
            assert done.returncode == status, done.stderr
    finally:
        server.close()


# the settings, the secrets and the volumes


def test_the_settings_file_fits_the_compose_file() -> None:
    settings = _settings()
    broker = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"BROKER://{settings.kafka.bootstrap_servers}" == broker
    (port,) = SERVICES["ingest"]["ports"]
    assert settings.ingest.listen == f"0.0.0.0:{port.rpartition(':')[2]}"


def test_the_sink_s_settings_are_valid_and_lead_to_the_sandbox() -> None:
    settings = _settings()
    for sink_id, sink in settings.sinks.items():
        make_sink(sink, sink_id, RunnerContext(sink_id))
    (port,) = SERVICES["sandbox"]["ports"]
    base_url = urlsplit(str(settings.sinks["hubspot"].options()["base_url"]))
    assert base_url.netloc == f"sandbox:{port.rpartition(':')[2]}"
    assert "hubspot" in SERVICES["sandbox-setup"]["command"]


def test_the_example_booking_is_one_for_the_configured_workspace() -> None:
    body = (ROOT / "deploy/docker/booking.json").read_bytes()
    (workspace,) = _settings().workspaces
    assert json.loads(body)["workspace"] == workspace
    found = normalise(
        ReceivedWebhook(
            id=str(uuid4()),
            workspace=workspace,
            source="calendar_live",
            received_at=now_microseconds(),
            delivery_id="dlv_1",
            scheme="hmac-sha256",
            secret_label="default",
            content_type="application/json",
            body=body,
        ),
        "US",
    )
    assert {observation.kind for observation in found.observations} == {
        "contact",
        "booking",
        "attendance",
    }
    assert not found.problems


def test_each_service_gets_the_secrets_that_it_reads_and_no_others() -> None:
    settings = _settings()
    webhook_files = {
        str(reference.file)
        for workspace in settings.workspaces.values()
        for references in workspace.secrets.values()
        for reference in references
    }
    token_files = {str(sink.options()["token"]["file"]) for sink in settings.sinks.values()}
    wanted = {"ingest": webhook_files, "sinks": token_files, "sandbox-setup": token_files}
    for name in SERVICES:
        mounted = {f"/run/secrets/{secret}" for secret in _secret_names(name)}
        assert mounted == wanted.get(name, set())


def test_secrets_are_files_that_git_and_the_image_leave_out() -> None:
    used = set().union(*(_secret_names(name) for name in SERVICES))
    for name, secret in COMPOSE["secrets"].items():
        assert name in used
        assert secret == {"file": f"${{SECRETS_DIRECTORY:-./deploy/docker/secrets}}/{name}"}
    ignored = (ROOT / "deploy/docker/secrets/.gitignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    assert not _is_in_context("deploy/docker/secrets/hubspot_token")


def test_the_keys_volume_is_shared_by_all_who_need_it() -> None:
    directory = str(_settings().state.directory)
    for name in OURS:
        volumes = {v["target"]: v for v in SERVICES[name].get("volumes", ())}
        if name in {"ingest", "processors", "sinks"}:
            assert volumes[directory] == {"type": "volume", "source": "state", "target": directory}
        else:
            assert directory not in volumes
    assert set(COMPOSE["volumes"]) == {"state", "kafka"}


@pytest.mark.parametrize("name", [name for name in OURS if name != "sandbox"])
def test_the_settings_are_mounted_where_the_image_looks_for_them(name: str) -> None:
    (mount,) = (v for v in SERVICES[name]["volumes"] if v["type"] == "bind")
    assert mount["read_only"] is True
    assert (ROOT / mount["source"]).is_file()
    assert f"CALSTREAM_CONFIG={mount['target']}" in DOCKERFILE.read_text("utf-8")


# the broker


def test_kafka_is_the_one_that_everything_is_tested_with() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{read_lock().kafka_version}"


def test_kafka_is_configured_as_the_embedded_one() -> None:
    """But for addresses, and for what makes the embedded one small and quick to start again."""
    own = {"listeners", "log.dirs", "controller.quorum.voters"}
    small = {
        "broker.session.timeout.ms",
        "broker.heartbeat.interval.ms",
        "num.network.threads",
        "num.io.threads",
        "background.threads",
        "log.cleaner.dedupe.buffer.size",
    }
    embedded = broker_properties(9092, 9093, heap_megabytes=384)
    found = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    assert set(found) == (set(embedded) - small) | {"advertised.listeners"}
    for name in set(embedded) - small - own:
        assert found[name] == embedded[name]
    assert SERVICES["kafka"]["volumes"] == [f"kafka:{found['log.dirs']}"]


# the image


def _copied() -> dict[str, str]:
    """What the Dockerfile copies from the project, and to where."""
    found = {}
    for line in DOCKERFILE.read_text("utf-8").splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            *sources, target = line.removeprefix("COPY ").split()
            for source in sources:
                folder = target.endswith("/")
                found[source] = f"{target}{Path(source).name}" if folder else target
    return found


def _is_in_context(path: str) -> bool:
    """Whether .dockerignore lets a file into the image; its last line that fits decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").replace("**/", "*/")
            if fnmatch(path, pattern) or fnmatch(path, f"{pattern}/*"):
                inside = line.startswith("!")
    return inside


def test_the_image_gets_every_package_and_every_file_exists() -> None:
    copied = _copied()
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert _is_in_context(source), source


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "calstream.toml",
        "core/calstream_core/__pycache__/errors.cpython-312.pyc",
        "deploy/docker/calstream.toml",
        "tests/conftest.py",
    ],
)
def test_the_image_gets_nothing_else(path: str) -> None:
    assert not _is_in_context(path)


def test_the_wheel_can_be_built_from_what_the_image_gets(tmp_path: Path) -> None:
    for source, target in _copied().items():
        place = tmp_path / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        else:
            shutil.copy(ROOT / source, place)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in packages} <= names


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    text = DOCKERFILE.read_text("utf-8")
    installs = re.findall(r"pip install(.*?)(?:&&|\n(?! ))", text, re.DOTALL)
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]


def test_the_base_image_is_pinned_and_there_is_no_java() -> None:
    text = DOCKERFILE.read_text("utf-8")
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.12-slim-\w+$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    instructions = "".join(line for line in text.splitlines() if not line.startswith("#")).lower()
    for word in ("java", "jdk", "jre", "apt", "kafka"):
        assert word not in instructions


def test_compose_itself_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no `docker` command")
    compose = [docker, "compose"]
    there = subprocess.run([*compose, "version"], capture_output=True, text=True, check=False)
    if there.returncode != 0:
        pytest.skip(f"docker has no compose plugin: {there.stderr.strip().partition(chr(10))[0]}")
    for profile in ([], ["--profile", "sandbox"]):
        done = subprocess.run(
            [*compose, "--file", str(COMPOSE_FILE), *profile, "config", "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
