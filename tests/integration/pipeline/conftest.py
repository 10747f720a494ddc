"""Installations of the product on a real broker: its own processes, topics and groups of its own.

Tests start, kill and ask processes as an operator would. Webhooks are written to the log as ingest
does, signature and HTTP aside.
"""

import asyncio
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest
import tomlkit
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from prometheus_client.parser import text_string_to_metric_families

from calstream_core.clock import now_microseconds
from calstream_core.kafka import partition_of
from calstream_core.sealing import open_keys
from calstream_core.settings import load_settings
from calstream_ops.demo.crm import Crm
from calstream_ops.stack.child import Child, ChildSpec, Lifeline
from calstream_ops.stack.ports import remembered_ports
from calstream_ops.stack_processes import PROCESSORS, SANDBOX, SINKS, process_specs
from calstream_ops.topics import TopicAdmin
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entity
from calstream_schemas.ledger import LedgerEntry, decode_ledger_entry
from calstream_schemas.observations import Observation, encode_observation
from calstream_schemas.topics import (
    ENTITIES,
    OBSERVATIONS,
    WEBHOOKS,
    Topic,
    full_name,
    sink_ledger,
)
from calstream_schemas.webhooks import ReceivedWebhook, encode_received
from calstream_sinks.registry import make_sink
from calstream_sinks.runner.context import RunnerContext

PATIENCE_SECONDS = 90.0
"""For what takes a second or two; a loaded machine may need much longer."""

T = TypeVar("T")


