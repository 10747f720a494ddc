"""Whatever stands in the log, the processors give it a code, keep its bytes, and go on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Message
from tests.integration.pipeline.conftest import Install, Installation, eventually, received

from calstream_core.errors import Code
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas import codec
from calstream_schemas.ledger import LedgerEntry, LedgerState, encode_ledger_entry
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, PROCESSORS_DEAD, WEBHOOKS, Topic
from calstream_schemas.webhooks import encode_received

pytestmark = pytest.mark.broker

START = datetime(2026, 11, 27, 15, tzinfo=UTC)


def _booking(name: str) -> Webhook:
    calendar = Calendar("acme", seed=name)
    person = calendar.add_attendee(f"{name}@example.com", "Jo Park")
    host = Host("usr_12", "dana@acme.example", "Dana Reyes")
    end = START + timedelta(minutes=30)
    _event, told = calendar.book(Booking(host, EventType("t", "T"), START, end, "UTC"), person)
    return told[0]


def _changed(**changes: Any) -> bytes:
    return json.dumps({**_booking("bad").body, **changes}).encode()


LEDGER = encode_ledger_entry(LedgerEntry(LedgerState.DONE, 1, "op", 1))
RAW = {
    "no record": (b"not a record", Code.RECORD_UNREADABLE),
    "a tombstone": (None, Code.RECORD_UNREADABLE),
    "a header without a body": (b"\xc3\x01", Code.RECORD_UNREADABLE),
    "another record": (LEDGER, Code.RECORD_UNREADABLE),
    "a schema that nobody knows": (b"\xc3\x01" + bytes(range(30)), Code.RECORD_UNREADABLE),
    "a good record that was cut": (LEDGER[:-1], Code.RECORD_UNREADABLE),
}
BODIES = {
    "empty": (b"", Code.JSON_INVALID),
    "cut": (_changed()[:-20], Code.JSON_INVALID),
    "no UTF-8": (b'{"type": "\xff"}', Code.JSON_INVALID),
    "a list": (b"[1, 2]", Code.BODY_INVALID),
    "a wrong type": (_changed(type=["event.created"]), Code.BODY_INVALID),
    "no data": (_changed(data=None), Code.BODY_INVALID),
    "an event that is a list": (_changed(data={"event": []}), Code.BODY_INVALID),
    "no time": (_changed(created_at="soon"), Code.TIME_INVALID),
    "another workspace": (_changed(workspace="other"), Code.WORKSPACE_MISMATCH),
    "half a megabyte": (b'{"type": "' + b"x" * 500_000, Code.JSON_INVALID),
}


def _observation(**changes: Any) -> bytes:
    """An observation as none of our code would write it."""
    body = {
        "id": "o1",
        "workspace": "acme",
        "fact": "state",
        "kind": "booking",
        "system": "calendar_live",
        "object_type": "event",
        "object_id": "cal_strange",
        "role": "calendar",
        "received_at": 1,
        "occurred_at": 1,
        "statements": [],
    }
    return codec.encode("Observation", body | changes)


def _said(group: str, field: str, value: object) -> list[dict[str, Any]]:
    return [{"modified_at": 1, "groups": {group: {field: value}}}]


def _strange_observations() -> dict[str, tuple[bytes, Code]]:
    wrong_reference = _said("booking", "booking_ref", "no natural id")
    return {
        "no such kind": (_observation(kind="wizard"), Code.RECORD_UNREADABLE),
        "no such fact": (_observation(fact="unknown"), Code.RECORD_UNREADABLE),
        "no such group": (
            _observation(statements=_said("mood", "title", "x")),
            Code.RECORD_UNREADABLE,
        ),
        "no such field": (
            _observation(statements=_said("title", "mood", "x")),
            Code.RECORD_UNREADABLE,
        ),
        "a number for a text": (
            _observation(statements=_said("title", "title", 5)),
            Code.RECORD_UNREADABLE,
        ),
        "a text for a time": (
            _observation(statements=_said("schedule", "start_at", "soon")),
            Code.RECORD_UNREADABLE,
        ),
        "about nobody": (_observation(about="nobody"), Code.ENTITY_NOT_FOUND),
        "a reference to nowhere": (
            _observation(kind="attendance", statements=wrong_reference),
            Code.RECORD_FAILED,
        ),
        "no name of a workspace": (_observation(workspace="../acme"), Code.WORKSPACE_UNKNOWN),
    }


@pytest.fixture(scope="module")
def installation(broker: str, install: Install) -> Installation:
    made = install(broker)
    made.processors.start().until_ready()
    return made


def _headers(record: Message) -> list[tuple[str, bytes]]:
    headers: Any = record.headers() or []  # what is read is a list, whatever the stub says
    return list(headers)


def _dead(installation: Installation) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
    return [
        (
            record.key(),
            record.value(),
            {name: bytes(value or b"").decode() for name, value in _headers(record)},
        )
        for record in installation.records(PROCESSORS_DEAD)
    ]


def _is_resolved(installation: Installation, name: str) -> bool:
    emails = {versions[-1].values.get("email") for versions in installation.versions().values()}
    return f"{name}@example.com" in emails


def test_bad_records_are_kept_with_their_code_and_the_next_good_one_is_resolved(
    installation: Installation,
) -> None:
    expected: list[tuple[bytes | None, bytes | None, str, str]] = []

    def put(topic: Topic, key: bytes | None, value: bytes | None, code: Code) -> None:
        installation.put(topic, key, value)
        expected.append((key, value, code, "normalise" if topic is WEBHOOKS else "resolve"))

    for value, code in RAW.values():
        for topic in (WEBHOOKS, OBSERVATIONS):
            put(topic, b"acme", value, code)
    for key in (None, b"", b"\xff"):
        put(WEBHOOKS, key, b"with a strange key", Code.RECORD_UNREADABLE)
    for body, code in BODIES.values():
        value = encode_received(received("acme", body), installation.keys.sealer("acme"))
        put(WEBHOOKS, b"acme", value, code)
    for value, code in _strange_observations().values():
        put(OBSERVATIONS, b"acme", value, code)
    stranger = encode_received(received("stranger", b"{}"), installation.keys.sealer("stranger"))
    put(WEBHOOKS, b"stranger", stranger, Code.WORKSPACE_UNKNOWN)
    closed = encode_received(received("acme", b"{}"), installation.keys.sealer("stranger"))
    put(WEBHOOKS, b"acme", closed, Code.SEAL_BROKEN)
    installation.receive([_booking("after")])

    eventually(lambda: _is_resolved(installation, "after"))
    eventually(lambda: installation.end(PROCESSORS_DEAD) >= len(expected))
    found = [
        (key, value, headers["error_code"], headers["error_stage"])
        for key, value, headers in _dead(installation)
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert all(headers["origin_offset"].isdigit() for *_, headers in _dead(installation))
    assert installation.processors.is_alive()


def test_a_group_that_can_t_be_read_is_kept_and_the_rest_is_resolved(
    installation: Installation,
) -> None:
    before = installation.end(PROCESSORS_DEAD)
    body = json.loads(_booking("partly").raw)
    body["data"]["event"]["start"] = "2026-02-30T10:00:00Z"
    value = json.dumps(body).encode()
    installation.put_webhook(received("acme", value))
    installation.flush()
    eventually(lambda: _is_resolved(installation, "partly"))
    eventually(lambda: installation.end(PROCESSORS_DEAD) == before + 1)
    *_, (_key, _value, headers) = _dead(installation)
    assert headers["error_code"] == Code.TIME_INVALID
    assert headers["error_field"] == "data.event.start"


def test_types_without_a_use_are_counted_and_make_nothing(installation: Installation) -> None:
    eventually(lambda: installation.handled("normalise") > 0)
    before = installation.end(OBSERVATIONS), installation.end(ENTITIES)
    installation.put_webhook(received("acme", _changed(type="event.teleported", id="evt_0")))
    installation.flush()

    def counted() -> bool:
        counts = installation.processors.counts("calstream_stage_events_total")
        return counts["unknown", "normalise"] == 1

    eventually(counted)
    assert (installation.end(OBSERVATIONS), installation.end(ENTITIES)) == before


def test_an_observation_on_another_workspace_s_partition_is_refused(
    installation: Installation,
) -> None:
    good = installation.records(OBSERVATIONS)[-1]
    before = installation.end(PROCESSORS_DEAD)
    elsewhere = (installation.partition("acme") + 1) % installation.kafka.partitions
    installation.put(OBSERVATIONS, good.key(), good.value(), partition=elsewhere)
    installation.flush()
    eventually(lambda: installation.end(PROCESSORS_DEAD) == before + 1)
    codes = [headers["error_code"] for *_, headers in _dead(installation)]
    assert Code.WORKSPACE_MISMATCH in codes


def test_a_second_processors_process_takes_its_share_and_gives_it_back(
    installation: Installation, unused_tcp_port: int
) -> None:
    another = installation.processors.another(unused_tcp_port).start()
    try:
        eventually(lambda: another.has_said("partitions assigned"))
        eventually(another.is_ready)
        eventually(installation.processors.is_ready)
        installation.receive([_booking("shared")])
        eventually(lambda: _is_resolved(installation, "shared"))
        assert another.stop() == 0
    finally:
        another.close()
    installation.receive([_booking("alone")])
    eventually(lambda: _is_resolved(installation, "alone"))
    assert installation.processors.is_alive()


def test_processors_that_can_t_read_the_truth_end_and_name_the_entity(
    installation: Installation,
) -> None:
    """To go on with a part of it would write the rest anew."""
    assert installation.processors.stop() == 0
    installation.put(ENTITIES, b"acme/contact/strange", b"no record")
    installation.flush()
    assert installation.processors.start().until_ended() == 1
    assert installation.processors.has_said("acme/contact/strange")
    installation.put(ENTITIES, b"acme/contact/strange", None)
    installation.flush()
    installation.processors.start().until_ready()
