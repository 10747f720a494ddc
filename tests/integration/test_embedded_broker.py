"""The embedded broker: real Kafka, real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from calstream_core.errors import UnavailableError
from calstream_core.process_identity import ProcessIdentity, identify
from calstream_core.settings import Settings, StateSettings
from calstream_core.stack_state import broker_address, read_stack
from calstream_ops.stack import ChildSpec, EmbeddedBroker, LocalStack, Step, status
from calstream_ops.stack.broker_config import LOG_FILE_NAME

pytestmark = pytest.mark.broker


def create_topic(address: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)


def produce(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read_first(address: str, topic: str) -> bytes | None:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"{topic}-reader",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """For what another process brings about; the system only tells on asking."""
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def wait_until_gone(process: ProcessIdentity) -> None:
    wait_until(lambda: not process.is_alive())


def test_the_shared_broker_takes_and_gives_records(broker: str) -> None:
    create_topic(broker, "shared-smoke")
    produce(broker, "shared-smoke", b"hello")
    assert read_first(broker, "shared-smoke") == b"hello"


def test_the_broker_in_docker_takes_and_gives_records(docker_broker: str) -> None:
    create_topic(docker_broker, "docker-smoke")
    produce(docker_broker, "docker-smoke", b"hello")
    assert read_first(docker_broker, "docker-smoke") == b"hello"


def test_a_topic_that_nobody_created_is_not_made_by_asking_for_it(broker: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "message.timeout.ms": 3000})
    assert producer.list_topics("misspelt", timeout=10).topics["misspelt"].error is not None
    assert "misspelt" not in producer.list_topics(timeout=10).topics


def test_a_broker_killed_with_sigkill_restarts_at_its_address_with_its_data(tmp_path: Path) -> None:
    first = EmbeddedBroker(tmp_path / "broker")
    address = first.start()
    try:
        create_topic(address, "kept")
        produce(address, "kept", b"before the crash")
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.kill()
    with EmbeddedBroker(tmp_path / "broker") as second:
        assert second.address == address
        assert read_first(address, "kept") == b"before the crash"


def test_a_second_start_on_a_directory_in_use_is_refused_and_the_first_lives_on(
    tmp_path: Path,
) -> None:
    with EmbeddedBroker(tmp_path) as first:
        with pytest.raises(UnavailableError, match="Another broker runs on"):
            EmbeddedBroker(tmp_path).start()
        create_topic(first.address, "alive")


def test_stopping_leaves_no_process_and_frees_the_directory(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    process = identify(broker.pid)
    assert process is not None
    broker.stop()
    assert not process.is_alive()
    assert "App info kafka.server for 1 unregistered" in (tmp_path / LOG_FILE_NAME).read_text()
    assert (tmp_path / "data" / ".kafka_cleanshutdown").is_file()
    EmbeddedBroker(tmp_path).prepare()


def test_a_broker_that_can_not_start_says_why_and_leaves_the_directory_free(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.prepare()
    broker.release()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\n", "ascii")
    with pytest.raises(UnavailableError, match="ended while it started") as raised:
        broker.start()
    assert "cluster.id was not found" in raised.value.message
    (tmp_path / "data" / "meta.properties").unlink()
    EmbeddedBroker(tmp_path).prepare()


def test_a_broker_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from calstream_ops.stack import EmbeddedBroker
        broker = EmbeddedBroker(Path({str(tmp_path / "broker")!r}))
        broker.start()
        print(broker.pid, flush=True)
        sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        process = identify(int(owner.stdout.readline()))
        assert process is not None
        owner.kill()
    wait_until_gone(process)


async def test_a_stack_gives_its_processes_the_broker_s_address_and_others_find_it(
    tmp_path: Path,
) -> None:
    settings = Settings(state=StateSettings(directory=tmp_path))
    told = tmp_path / "told"
    child = ChildSpec(
        "child", ("sh", "-c", f"echo $CALSTREAM_KAFKA__BOOTSTRAP_SERVERS > '{told}'; exec sleep 60")
    )
    seen: list[str] = []

    def plan(address: str) -> list[ChildSpec | Step]:
        async def make_topics() -> None:
            await asyncio.to_thread(create_topic, address, "made-in-a-step")

        seen.append(address)
        return [Step("topics", make_topics), child]

    with LocalStack(settings, plan) as stack:
        async with stack.running() as state:
            assert broker_address(settings) == seen[0]
            assert [process.name for process in state.processes] == ["broker", "child"]
            await asyncio.to_thread(wait_until, lambda: told.is_file() and told.read_text() != "")
            assert told.read_text().strip() == seen[0]
            statuses = await asyncio.to_thread(status, tmp_path)
            assert [each.healthy for each in statuses] == [True, True]
    with pytest.raises(UnavailableError, match="does not run"):
        broker_address(settings)


def test_when_the_supervisor_is_killed_the_broker_dies_and_the_stack_can_start_again(
    tmp_path: Path,
) -> None:
    script = textwrap.dedent(f"""
        from pathlib import Path
        from calstream_core.settings import Settings, StateSettings
        from calstream_ops.stack import up
        up(Settings(state=StateSettings(directory=Path({str(tmp_path)!r}))), lambda _address: [])
    """)
    addresses = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as owner:
            assert owner.stderr is not None
            while b"everything runs" not in (line := owner.stderr.readline()):
                assert line, "it ended early"
            state = read_stack(tmp_path)
            assert state is not None
            addresses.append(state.processes[0].address)
            owner.kill()
        wait_until_gone(state.processes[0].identity)
    assert addresses[0] == addresses[1]
