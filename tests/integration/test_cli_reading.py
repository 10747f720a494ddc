"""Reading the log from the command line: records, entities and their histories."""

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from calstream_core.kafka import partition_of
from calstream_core.sealing import open_keys
from calstream_core.settings import Settings
from calstream_ops.cli.root import app
from calstream_schemas.entities import (
    Cause,
    Copy,
    Decision,
    Entity,
    NaturalId,
    Register,
    Stamp,
    entity_id,
    entity_key,
)
from calstream_schemas.entities.avro import encode_entity, entity_headers
from calstream_schemas.webhooks import ReceivedWebhook, encode_received

pytestmark = pytest.mark.broker

PARTITIONS = 3
NINE = 1_795_166_102_000_000  # 2026-11-20T09:15:02Z
ATTENDEE = NaturalId("calendar_live", "attendee", "att_55")
PERSON = NaturalId("hubspot", "contact", "501")
EVENT = NaturalId("calendar_live", "event", "cal_7f3a")
CONTACT_ID = entity_id("acme", "contact", ATTENDEE)
BOOKING_ID = entity_id("acme", "booking", EVENT)
CONTACT = entity_key("acme", "contact", CONTACT_ID)
BOOKING = entity_key("acme", "booking", BOOKING_ID)


def a_contact(version: int, email: str, *, linked: bool = False) -> Entity:
    said = (Stamp(version, NINE, by_self=False),)
    copies = {ATTENDEE: Copy(ATTENDEE, "calendar", {"email": Register({"email": email}, said)})}
    if linked:
        by_us = (Stamp(-1, NINE, by_self=True),)
        copies[PERSON] = Copy(PERSON, "crm", {"email": Register({"email": email}, by_us)})
    return Entity(
        "acme",
        "contact",
        CONTACT_ID,
        version,
        NINE,
        Cause(f"o{version}", NINE, NINE),
        copies,
        {"email": email},
        {"email": Decision(ATTENDEE, "owner")},
    )


def a_booking() -> Entity:
    said = (Stamp(0, NINE, by_self=False),)
    copy = Copy(EVENT, "calendar", {"title": Register({"title": "Product trial"}, said)})
    decisions = {"title": Decision(EVENT, "owner")}
    return Entity(
        "acme",
        "booking",
        BOOKING_ID,
        1,
        NINE,
        Cause("o9", NINE, NINE),
        {EVENT: copy},
        {"title": "Product trial"},
        decisions,
    )


