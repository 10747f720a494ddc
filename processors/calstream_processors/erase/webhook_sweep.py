"""Finds the webhooks of people who are erased, as they came, and destroys the keys of their bodies.

Nothing says whose a webhook is but its body. So bodies are opened, read as the normaliser reads
them, and compared with the keyed hashes of an erasure. What can't be read is searched for the
addresses and ids that are in it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.kafka import partition_of
from calstream_core.sealing import Erased, KeyStore, Sealer
from calstream_core.settings import Settings
from calstream_processors.normalise.email import EmailPolicy, email_key, normalise_email
from calstream_processors.normalise.instant import parse_instant
from calstream_processors.normalise.normaliser import normalise
from calstream_processors.resolve.erasures import Erasures, people_of
from calstream_processors.resolve.matching import MatchRules, keys_of_statements, match_key
from calstream_processors.resolve.suppression import people_named
from calstream_schemas.codec import Poison
from calstream_schemas.entities import NaturalId
from calstream_schemas.erasures import Erasure
from calstream_schemas.observations import Observation
from calstream_schemas.topics import PROCESSORS_DEAD, REJECTED, WEBHOOKS, full_name
from calstream_schemas.webhooks import (
    ReceivedWebhook,
    decode_received,
    decode_rejected,
    sealed_body,
)

_ASK_SECONDS = 10.0
_SILENCE_SECONDS = 20.0
_ADDRESS = re.compile(r"[^\s\"'<>,;:()\[\]\\]+@[^\s\"'<>,;:()\[\]\\]+")
_ATTENDEE = "attendee"
_POLICIES = tuple(EmailPolicy(plus, dots) for plus in (False, True) for dots in (False, True))


class WebhookSweep:
    """Sweeps the topics that hold webhooks as they came: accepted, refused, and dead letters.

    What it has swept of an erasure it does not read again while the process lives.
    """

    def __init__(self, settings: Settings, bootstrap_servers: str, keys: KeyStore) -> None:
        self._kafka = settings.kafka
        self._countries = {
            name: workspace.default_country for name, workspace in settings.workspaces.items()
        }
        self._bootstrap_servers = bootstrap_servers
        self._keys = keys
        self._swept: dict[tuple[str, int], dict[str, int]] = {}

    def sweep(self, workspace: str, erasures: Sequence[Erasure]) -> int:
        """Destroys the keys of these people's webhooks; tells how many there were. Blocks.

        Raises:
            UnavailableError: the broker or the database does not answer.
        """
        sealer = self._keys.sealer(workspace)
        people = Erasures(sealer.keyed_hash)
        for erasure in erasures:
            people.put(erasure)
        known = [self._swept.get((one.key, one.asked_at), {}) for one in erasures]
        ends: dict[str, int] = {}
        leaves = []
        for topic in (WEBHOOKS, REJECTED, PROCESSORS_DEAD):
            name = full_name(topic, self._kafka)
            begin = min(each.get(name, 0) for each in known)
            for message in self._records(name, workspace, begin):
                ends[name] = (message.offset() or 0) + 1
                raw = message.value() or b""
                sealed = sealed_body(raw)
                if sealed is not None and sealed[0] == workspace and self._is_theirs(raw, people):
                    leaves.append(sealed[1:])
        count = self._keys.destroy_leaves(workspace, leaves)
        for erasure, before in zip(erasures, known, strict=True):
            self._swept[erasure.key, erasure.asked_at] = before | ends
        return count

    def _is_theirs(self, raw: bytes, people: Erasures) -> bool:
        webhook = _webhook(raw, self._keys)
        if webhook is None or isinstance(webhook.body, Erased):
            return False
        sealer = self._keys.sealer(webhook.workspace)
        try:
            country = self._countries.get(webhook.workspace, "US")
            observations = normalise(webhook, country).observations
        except CalstreamError:
            observations = ()
        if observations:
            return any(_is_of(each, people, sealer) for each in observations)
        return _mentions(webhook, people, sealer)

    def _records(self, topic: str, workspace: str, begin: int) -> Iterator[Message]:
        """What a topic holds of a workspace's partition, from an offset to its end now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "client.id": "calstream-erase-sweep",
                "group.id": "calstream-erase-sweep",  # librdkafka wants one; it is never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        try:
            place = TopicPartition(topic, partition_of(workspace, self._kafka.partitions))
            low, high = consumer.get_watermark_offsets(place, _ASK_SECONDS)
            place.offset = max(low, begin)
            if place.offset >= high:
                return
            consumer.assign([place])
            while True:
                message = consumer.poll(_SILENCE_SECONDS)
                if message is None:
                    raise UnavailableError(Code.BROKER_UNAVAILABLE, "The broker sends nothing.")
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its own name
                        return
                    raise UnavailableError(Code.BROKER_UNAVAILABLE, f"{error.name()}.")
                yield message
        except KafkaException as error:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, "The broker does not answer."
            ) from error
        finally:
            consumer.close()


def _webhook(raw: bytes, keys: KeyStore) -> ReceivedWebhook | None:
    """A webhook as it came; one that was refused is read as if it had been accepted."""
    accepted = decode_received(raw, keys.sealer)
    if not isinstance(accepted, Poison):
        return accepted
    refused = decode_rejected(raw, keys.sealer)
    if isinstance(refused, Poison) or refused.body is None:
        return None
    return ReceivedWebhook(
        id=refused.id,
        workspace=refused.workspace,
        source=refused.source,
        received_at=refused.received_at,
        delivery_id=None,
        scheme="",
        secret_label="",
        content_type="",
        body=refused.body,
    )


def _is_of(observation: Observation, people: Erasures, sealer: Sealer) -> bool:
    """Whether an observation says something of somebody from before they were erased."""
    found = [people.of_object(observation.kind, observation.natural_id)]
    found += [people.of_object("contact", person) for person in people_named(observation)]
    if observation.kind == "contact":
        for policy in _POLICIES:
            keys = keys_of_statements(observation, MatchRules(policy), sealer.keyed_hash)
            found.append(people.of_person(people_of(keys.all)))
    return any(
        erasure is not None and observation.occurred_at <= erasure.asked_at for erasure in found
    )


def _mentions(webhook: ReceivedWebhook, people: Erasures, sealer: Sealer) -> bool:
    """Whether a body that can't be read as what it should be has somebody's address or id."""
    assert isinstance(webhook.body, bytes)
    text = webhook.body.decode("utf-8", "replace")
    parsed = _parsed(webhook.body)
    at = _said_at(parsed, webhook.received_at)
    found = [
        people.of_person([match_key("e", email_key(address, policy), sealer.keyed_hash)])
        for address in _addresses(text)
        for policy in _POLICIES
    ]
    found += [
        people.of_object("contact", NaturalId(webhook.source, _ATTENDEE, each))
        for each in set(_strings(parsed))
    ]
    return any(erasure is not None and at <= erasure.asked_at for erasure in found)


def _addresses(text: str) -> Iterator[str]:
    for each in set(_ADDRESS.findall(text)):
        try:
            yield normalise_email(each.strip("."))
        except CalstreamError:
            continue  # no address after all


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _said_at(parsed: Any, received_at: int) -> int:
    created = parsed.get("created_at") if isinstance(parsed, dict) else None
    try:
        return parse_instant(str(created), "created_at") if created else received_at
    except CalstreamError:
        return received_at


def _strings(parsed: Any) -> Iterator[str]:
    if isinstance(parsed, str):
        yield parsed
    elif isinstance(parsed, (dict, list)):
        for each in parsed.values() if isinstance(parsed, dict) else parsed:
            yield from _strings(each)
