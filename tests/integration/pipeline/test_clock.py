"""Time passes on the real pipeline: a hold expires by a tick, a deletion becomes a tombstone."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_core.clock import now_microseconds, to_microseconds
from calstream_core.zones import zone_of
from calstream_ops.cli.root import app
from calstream_processors.time import zone_changes
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entity
from calstream_schemas.observations import Fact, decode_observation, tick
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2027, 11, 27, 15, tzinfo=UTC)
END = START + timedelta(minutes=30)
FORTY_ONE_DAYS = 41 * 24 * 3600 * 1_000_000


@pytest.fixture(scope="module")
def installation(broker: str, install: Install) -> Installation:
    made = install(broker)
    made.processors.start().until_ready()
    return made


def _newest(installation: Installation, kind: str) -> dict[str, Entity | None]:
    """What stands, by key; None for a tombstone."""
    found: dict[str, Entity | None] = {}
    for record in installation.records(ENTITIES):
        key, value = (record.key() or b"").decode(), record.value()
        if f"/{kind}/" in key:
            entity = None if value is None else decode_entity(value, installation.keys.sealer)
            assert not isinstance(entity, Poison), entity
            found[key] = entity
    return found


def _run(installation: Installation, *words: str) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == 0, answer.stderr
    return json.loads(answer.stdout)


def _ticks(installation: Installation) -> list[int]:
    read = [
        decode_observation(record.value() or b"", installation.keys.sealer)
        for record in installation.records(OBSERVATIONS)
    ]
    return [
        each.occurred_at for each in read if not isinstance(each, Poison) and each.fact is Fact.TICK
    ]


def _value(installation: Installation, kind: str, field: str) -> Callable[[], list[object]]:
    return lambda: [e.values.get(field) for e in _newest(installation, kind).values() if e]


def test_a_hold_expires_by_itself(installation: Installation) -> None:
    calendar = Calendar("acme", seed="clock")
    hold, told = calendar.hold(HOST, START, END, "UTC", ttl=timedelta(seconds=2))
    installation.receive(told)
    eventually(lambda: _value(installation, "booking", "status")() == ["cancelled"])
    (booking,) = _newest(installation, "booking").values()
    assert booking is not None
    ticks = _ticks(installation)
    assert booking.cause.received_at in ticks
    assert booking.cause.received_at >= round(hold.expires_at.timestamp()) * 1_000_000 - 1_000_000
    assert len(ticks) <= 2  # it ticks where something is due, not all the time


def test_a_deletion_becomes_a_tombstone(installation: Installation) -> None:
    calendar = Calendar("acme", seed="deletion")
    person = calendar.add_attendee("jo@example.com", "Jo Park")
    booking = Booking(HOST, EventType("t", "T"), START, END, "UTC")
    installation.receive(calendar.book(booking, person)[1])
    installation.receive(calendar.delete_attendee(person))
    eventually(lambda: [e for e in _newest(installation, "contact").values() if e and e.deleted_at])
    installation.observe(tick("acme", now_microseconds() + FORTY_ONE_DAYS))
    eventually(lambda: list(_newest(installation, "contact").values()) == [None])
    (attendance,) = _newest(installation, "attendance").values()
    assert attendance is not None
    assert "contact_ref" not in attendance.references
    assert installation.records(PROCESSORS_DEAD) == []


def test_the_plan_shows_what_another_database_moves_and_applying_it_moves_that(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = Calendar("acme", seed="zones")
    start = datetime(2027, 7, 1, 13, tzinfo=UTC)  # 15:00 in Berlin
    end = start + timedelta(minutes=30)
    _event, told = calendar.book(Booking(HOST, EventType("t", "T"), start, end, "Europe/Berlin"))
    installation.receive(told)
    wall = "2027-07-01T15:00:00"
    eventually(lambda: wall in _value(installation, "booking", "wall_start")())
    # a database by which Berlin has no summer time
    monkeypatch.setattr(
        zone_changes,
        "zone_of",
        lambda name: zone_of("Africa/Lagos" if name == "Europe/Berlin" else name),
    )
    (plan,) = _run(installation, "rules", "plan")
    assert [(each["zone"], each["offset_seconds"]) for each in plan["zone_changes"]] == [
        ("Europe/Berlin", 3600)
    ]
    assert {(each["field"], each["old"], each["new"]) for each in plan["changes"]} == {
        ("start_at", "2027-07-01T13:00:00.000Z", "2027-07-01T14:00:00.000Z"),
        ("end_at", "2027-07-01T13:30:00.000Z", "2027-07-01T14:30:00.000Z"),
    }
    _run(installation, "rules", "apply", "--yes")
    (moved,) = (
        each
        for each in _newest(installation, "booking").values()
        if each and each.values["wall_start"] == wall
    )
    assert moved.values["start_at"] == to_microseconds(start) + 3_600_000_000
    (again,) = _run(installation, "rules", "plan")
    assert (again["changes"], again["zone_changes"]) == ([], [])


def test_a_replay_with_its_ticks_gives_the_same_bytes(
    installation: Installation, tmp_path: Path
) -> None:
    assert installation.processors.stop() == 0
    # an installation with the same keys and nothing else
    ours = installation.settings.state.directory
    shutil.copytree(ours, tmp_path / "state", ignore=shutil.ignore_patterns("processors"))
    with closing(Installation(tmp_path, installation.bootstrap_servers, ["acme"])) as other:
        log = installation.records(OBSERVATIONS)
        for record in log:
            other.put(OBSERVATIONS, record.key(), record.value())
        other.flush()
        other.processors.start().until_ready()
        eventually(lambda: other.handled("resolve") >= len(log))
        assert _bytes(other) == _bytes(installation)


def _bytes(installation: Installation) -> list[tuple[object, object]]:
    return [(record.key(), record.value()) for record in installation.records(ENTITIES)]