class Log:
    """Writes to the topics of one test."""

    def __init__(self, broker: str, prefix: str, state: Path) -> None:
        self._producer = Producer({"bootstrap.servers": broker, "acks": "all", "log_level": 0})
        self._prefix = prefix
        self.keys = open_keys(Settings.model_validate({"state": {"directory": str(state)}}))

    def write(
        self, topic: str, key: str, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._producer.produce(
            f"{self._prefix}{topic}",
            value,
            key,
            partition_of(key.partition("/")[0], PARTITIONS),
            headers=list(headers),
        )
        assert self._producer.flush(20) == 0

    def write_entities(self, *entities: Entity) -> None:
        for entity in entities:
            sealer = self.keys.sealer(entity.workspace)
            headers = entity_headers(entity, sealer)
            self.write("entities", entity.key, encode_entity(entity, sealer), headers)


@pytest.fixture
def log(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    prefix = f"reading-{uuid.uuid4().hex[:8]}."
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CALSTREAM_KAFKA__BOOTSTRAP_SERVERS", broker)
    monkeypatch.setenv("CALSTREAM_KAFKA__TOPIC_PREFIX", prefix)
    monkeypatch.setenv("CALSTREAM_KAFKA__PARTITIONS", str(PARTITIONS))
    monkeypatch.setenv("CALSTREAM_WORKSPACES__ACME__REGION", "local")
    monkeypatch.setenv("CALSTREAM_SINKS__HUBSPOT__TYPE", "hubspot")
    made = run("topic", "create")
    assert made.exit_code == 0, made.stderr
    return Log(broker, prefix, tmp_path / "state")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def lines(answer: Result) -> list[dict[str, Any]]:
    assert answer.exit_code == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def shown(*words: str) -> dict[str, Any]:
    answer = run("entity", *words, "-o", "json")
    assert answer.exit_code == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_a_tail_shows_the_newest_records_decoded_and_closed(log: Log) -> None:
    log.write_entities(*(a_contact(n, f"jo{n}@example.com") for n in range(1, 5)))
    found = lines(run("topic", "tail", "entities", "--decode", "--limit", "2"))
    assert [each["value"]["version"] for each in found] == [3, 4]
    assert found[0]["key"] == CONTACT
    assert found[0]["value"]["email"] == "sealed"


def test_a_tail_opens_what_is_sealed_when_it_is_told_to(log: Log) -> None:
    log.write_entities(a_contact(1, "jo@example.com"))
    [found] = lines(run("topic", "tail", "entities", "--reveal"))
    assert found["value"]["email"] == "jo@example.com"


def test_a_tail_from_the_beginning_ends_at_the_end_or_at_its_limit(log: Log) -> None:
    log.write_entities(*(a_contact(n, "jo@example.com") for n in range(1, 5)))
    every = lines(run("topic", "tail", "entities", "--from-beginning", "--decode"))
    assert [each["value"]["version"] for each in every] == [1, 2, 3, 4]
    first = lines(run("topic", "tail", "entities", "--from-beginning", "--limit", "1"))
    assert [each["offset"] for each in first] == [0]
    assert "value_base64" in first[0]


def test_a_tail_of_an_empty_or_unknown_topic_ends(log: Log) -> None:
    assert log is not None
    assert lines(run("topic", "tail", "webhooks")) == []
    answer = run("topic", "tail", "webhoks", "-o", "json")
    assert answer.exit_code == 78
    assert json.loads(answer.stderr)["code"] == "topics-differ"


def test_a_tail_that_follows_shows_what_comes_until_it_is_interrupted(log: Log) -> None:
    log.write("processors.dead", "acme", b"one")
    command = [sys.executable, "-m", "calstream_ops.cli", "topic", "tail", "processors.dead", "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["offset"] == 0
        log.write("processors.dead", "acme", b"two")
        assert json.loads(process.stdout.readline())["offset"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_an_entity_is_found_by_its_key_by_a_system_s_id_and_by_its_address(log: Log) -> None:
    log.write_entities(a_contact(1, "jo@example.com"), a_booking())
    log.write_entities(a_contact(2, "jo@example.com", linked=True))
    by_key = shown("show", CONTACT)
    assert by_key["version"] == 2
    assert by_key["fields"]["email"]["value"] == "jo@example.com"
    assert by_key["fields"]["email"]["source"]["id"] == "att_55"
    assert by_key == shown("show", "acme/contact/calendar_live/attendee/att_55")
    assert by_key == shown("show", "acme/contact/hubspot/contact/501")
    assert by_key == shown("show", "acme", "--email", " Jo@Example.com ")
    assert shown("show", "acme/booking/calendar_live/event/cal_7f3a")["key"] == BOOKING


def test_an_entity_is_shown_in_words_too(log: Log) -> None:
    log.write_entities(a_contact(2, "jo\x1b[2J@example.com"))
    answer = run("entity", "show", CONTACT)
    assert answer.exit_code == 0
    assert re.search(
        r"email +jo\N{REPLACEMENT CHARACTER}\[2J@example.com +calendar_live", answer.stdout
    )
    assert "\x1b" not in answer.stdout


def test_an_address_or_id_that_only_an_older_version_had_finds_nothing(log: Log) -> None:
    log.write_entities(
        a_contact(1, "old@example.com", linked=True), a_contact(2, "new@example.com")
    )
    for words in (("acme", "--email", "old@example.com"), ("acme/contact/hubspot/contact/501",)):
        answer = run("entity", "show", *words, "-o", "json")
        assert answer.exit_code == 65
        assert json.loads(answer.stderr)["code"] == "entity-not-found"
        assert "old@" not in answer.stderr


def test_a_history_tells_each_version_and_the_end(log: Log) -> None:
    log.write_entities(
        a_contact(1, "old@example.com"), a_booking(), a_contact(2, "new@example.com")
    )
    log.write("entities", CONTACT, None)
    found = shown("history", CONTACT)
    assert found["key"] == CONTACT
    first, second, last = found["versions"]
    assert (first["version"], second["version"], last["deleted"]) == (1, 2, True)
    assert [(c["before"], c["after"]) for c in second["changes"]] == [
        ("old@example.com", "new@example.com")
    ]
    answer = run("entity", "show", CONTACT)
    assert answer.exit_code == 65


def test_the_list_has_keys_and_versions_and_nothing_personal(log: Log) -> None:
    log.write_entities(a_contact(1, "jo@example.com"), a_contact(2, "jo@example.com"), a_booking())
    answer = run("entity", "list", "acme", "-o", "json")
    found = {each["key"]: each["version"] for each in json.loads(answer.stdout)}
    assert found == {CONTACT: 2, BOOKING: 1}
    assert "example.com" not in answer.stdout
    only = json.loads(run("entity", "list", "acme", "--kind", "booking", "-o", "json").stdout)
    assert [each["key"] for each in only] == [BOOKING]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("acme",), 2),
        (("acme", "--email", "no address"), 2),
        (("acme/contact",), 2),
        (("acme/contact/att_55",), 2),
        (("acme/contakt/calendar_live/attendee/att_55",), 2),
        (("acne/contact/calendar_live/attendee/att_55",), 78),
    ],
)
def test_what_is_no_key_is_refused(log: Log, words: tuple[str, ...], status: int) -> None:
    assert log is not None
    assert run("entity", "show", *words).exit_code == status


def test_the_plan_of_a_resync_counts_entities_and_starts_nothing(log: Log) -> None:
    log.write_entities(a_contact(1, "jo@example.com"), a_contact(2, "jo@example.com"), a_booking())
    answer = run("sink", "resync", "hubspot", "--verify", "-o", "json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["entities"] == {"contact": 1, "booking": 1}


def test_webhooks_are_watched_from_the_beginning(log: Log) -> None:
    body = b'{"id": "evt_1", "type": "event.created\\n fake"}'
    webhook = ReceivedWebhook(
        str(uuid.uuid4()), "acme", "calendar_live", NINE, None, "s", "default", "j", body
    )
    log.write("webhooks", "acme", encode_received(webhook, log.keys.sealer("acme")))
    answer = run("webhook", "tail", "--from-beginning", "--limit", "1")
    assert answer.exit_code == 0
    assert answer.stdout.count("\n") == 1
    for expected in ("2026-11-20T09:15:02.000Z", "acme/calendar_live", "evt_1", "accepted"):
        assert expected in answer.stdout
