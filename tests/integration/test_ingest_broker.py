"""The ingest process on a real broker, over real HTTP."""

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import tomlkit
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.sealing import open_keys
from calstream_core.settings import MAX_BODY_BYTES, IngestSettings, KafkaSettings, Settings
from calstream_ingest import broker as ingest_broker
from calstream_ingest.addresses import load_addresses
from calstream_ingest.broker import BrokerHealth, admin_client, require_topics, topic_fault
from calstream_ingest.door import Door
from calstream_ingest.rejects import MAX_UNCONFIRMED, RejectLog
from calstream_ingest.webhook_log import WebhookLog
from calstream_ops.stack import EmbeddedBroker
from calstream_schemas.topics import REJECTED, WEBHOOKS, Topic, full_name
from calstream_schemas.webhooks import (
    ReceivedWebhook,
    RejectedWebhook,
    decode_received,
    decode_rejected,
)

pytestmark = pytest.mark.broker

SECRETS = {"new": b"s3cret", "old": b"older"}
PATH = "/v1/webhooks/acme/calendar_live"
PARTITIONS = 6


class Installation:
    """A settings file with its secrets, and topics of its own."""

    def __init__(self, directory: Path, bootstrap_servers: str) -> None:
        self.directory = directory
        self.kafka = KafkaSettings(
            bootstrap_servers=bootstrap_servers, topic_prefix=f"in-{secrets.token_hex(4)}."
        )
        state = {"state": {"directory": str(directory / "state")}}
        self.keys = open_keys(Settings.model_validate(state))
        for label, value in SECRETS.items():
            (directory / label).write_bytes(value)
        self.config = {
            "state": {"directory": str(directory / "state")},
            "kafka": {
                "bootstrap_servers": bootstrap_servers,
                "topic_prefix": self.kafka.topic_prefix,
            },
            "ingest": {"listen": "127.0.0.1:0"},
            "workspaces": {"acme": {"secrets": {"calendar_live": self.secret_references()}}},
        }
        self.write()

    def secret_references(self) -> list[dict[str, str]]:
        return [{"file": str(self.directory / label), "label": label} for label in SECRETS]

    def write(self) -> None:
        (self.directory / "calstream.toml").write_text(tomlkit.dumps(self.config), "utf-8")

    def create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        wanted = [
            NewTopic(full_name(topic, self.kafka), PARTITIONS, 1) for topic in (WEBHOOKS, REJECTED)
        ]
        for created in admin.create_topics(wanted).values():
            created.result(20)

    def received(self) -> list[ReceivedWebhook]:
        found = []
        for message in self.messages(WEBHOOKS):
            webhook = decode_received(message.value() or b"", self.keys.sealer)
            assert isinstance(webhook, ReceivedWebhook)
            found.append(webhook)
        return found

    def rejected(self) -> list[RejectedWebhook]:
        found = []
        for message in self.messages(REJECTED):
            webhook = decode_rejected(message.value() or b"", self.keys.sealer)
            assert isinstance(webhook, RejectedWebhook)
            found.append(webhook)
        return found

    def messages(self, topic: Topic) -> list[Message]:
        """All that is in a topic now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "group.id": "reader",
                "fetch.wait.max.ms": 20,
            }
        )
        name = full_name(topic, self.kafka)
        found: list[Message] = []
        try:
            for number in range(PARTITIONS):
                low, high = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=20)
                consumer.assign([TopicPartition(name, number, low)])
                end = len(found) + high - low
                while len(found) < end:
                    message = consumer.poll(20)
                    assert message is not None
                    assert message.error() is None
                    found.append(message)
        finally:
            consumer.close()
        return found


class Ingest:
    """The process, from its start until it listens."""

    def __init__(self, installation: Installation) -> None:
        self.lines: list[str] = []
        self._started = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "calstream_ingest"],
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("CALSTREAM_")},
                "CALSTREAM_CONFIG": str(installation.directory / "calstream.toml"),
            },
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._started.wait(30), self.lines
        fields = dict(word.split("=", 1) for word in self.lines[-1].split() if "=" in word)
        self.url = f"http://{fields['listen']}"
        self.address = (fields["listen"].split(":")[0], int(fields["listen"].split(":")[1]))
        self.health_url = f"http://127.0.0.1:{fields['health_port']}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if "ingest started" in line:
                self._started.set()
        self._started.set()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(30)
        self._reader.join()
        assert self.process.stdout is not None
        assert self.process.stdout.read() == "", "standard output is for answers"
        self.process.stdout.close()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@contextlib.contextmanager
def running(installation: Installation) -> Iterator[Ingest]:
    ingest = Ingest(installation)
    try:
        yield ingest
    finally:
        if ingest.process.poll() is None:
            status = ingest.stop()
            assert status == 0, ingest.lines
        assert not [line for line in ingest.lines if "Traceback" in line or "could not" in line]


@pytest.fixture
def installation(broker: str, tmp_path: Path) -> Installation:
    made = Installation(tmp_path, broker)
    made.create_topics()
    return made


@pytest.fixture
def ingest(installation: Installation) -> Iterator[Ingest]:
    with running(installation) as process:
        yield process


def headers(body: bytes, label: str = "new") -> dict[str, str]:
    digest = hmac.new(SECRETS[label], body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-cl-signature": digest,
        "x-cl-delivery-id": "dlv_1",
    }


def post(ingest: Ingest, body: bytes, label: str = "new") -> httpx.Response:
    return httpx.post(ingest.url + PATH, content=body, headers=headers(body, label))


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)  # another process's state; it only tells on asking


def test_what_was_accepted_is_in_the_topic_with_the_same_bytes(
    installation: Installation, ingest: Ingest
) -> None:
    bodies = [
        b'{"id": "evt_1",  "workspace": "acme", "title": "caf\xc3\xa9"}',
        b'{"truncated": "',
        b"\xff\xfe not UTF-8 \x00",
        b"",
        os.urandom(256 * 1024),
    ]
    answers = [post(ingest, body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200] * len(bodies)
    webhooks = installation.received()
    assert [webhook.body for webhook in webhooks] == bodies
    assert [webhook.id for webhook in webhooks] == [answer.json()["id"] for answer in answers]
    assert {webhook.delivery_id for webhook in webhooks} == {"dlv_1"}
    [partition] = {message.partition() for message in installation.messages(WEBHOOKS)}
    assert partition == partition_of("acme", PARTITIONS)


def test_both_secrets_work_while_one_replaces_the_other(
    installation: Installation, ingest: Ingest
) -> None:
    for label in ("old", "new"):
        assert post(ingest, b"{}", label).status_code == 200
    assert [webhook.secret_label for webhook in installation.received()] == ["old", "new"]


def test_refused_webhooks_can_be_read_with_their_reason(
    installation: Installation, ingest: Ingest
) -> None:
    body = b'{"workspace": "acme"}'
    wrong = {**headers(body), "x-cl-signature": "0" * 64, "authorization": "Basic c2VjcmV0"}
    assert httpx.post(ingest.url + PATH, content=body, headers=wrong).status_code == 401
    other = b'{"workspace": "other"}'
    assert post(ingest, other).status_code == 401
    text = {**headers(body), "content-type": "text/plain"}
    assert httpx.post(ingest.url + PATH, content=body, headers=text).status_code == 415
    assert ingest.stop() == 0  # which flushes them
    kept = installation.rejected()
    assert [(webhook.error_code, webhook.body) for webhook in kept] == [
        ("signature-invalid", body),
        ("workspace-mismatch", other),
        ("content-type-unsupported", body),
    ]
    assert kept[0].headers["x-cl-signature"] == "0" * 64
    assert "authorization" not in kept[0].headers


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_of_a_megabyte_is_refused(
    installation: Installation, ingest: Ingest, *, is_chunked: bool
) -> None:
    body = b"x" * 1_000_000

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    answer = httpx.post(
        ingest.url + PATH, content=pieces() if is_chunked else body, headers=headers(body)
    )
    assert answer.status_code == 413
    assert post(ingest, b"{}").status_code == 200
    assert ingest.stop() == 0
    [webhook] = installation.rejected()
    assert webhook.body is None
    assert webhook.body_bytes > 256 * 1024


def test_a_flood_of_bad_requests_leaves_good_ones_alone(
    installation: Installation, ingest: Ingest
) -> None:
    async def flood() -> list[int]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=ingest.url, limits=limits, timeout=30) as client:
            bad = [
                client.post(PATH, content=b"x" * 200_000, headers=headers(b"")) for _ in range(300)
            ]
            good = [client.post(PATH, content=b"{}", headers=headers(b"{}")) for _ in range(20)]
            return [answer.status_code for answer in await asyncio.gather(*bad, *good)]

    answers = asyncio.run(flood())
    assert answers == [401] * 300 + [200] * 20
    metrics = httpx.get(ingest.health_url + "/metrics").text
    assert 'calstream_stage_events_total{outcome="dropped",stage="ingest-rejects"}' in metrics
    assert ingest.stop() == 0
    kept = len(installation.rejected())
    assert 0 < kept <= MAX_UNCONFIRMED  # 8 MiB of them at once, and little more in that time
    assert len(installation.received()) == 20


def test_a_sender_that_leaves_harms_nothing(ingest: Ingest) -> None:
    for sent in (
        b"POST ",
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
        b"\x16\x03",
    ):
        with socket.create_connection(ingest.address) as connection:
            connection.sendall(sent.replace(b"%b", PATH.encode()))
    body = b"{}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(body).items())
    for _ in range(20):
        with socket.create_connection(ingest.address) as connection:
            connection.sendall(
                f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{lines}content-length: 2\r\n\r\n".encode()
                + body
            )
    assert post(ingest, body).status_code == 200


def test_sigterm_lets_a_request_in_flight_finish(
    installation: Installation, ingest: Ingest
) -> None:
    body = b'{"workspace": "acme"}'
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(body).items())
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n\r\n"
    with socket.create_connection(ingest.address) as connection:
        connection.sendall(head.encode() + body[:5])
        until(lambda: httpx.get(ingest.url + "/healthz").status_code == 200)
        ingest.process.send_signal(signal.SIGTERM)
        until(lambda: not accepts(ingest.address))
        connection.sendall(body[5:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert ingest.wait() == 0
    assert [webhook.body for webhook in installation.received()] == [body]


def accepts(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False


def test_health_and_metrics_are_served_apart_from_webhooks(ingest: Ingest) -> None:
    assert httpx.get(ingest.health_url + "/healthz").json() == {"status": "ok", "faults": {}}
    assert post(ingest, b"{}").status_code == 200
    metrics = httpx.get(ingest.health_url + "/metrics").text
    assert (
        'calstream_ingest_requests_total{outcome="accepted",source="calendar_live"} 1.0' in metrics
    )
    assert httpx.get(ingest.url + "/metrics").status_code == 404


def test_an_outage_gives_503_in_time_and_ends_without_a_restart(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker:
        installation = Installation(tmp_path, broker.address)
        installation.create_topics()
        with running(installation) as process:
            assert post(process, b"{}").status_code == 200
            broker.kill()
            began = time.monotonic()
            answer = post(process, b'{"lost": true}')
            assert time.monotonic() - began < 3
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            faults = httpx.get(process.health_url + "/healthz").json()["faults"]
            assert list(faults) == ["broker"]
            assert httpx.get(process.url + "/healthz").status_code == 503
            broker.start()
            until(lambda: httpx.get(process.url + "/healthz").status_code == 200)
            assert post(process, b'{"back": true}').status_code == 200
        assert installation.received()[0].body == b"{}"
        assert installation.received()[-1].body == b'{"back": true}'


def test_the_largest_body_that_can_be_set_is_stored(installation: Installation) -> None:
    installation.config["ingest"] = {"listen": "127.0.0.1:0", "max_body_bytes": MAX_BODY_BYTES}
    installation.write()
    body = os.urandom(MAX_BODY_BYTES)
    with running(installation) as process:
        assert post(process, body).status_code == 200
    assert [webhook.body for webhook in installation.received()] == [body]


def test_a_limit_that_kafka_can_not_hold_is_told_at_the_start(installation: Installation) -> None:
    installation.config["ingest"] = {"max_body_bytes": MAX_BODY_BYTES + 1}
    installation.write()
    process = failing(installation)
    assert process.returncode == 78
    assert "max_body_bytes" in process.stderr


async def test_where_nobody_listens_the_answer_is_503_within_three_seconds(
    installation: Installation,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        producer = AsyncProducer(
            f"127.0.0.1:{taken.getsockname()[1]}", "test", delivery_timeout_seconds=2.5
        )
        health = BrokerHealth(lambda: None)
        door = Door(
            load_addresses(Settings.model_validate(installation.config), installation.keys),
            WebhookLog(producer, "webhooks", health, 2.5),
            RejectLog(producer, "webhooks.rejected"),
            IngestSettings(),
            health=health.fault,
        )
        transport = httpx.ASGITransport(app=door)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            began = time.monotonic()
            answers = await asyncio.gather(
                *(client.post(PATH, content=b"{}", headers=headers(b"{}")) for _ in range(50))
            )
            assert time.monotonic() - began < 3
        assert {answer.status_code for answer in answers} == {503}
        assert health.fault() is not None
        await producer.close()


def test_missing_topics_are_told_at_the_start(broker: str, tmp_path: Path) -> None:
    ingest = failing(Installation(tmp_path, broker))
    assert ingest.returncode == 78
    assert "topics-differ" in ingest.stderr
    assert "calstream topic create" in ingest.stderr


def test_a_missing_secret_is_told_at_the_start(broker: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, broker)
    (tmp_path / "old").unlink()
    ingest = failing(installation)
    assert ingest.returncode == 78
    assert "secret-missing" in ingest.stderr
    assert "calendar_live for workspace acme" in ingest.stderr


def test_a_port_in_use_is_told_at_the_start(installation: Installation) -> None:
    with socket.socket() as taken:
        # as granian does: the system would let a second process of this user share the port
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        installation.config["ingest"] = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        installation.write()
        ingest = failing(installation)
    assert ingest.returncode == 78
    assert "in use" in ingest.stderr


def failing(installation: Installation) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "calstream_ingest"],
        env={**os.environ, "CALSTREAM_CONFIG": str(installation.directory / "calstream.toml")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_another_number_of_partitions_is_told(installation: Installation) -> None:
    admin = admin_client(installation.kafka.bootstrap_servers)
    require_topics(admin, installation.kafka)
    with pytest.raises(Exception, match="has 6 partitions and must have 12") as caught:
        require_topics(admin, installation.kafka.model_copy(update={"partitions": 12}))
    assert getattr(caught.value, "code", None) is Code.TOPICS_DIFFER


def test_a_topic_that_goes_is_a_fault(installation: Installation) -> None:
    admin = admin_client(installation.kafka.bootstrap_servers)
    name = full_name(WEBHOOKS, installation.kafka)
    assert topic_fault(admin, name) is None
    assert "can't be used" in (topic_fault(admin, "nothing-here") or "")


def test_a_broker_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_broker, "_START_SECONDS", 0.2)
    monkeypatch.setattr(ingest_broker, "_ASK_SECONDS", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        admin = admin_client(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="does not answer"):
            require_topics(admin, KafkaSettings())
        assert "does not answer" in (topic_fault(admin, "webhooks") or "")
