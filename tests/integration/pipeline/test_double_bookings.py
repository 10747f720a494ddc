"""Double bookings through the real pipeline: found, told, kept through a kill, and cleared."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import tomlkit
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.double_bookings import DoubleBooking, decode_double_booking
from calstream_schemas.entities import Entity
from calstream_schemas.topics import CONFLICTS, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
TRIAL = EventType("trial", "Trial")
CLASS = EventType("class", "Class", kind="group")
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=7)


def _run(installation: Installation, *words: str) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == 0, answer.stderr
    return json.loads(answer.stdout)


class Scene:
    """A workspace whose one host is booked more than once."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.calendar = Calendar("acme", seed="double bookings")

    def booking(self, minutes: int, event_type: EventType = TRIAL) -> Booking:
        """Half an hour, so long after noon."""
        start = NOON + timedelta(minutes=minutes)
        return Booking(HOST, event_type, start, start + timedelta(minutes=30), "UTC")

    def hear(self, told: list[Webhook]) -> None:
        self.installation.receive(told)

    def listed(self, *options: str) -> list[dict[str, Any]]:
        found = _run(self.installation, "conflict", "list", "acme", *options)
        assert found["conflicts"] == []
        double_bookings: list[dict[str, Any]] = found["double_bookings"]
        return double_bookings

    def count_bookings(self) -> int:
        return len(_run(self.installation, "entity", "list", "acme", "--kind", "booking"))

    def messages(self) -> list[Entity]:
        newest = (versions[-1] for versions in self.installation.versions().values())
        return [each for each in newest if each.kind == "message"]

    def statuses(self) -> list[str]:
        return sorted(str(each.values["status"]) for each in self.messages())


@pytest.fixture(scope="module")
def scene(broker: str, install: Install) -> Scene:
    made = install(broker)
    made.processors.start().until_ready()
    return Scene(made)


def test_a_double_booking_is_found_told_and_cleared_by_whom_it_moves(scene: Scene) -> None:
    calendar = scene.calendar
    people = [calendar.add_attendee(f"p{n}@example.com", f"P {n}") for n in range(4)]
    group, told = calendar.book(scene.booking(0, CLASS), *people[:3])
    hold, held = calendar.hold(
        HOST,
        NOON + timedelta(minutes=20),
        NOON + timedelta(minutes=50),
        "UTC",
        ttl=timedelta(hours=1),
    )
    scene.hear([*told, *held])
    (found,) = eventually(scene.listed)
    assert [each["status"] for each in found["bookings"]].count("held") == 1
    assert found["host_id"] == "usr_12"
    assert (found["policy"], found["keeps"]) == ("alert", None)
    by_audience = {each.values["audience"]: each for each in scene.messages()}
    assert by_audience.keys() == {"ops", "endpoint"}
    content = by_audience["endpoint"].values["content"]
    assert isinstance(content, str)
    webhook = orjson.loads(content)
    assert webhook["data"]["double_bookings"][0]["id"] == found["id"]

    scene.installation.processors.kill()
    scene.installation.processors.start().until_ready()
    moved = NOON + timedelta(hours=2)
    scene.hear(calendar.reschedule(group, moved, moved + timedelta(minutes=30)))
    eventually(lambda: scene.listed() == [])
    (over,) = scene.listed("--all")
    assert (over["id"], over["state"], over["ended_by"]) == (found["id"], "cleared", "moved")
    assert scene.statuses() == ["withdrawn", "withdrawn"]

    # the hold becomes the event: one booking, which overlaps nothing
    event, told = calendar.book(scene.booking(20), people[3])
    scene.hear([*calendar.release(hold, "confirmed", event), *told])
    eventually(lambda: scene.count_bookings() == 2)
    assert scene.listed() == []
    assert scene.installation.records(PROCESSORS_DEAD) == []


def test_other_buffers_are_planned_and_applied(scene: Scene) -> None:
    told = scene.calendar.book(scene.booking(240))[1]
    told += scene.calendar.book(scene.booking(280))[1]
    known = len(scene.installation.records(CONFLICTS))
    scene.hear(told)
    eventually(lambda: scene.count_bookings() == 4)
    document = tomlkit.loads(scene.installation.file.read_text())
    document["workspaces"]["acme"]["rules"] = {
        "double_booking": {
            "policy": "first_wins",
            "event_types": {"trial": {"after_minutes": 15}},
        }
    }
    scene.installation.file.write_text(tomlkit.dumps(document))
    (plan,) = _run(scene.installation, "rules", "plan", "--workspace", "acme")
    (would,) = plan["double_bookings"]
    assert (would["state"], would["rule"]) == ("open", "booked_first")
    _run(scene.installation, "rules", "apply", "--yes")
    (found,) = eventually(scene.listed)
    for name in ("id", "start", "end", "keeps", "bookings", "policy"):
        assert found[name] == would[name]
    assert scene.statuses() == ["withdrawn", "withdrawn"]  # nobody is told of other rules
    records = scene.installation.records(CONFLICTS)
    assert len(records) == known + 1
    decoded = decode_double_booking(records[-1].value() or b"")
    assert isinstance(decoded, DoubleBooking)
    assert (records[-1].key() or b"").decode() == decoded.key
    (again,) = _run(scene.installation, "rules", "plan", "--workspace", "acme")
    assert again["double_bookings"] == []
