"""The Kafka broker that tests share: a given one, one in Docker, or the embedded one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from calstream_ops.stack import EmbeddedBroker
from calstream_ops.stack.broker_config import DATA_DIRECTORY, broker_properties
from calstream_ops.stack.health import admin_client, broker_answers
from calstream_ops.stack.jar_lock import read_lock
from calstream_ops.stack.ports import remembered_ports

_START_SECONDS = 90
_BROKER_DATA = pytest.StashKey[Path]()

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kafka",
        choices=("embedded", "docker"),
        default="embedded",
        help="which broker the tests use where CALSTREAM_KAFKA__BOOTSTRAP_SERVERS names none",
    )


@pytest.fixture(scope="session")
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The bootstrap address of a broker. Tests share it: use topics of your own."""
    given = os.environ.get("CALSTREAM_KAFKA__BOOTSTRAP_SERVERS")
    if given:
        yield given
    elif request.config.getoption("--kafka") == "docker":
        yield request.getfixturevalue("docker_broker")
    else:
        directory = tmp_path_factory.mktemp("broker")
        with EmbeddedBroker(directory) as embedded:
            request.config.stash[_BROKER_DATA] = directory / DATA_DIRECTORY
            yield embedded.address


@pytest.fixture(scope="session")
def broker_data(request: pytest.FixtureRequest, broker: str) -> Path:
    """Where the broker keeps its logs; skips where it is not ours to look into."""
    del broker
    found = request.config.stash.get(_BROKER_DATA, None)
    if found is None:
        pytest.skip("the broker is another's, and its files can't be read")
    return found


@pytest.fixture(scope="session")
def docker_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same Kafka with the same settings in a container; skips where no engine answers."""
    _skip_without_docker()
    ports_path = tmp_path_factory.mktemp("docker") / "ports.json"
    port = remembered_ports(ports_path, ("broker",))["broker"]
    address = f"{DockerClient().host()}:{port}"
    properties = broker_properties(9092, 9093, heap_megabytes=384) | {
        "listeners": "BROKER://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"BROKER://{address}",
        "log.dirs": "/tmp/kafka-data",  # the one place where the image's user may write
    }
    container = DockerContainer(f"apache/kafka:{read_lock().kafka_version}")
    container.with_bind_ports(9092, port)
    for name, value in properties.items():
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    with container:
        if not broker_answers(admin_client(address), _START_SECONDS):
            pytest.fail(f"the broker in Docker does not answer:\n{container.get_logs()}")
        yield address


def _skip_without_docker() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("no Docker engine: there is no `docker` command")
    answer = subprocess.run([docker, "version"], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip(f"no Docker engine answers: {answer.stderr.strip()}")