def eventually(question: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer that is true; for other processes' state, which they tell only on asking."""
    give_up_at = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < give_up_at, f"still {answer!r} after {seconds:.0f} s"
        time.sleep(0.01)
    return answer


class Process:
    """One of the product's processes; started and ended as often as a test likes."""

    def __init__(self, spec: ChildSpec, logs: Path) -> None:
        self.url = spec.health.removesuffix("/healthz")
        self.lines: list[str] = []
        self._spec = spec
        self._log = logs / f"{spec.name}.log"
        self._lifeline = Lifeline()
        self._child: Child | None = None

    def start(self) -> Self:
        """Starts it; returns at once."""
        self.lines = []
        self._child = Child(self._spec, self._lifeline, self._keep)
        return self

    def until_ready(self) -> Self:
        """Waits until it says that it is well."""
        eventually(self.is_ready)
        return self

    def is_ready(self) -> bool:
        assert self.is_alive(), self.lines[-30:]
        try:
            return httpx.get(self._spec.health, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def is_alive(self) -> bool:
        return self._child is not None and not self._child.exited.done()

    def has_said(self, text: str) -> bool:
        """Whether it has logged a line with this text since its last start."""
        return any(text in line for line in self.lines)

    def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        assert self._child is not None
        assert self.is_alive(), self.lines[-30:]
        self._child.kill()
        self._child.exited.result()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._child is not None
        self._child.terminate()
        return self.until_ended()

    def until_ended(self) -> int:
        """Waits until it ends; its exit status."""
        assert self._child is not None
        return self._child.exited.result(PATIENCE_SECONDS)

    def another(self, port: int, **environment: str) -> "Process":
        """The same process once more, with a health listener and variables of its own."""
        listen = f"127.0.0.1:{port}"
        argv = (*self._spec.argv[:-1], listen)  # where it listens is said last
        spec = replace(
            self._spec,
            argv=argv,
            environment={**self._spec.environment, **environment},
            health=f"http://{listen}/healthz",
            name=f"another-{port}",
        )
        return Process(spec, self._log.parent)

    def close(self) -> None:
        """Leaves nothing of it behind, whatever its state."""
        if self.is_alive():
            self.kill()
        self._lifeline.close()

    def counts(self, metric: str) -> Counter[tuple[str, ...]]:
        """A metric by the values of its labels, which are in the order of the labels' names."""
        answer = httpx.get(f"{self.url}/metrics", trust_env=False).raise_for_status()
        found: Counter[tuple[str, ...]] = Counter()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == metric:
                    found[tuple(v for _, v in sorted(sample.labels.items()))] = int(sample.value)
        return found

    def _keep(self, line: str) -> None:
        self.lines.append(line)
        with self._log.open("a") as log:
            log.write(f"{line}\n")


class Installation:
    """Settings, keys and topics of its own, and the processes that work on them."""

    def __init__(self, root: Path, bootstrap_servers: str, workspaces: Sequence[str]) -> None:
        self.bootstrap_servers = bootstrap_servers
        sandbox = f"127.0.0.1:{remembered_ports(root / 'ports.json', (SANDBOX,))[SANDBOX]}"
        self.file = _write_settings(root, bootstrap_servers, workspaces, sandbox)
        loaded = load_settings(self.file, {})
        self.settings = loaded.settings
        self.kafka = loaded.settings.kafka
        self.keys = open_keys(loaded.settings)
        TopicAdmin(bootstrap_servers, loaded.settings).create()
        specs = process_specs(loaded, sandbox_listen=sandbox)
        self._processes = {spec.name: Process(spec, root) for spec in specs}
        self.processors = self._processes[PROCESSORS]
        self.sinks = self._processes[SINKS]
        self.hubspot = HubSpot(self._processes[SANDBOX])
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "reconnect.backoff.max.ms": 500,
                "message.timeout.ms": int(PATIENCE_SECONDS * 1000),
                "log_level": 0,
            }
        )

    def close(self) -> None:
        """Leaves no process behind."""
        for process in self._processes.values():
            process.close()

    def set_up_hubspot(self) -> None:
        """Makes the properties that the sink writes, as `calstream sink setup` does."""
        asyncio.run(self._set_up_hubspot())

    async def _set_up_hubspot(self) -> None:
        context = RunnerContext("hubspot")
        sink = make_sink(self.settings.sinks["hubspot"], "hubspot", context)
        await sink.open()
        await sink.setup()
        await sink.close()
        await context.close()

    def put(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
    ) -> None:
        """Queues any record, by default for the first workspace's partition."""
        if partition is None:
            partition = self.partition(next(iter(self.settings.workspaces)))
        self._producer.produce(self.name(topic), key=key, value=value, partition=partition)
        self._producer.poll(0)

    def put_webhook(self, webhook: ReceivedWebhook) -> None:
        """Queues a webhook as ingest would write it."""
        value = encode_received(webhook, self.keys.sealer(webhook.workspace))
        partition = self.partition(webhook.workspace)
        self.put(WEBHOOKS, webhook.workspace.encode(), value, partition=partition)

    def observe(self, observation: Observation) -> None:
        """Writes an observation to the log, as a stage or a sink does."""
        sealer = self.keys.sealer(observation.workspace)
        value = encode_observation(observation, sealer)
        partition = self.partition(observation.workspace)
        self.put(OBSERVATIONS, observation.workspace.encode(), value, partition=partition)
        self.flush()

    def flush(self) -> None:
        """Returns when the broker has everything that was queued."""
        assert self._producer.flush(PATIENCE_SECONDS) == 0

    def receive(self, webhooks: Iterable[Webhook]) -> None:
        """Writes webhooks of calendar.live to the log, in order."""
        for webhook in webhooks:
            self.put_webhook(received(webhook.body["workspace"], webhook.raw))
        self.flush()

    def name(self, topic: Topic) -> str:
        return full_name(topic, self.kafka)

    def partition(self, workspace: str) -> int:
        return partition_of(workspace, self.kafka.partitions)

    def end(self, topic: Topic) -> int:
        """How many records a topic holds now; the log has transactions' markers between them."""
        return len(self.records(topic))

    def records(self, topic: Topic) -> list[Message]:
        """What a topic holds now and is committed, each partition in its order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
            }
        )
        found: dict[int, list[Message]] = {number: [] for number in self._numbers()}
        open_partitions = set(found)
        try:
            consumer.assign([TopicPartition(self.name(topic), n, OFFSET_BEGINNING) for n in found])
            while open_partitions:
                message = consumer.poll(PATIENCE_SECONDS)
                assert message is not None
                number, error = message.partition() or 0, message.error()
                if error is None:
                    found[number].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(number)
                else:
                    raise KafkaException(error)
        finally:
            consumer.close()
        return [message for number in sorted(found) for message in found[number]]

    def versions(self) -> dict[str, list[Entity]]:
        """Every version of every entity by key, in the order of the log."""
        found: dict[str, list[Entity]] = {}
        for record in self.records(ENTITIES):
            entity = decode_entity(record.value() or b"", self.keys.sealer)
            assert isinstance(entity, Entity), entity
            assert record.key() == entity.key.encode()
            found.setdefault(entity.key, []).append(entity)
        return found

    def ledger(self) -> dict[str, LedgerEntry]:
        """The sink's newest word on each entity."""
        found = {}
        for record in self.records(sink_ledger("hubspot")):
            entry = decode_ledger_entry(record.value() or b"")
            assert isinstance(entry, LedgerEntry), entry
            found[(record.key() or b"").decode()] = entry
        return found

    def handled(self, stage: str) -> int:
        """How many records a stage has settled since the processors started."""
        counts = self.processors.counts("calstream_stage_events_total")
        return sum(count for (_, name), count in counts.items() if name == stage)

    def sink_status(self) -> dict[str, Any]:
        """What the sink still has to do."""
        answer = httpx.post(
            f"{self.sinks.url}/v1/sinks",
            json={},
            headers={"X-Calstream-Action": "1"},
            trust_env=False,
        )
        status: dict[str, Any] = answer.raise_for_status().json()["hubspot"]
        return status

    def _numbers(self) -> range:
        return range(self.kafka.partitions)


