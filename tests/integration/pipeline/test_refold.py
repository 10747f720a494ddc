"""A refold on demand: reported first, then done as versions, and nothing else changes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)


def _run(installation: Installation, *words: str, status: int = 0) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == status, answer.stderr
    return json.loads(answer.stdout or answer.stderr)


def _newest(installation: Installation) -> dict[str, Entity]:
    return {key: versions[-1] for key, versions in installation.versions().items()}


@pytest.fixture(scope="module")
def stale(broker: str, install: Install) -> tuple[Installation, str]:
    """Two bookings, and a contact as a release would have left it that folded otherwise."""
    installation = install(broker)
    calendar = Calendar("acme", seed="refold")
    installation.processors.start().until_ready()
    for number in range(2):
        person = calendar.add_attendee(f"p{number}@example.com", f"Person {number}", company="N")
        begin = START + timedelta(hours=number)
        slot = Booking(HOST, EventType("t", "T"), begin, begin + timedelta(minutes=30), "UTC")
        installation.receive(calendar.book(slot, person)[1])
    eventually(lambda: installation.handled("resolve") == 6)
    assert installation.processors.stop() == 0
    contact = next(e for key, e in _newest(installation).items() if "/contact/" in key)
    values = {**contact.values, "company": "what an earlier release made of it"}
    before = replace(contact, version=contact.version + 1, values=values)
    raw = encode_entity(before, installation.keys.sealer("acme"))
    installation.put(ENTITIES, contact.key.encode(), raw)
    installation.flush()
    installation.processors.start().until_ready()
    return installation, contact.key


def test_a_refold_is_reported_first_and_then_done(stale: tuple[Installation, str]) -> None:
    installation, key = stale
    before = _newest(installation)
    observations = installation.end(OBSERVATIONS)
    (report,) = _run(installation, "replay", "refold")
    (change,) = report["changes"]
    assert (change["key"], change["field"], change["new"]) == (key, "company", "N")
    assert change["old"] == "what an earlier release made of it"
    assert change["would_decide"]["rule"] == "only"
    assert _newest(installation) == before, "without --yes nothing is done"
    assert installation.end(OBSERVATIONS) == observations

    (done,) = _run(installation, "replay", "refold", "--yes")
    assert done["rule_set"] == report["rule_set"]
    after = _newest(installation)
    assert after.pop(key).values["company"] == "N"
    del before[key]
    assert after == before, "nothing else changed, and no message was made"
    assert installation.end(OBSERVATIONS) == observations + 1
    assert installation.end(PROCESSORS_DEAD) == 0
    assert _run(installation, "replay", "refold")[0]["changes"] == []


def test_a_refold_is_told_in_the_audit(stale: tuple[Installation, str]) -> None:
    installation, key = stale
    told = _run(installation, "audit", "show", key)["history"][-1]
    assert told["event"] == "refold"
    assert told["told"].startswith("it was folded again from its copies: company changed, as ")
    assert _run(installation, "audit", "verify")["ok"]


def test_without_a_resolver_the_refold_waits_in_the_log(stale: tuple[Installation, str]) -> None:
    installation, _key = stale
    assert installation.processors.stop() == 0
    answer = _run(installation, "replay", "refold", "--yes", "--timeout", "0", status=69)
    assert answer["code"] == "stack-not-running"
