"""Sends a decision of a person to the resolver, and waits for what becomes of it."""

import getpass
import time
import uuid
from dataclasses import replace

from confluent_kafka import KafkaException, Producer

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import Code, RecordError, UnavailableError
from calstream_core.kafka import partition_of
from calstream_core.sealing import Sealer
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader, LogRecord
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.erasure_facts import ErasureOrder
from calstream_schemas.observations import (
    DECIDERS,
    Fact,
    Observation,
    encode_observation,
    observation_id,
)
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, PROCESSORS_DEAD, full_name

_SYSTEM = "calstream"
_SEND_SECONDS = 10
_DAY_MICROSECONDS = 24 * 60 * 60 * MICROSECONDS_PER_SECOND


def decision(fact: Fact, about: Entity, other: Entity | None, decided_by: str) -> Observation:
    """A decision as an observation, made now."""
    natural_id = NaturalId(_SYSTEM, "decision", str(uuid.uuid4()))
    now = now_microseconds()
    return Observation(
        id=observation_id(_SYSTEM, natural_id.object_id, fact, natural_id),
        workspace=about.workspace,
        fact=fact,
        kind=about.kind,
        natural_id=natural_id,
        role=DECIDERS,
        received_at=now,
        occurred_at=now,
        about=about.id,
        other=other.id if other else None,
        decided_by=decided_by,
    )


def erasure_order(
    contact: Entity, systems: tuple[str, ...], deadline_days: float, decided_by: str | None
) -> Observation:
    """The order to erase a person, as an observation made now.

    Args:
        contact: whom.
        systems: the sinks that are waited for until the deadline.
        deadline_days: in how many days from now the keys are destroyed whatever happens.
        decided_by: who; by default the user of this machine.
    """
    made = decision(Fact.ERASE, contact, None, decided_by or getpass.getuser())
    deadline = made.received_at + int(deadline_days * _DAY_MICROSECONDS)
    return replace(made, erasure=ErasureOrder(deadline, systems))


class DecisionDesk:
    """Hands decisions to the resolver.

    Args:
        bootstrap_servers: the broker.
        kafka: the topics' names and the number of partitions.
        timeout_seconds: how long the resolver may take.
    """

    def __init__(
        self, bootstrap_servers: str, kafka: KafkaSettings, timeout_seconds: float
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._kafka = kafka
        self._timeout_seconds = timeout_seconds

    def hand_in(self, decided: Observation, key: str, sealer: Sealer) -> None:
        """Writes a decision to the log; returns once it is carried out. Blocks.

        Args:
            decided: the decision.
            key: of the entity that it makes a new version of.
            sealer: the workspace's.

        Raises:
            RecordError: the resolver refused it; the code says why.
            UnavailableError: the broker or the resolver does not answer. A decision that was
                written is carried out as soon as it runs.
        """
        raw = encode_observation(decided, sealer)
        partition = partition_of(decided.workspace, self._kafka.partitions)
        topics = [full_name(topic, self._kafka) for topic in (ENTITIES, PROCESSORS_DEAD)]
        with LogReader(self._bootstrap_servers) as reader:
            ranges = reader.ranges(topics, [partition])
            self._write(decided, raw, partition)
            give_up_at = time.monotonic() + self._timeout_seconds
            for record in reader.follow({place: its.end for place, its in ranges.items()}):
                if record is not None and _is_outcome(record, decided, key, raw):
                    return
                if time.monotonic() > give_up_at:
                    raise UnavailableError(
                        Code.STACK_NOT_RUNNING,
                        f"The resolver has said nothing for {self._timeout_seconds:.0f} s.",
                        hint="Is it running? The decision is in the log and will be carried out.",
                    )

    def _write(self, decided: Observation, raw: bytes, partition: int) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "client.id": "calstream-decision",
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": _SEND_SECONDS * 1000,
                "log_level": 0,
            }
        )
        refused: list[object] = []
        producer.produce(
            full_name(OBSERVATIONS, self._kafka),
            key=decided.workspace.encode(),
            value=raw,
            partition=partition,
            headers=[
                ("ce_id", decided.id.encode()),
                ("ce_type", f"decision.{decided.fact}".encode()),
                ("ce_time", str(decided.received_at).encode()),
            ],
            on_delivery=lambda error, _message: refused.append(error) if error else None,
        )
        try:
            left = producer.flush(_SEND_SECONDS)
        except KafkaException as error:
            refused.append(error)
            left = 1
        if left or refused:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE,
                "The broker did not confirm the decision.",
                hint="Is it up? Nothing was decided unless it says so later.",
            )


def _is_outcome(record: LogRecord, decided: Observation, key: str, raw: bytes) -> bool:
    """Whether a record says that the decision was carried out.

    Raises:
        RecordError: it says that it was refused.
    """
    if record.value == raw:
        code = record.headers.get("error_code", "")
        known = code in Code.__members__.values()
        raise RecordError(
            Code(code) if known else Code.RECORD_FAILED, record.headers.get("error_message", "")
        )
    return record.key == key and record.headers.get("ce_id") == decided.id