class HubSpot:
    """The sandbox's CRM, and what can be made to go wrong there."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._control = f"{process.url}/hubspot/_control"

    def crm(self) -> Crm:
        return Crm.parse(self._ask("GET", "dump"))

    def fault(self, path: str, **fault: Any) -> None:
        """Makes the next requests go wrong whose path below `/crm/` begins so."""
        self._ask("POST", "faults", {"path_prefix": f"/crm/{path}", **fault})

    def delete_contact(self, id_: str) -> None:
        """As a user of the CRM deletes somebody."""
        httpx.delete(
            f"{self.process.url}/hubspot/crm/objects/2026-09/contacts/{id_}",
            headers={"Authorization": "Bearer pat-sandbox"},
            trust_env=False,
        ).raise_for_status()

    def add_owner(self, email: str) -> str:
        """A user of the CRM to whom records can belong; the owner's id."""
        body = [{"email": email, "firstName": "", "lastName": ""}]
        id_: str = self._ask("POST", "owners", body)["results"][0]["id"]
        return id_

    def add_meeting(self, title: str, start: datetime) -> str:
        """As a user of the CRM makes a meeting; its id."""
        moment = start.isoformat().replace("+00:00", "Z")
        answer = httpx.post(
            f"{self.process.url}/hubspot/crm/objects/2026-09/meetings",
            json={
                "properties": {"hs_timestamp": moment, "hs_meeting_title": title},
                "associations": [],
            },
            headers={"Authorization": "Bearer pat-sandbox"},
            trust_env=False,
        )
        id_: str = answer.raise_for_status().json()["id"]
        return id_

    def faults_left(self) -> int:
        return len(self._ask("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        self._ask("DELETE", "faults")

    def requests(self) -> list[dict[str, Any]]:
        """What was asked of it, oldest first."""
        found: list[dict[str, Any]] = self._ask("GET", "requests")["requests"]
        return found

    def _ask(self, method: str, name: str, body: Any = None) -> Any:
        with httpx.Client(trust_env=False) as client:
            answer = client.request(method, f"{self._control}/{name}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def received(workspace: str, body: bytes, **changes: Any) -> ReceivedWebhook:
    """A webhook of calendar.live that came just now."""
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "workspace": workspace,
        "source": "calendar_live",
        "received_at": now_microseconds(),
        "delivery_id": f"dlv_{uuid.uuid4().hex}",
        "scheme": "hmac-sha256",
        "secret_label": "default",
        "content_type": "application/json",
        "body": body,
    }
    return ReceivedWebhook(**given | changes)


def _write_settings(root: Path, broker: str, workspaces: Sequence[str], sandbox: str) -> Path:
    token = root / "hubspot.token"
    token.write_text("pat-sandbox")
    config = {
        "state": {"directory": str(root / "state")},
        "kafka": {"bootstrap_servers": broker, "topic_prefix": f"p-{secrets.token_hex(4)}."},
        "workspaces": {name: {"default_country": "US"} for name in workspaces},
        "sinks": {
            "hubspot": {
                "type": "hubspot",
                "base_url": f"http://{sandbox}/hubspot",
                "token": {"file": str(token)},
                "search_settle_seconds": 2,
            }
        },
    }
    file = root / "calstream.toml"
    file.write_text(tomlkit.dumps(config), "utf-8")
    return file


Install = Callable[..., Installation]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """Makes installations at a broker; ends all their processes after the module."""
    with ExitStack() as stack:

        def make(broker: str, *workspaces: str) -> Installation:
            root = tmp_path_factory.mktemp("installation")
            made = Installation(root, broker, workspaces or ("acme",))
            stack.callback(made.close)
            return made

        yield make
