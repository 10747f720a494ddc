"""Rules through the real pipeline: leads, payments and bookings of the CRM, up to HubSpot."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import tomlkit
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_core.clock import now_microseconds, to_microseconds
from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Attendee, Event, EventType, Host, Origin
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.ledger import LedgerState
from calstream_schemas.observations import Fact, Observation, Statement, observation_id
from calstream_schemas.topics import PROCESSORS_DEAD, sink_dead

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)
TRIAL = EventType("trial", "Trial")
HOT = (("team_size", "51-200"), ("timeline", "this quarter"))


def _run(installation: Installation, *words: str) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == 0, answer.stderr
    return json.loads(answer.stdout)


def _set_rules(installation: Installation, points: int, owners: list[str]) -> None:
    document = tomlkit.loads(installation.file.read_text())
    document["workspaces"]["acme"]["rules"] = {
        "scoring": {
            "threshold": 50,
            "table": [
                {"field": "team_size", "operator": "is", "value": "51-200", "points": points},
                {"field": "timeline", "operator": "contains", "value": "quarter", "points": 25},
            ],
        },
        "assignment": {"people": [{"owner_id": owner} for owner in owners]},
    }
    installation.file.write_text(tomlkit.dumps(document))


class Scene:
    """An installation with rules and a CRM with two owners; bookings come a day after another."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.calendar = Calendar("acme", seed="automation")
        self.owners = ["101", installation.hubspot.add_owner("sam@acme.example")]
        self._start = START

    def person(self, name: str) -> Attendee:
        return self.calendar.add_attendee(f"{name}@example.com", name.title())

    def book(self, person: Attendee, kind: EventType = TRIAL, **more: Any) -> Event:
        self._start += timedelta(days=1)
        end = self._start + timedelta(minutes=30)
        event, told = self.calendar.book(
            Booking(HOST, kind, self._start, end, "UTC", **more), person
        )
        self.installation.receive(told)
        return event

    def newest(self, kind: str) -> list[Entity]:
        versions = self.installation.versions().values()
        found = [each[-1] for each in versions if each[-1].kind == kind]
        return sorted(found, key=lambda each: each.created_at)

    def values(self, kind: str, name: str) -> list[object]:
        return [each.values.get(name) for each in self.newest(kind)]

    def lead(self, name: str) -> tuple[str | None, ...]:
        """What the CRM shows of somebody: source, score, owner."""
        crm = self.installation.hubspot.crm()
        found = crm.contacts_with_email(f"{name}@example.com")
        if len(found) != 1:
            return ()
        properties = ("calstream_lead_source", "calstream_lead_score", "hubspot_owner_id")
        return tuple(crm.contacts[found[0]].get(each) or None for each in properties)


@pytest.fixture(scope="module")
def scene(broker: str, install: Install) -> Scene:
    made = install(broker)
    made.hubspot.process.start().until_ready()
    made.set_up_hubspot()
    made.processors.start()
    made.sinks.start()
    made.processors.until_ready()
    made.sinks.until_ready()
    scene = Scene(made)
    _set_rules(made, 30, scene.owners)
    (done,) = _run(made, "rules", "apply", "--yes")
    assert done["applied"]
    return scene


def test_a_booking_makes_a_lead_with_source_score_and_owner_and_a_message_at_once(
    scene: Scene,
) -> None:
    first, second = scene.owners
    scene.book(scene.person("jo"), answers=HOT)
    scene.book(scene.person("ann"))
    eventually(lambda: scene.lead("jo") == ("calendar.live", "55", first))
    eventually(lambda: scene.lead("ann") == ("calendar.live", None, second))
    (message,) = scene.newest("message")
    jo = scene.newest("contact")[0]
    assert message.cause.received_at == jo.created_at
    assert message.references["contact_ref"] == jo.id
    assert message.values["audience"] == "owner"
    assert message.values["not_after"] == to_microseconds(START + timedelta(days=1))
    assert orjson.loads(str(message.values["content"]))["score"] == 55

    shown = _run(scene.installation, "entity", "show", jo.key)["fields"]
    assert {name: (its["source"]["system"], its["rule"]) for name, its in shown.items()} | {
        "lead_source": ("rules", "owner"),
        "lead_score": ("rules", "owner"),
        "owner_id": ("rules", "only"),
    } == {name: (its["source"]["system"], its["rule"]) for name, its in shown.items()}


def test_the_turns_go_on_after_a_restart(scene: Scene) -> None:
    scene.installation.processors.kill()
    scene.installation.processors.start().until_ready()
    for name in ("bob", "eve", "kim"):
        scene.book(scene.person(name))
    first, second = scene.owners
    eventually(lambda: scene.values("contact", "owner_id") == [first, second, first, second, first])
    tail = ("topic", "tail", "resolver.state", "--decode", "--limit", "500", "-o", "json")
    shown = CliRunner().invoke(app, [*tail, "--config", str(scene.installation.file)])
    kept = [json.loads(line) for line in shown.stdout.splitlines()]
    newest = [each["value"] for each in kept if each["record"] == "assignments"][-1]
    assert {key.partition("/")[2]: count for key, count in newest.items()} == {first: 3, second: 2}


def test_other_points_are_planned_and_applied_and_tell_nobody(scene: Scene) -> None:
    _set_rules(scene.installation, 60, scene.owners)
    (plan,) = _run(scene.installation, "rules", "plan")
    (change,) = plan["changes"]
    assert (change["field"], change["old"], change["new"]) == ("lead_score", 55, 85)
    _run(scene.installation, "rules", "apply", "--yes")
    eventually(lambda: scene.values("contact", "lead_score")[0] == 85)
    eventually(lambda: scene.lead("jo")[1:2] == ("85",))
    assert len(scene.newest("message")) == 1
    (plan,) = _run(scene.installation, "rules", "plan")
    assert plan["changes"] == []


def test_a_payment_drives_the_attendance_and_the_meeting(scene: Scene) -> None:
    person = scene.person("pam")
    event = scene.book(person, EventType("workshop", "Workshop", paid=True, price_minor=4900))

    def paid() -> tuple[object, object]:
        crm = scene.installation.hubspot.crm()
        shown = [crm.meetings[id_].get("payment_status") for id_ in crm.meetings_of(event.id)]
        return scene.values("attendance", "payment_status")[-1], shown[0] if shown else None

    eventually(lambda: paid() == ("pending", "pending"))
    scene.installation.receive(scene.calendar.pay(event, person))
    eventually(lambda: paid() == ("succeeded", "succeeded"))
    scene.installation.receive(scene.calendar.refund(event, person))
    eventually(lambda: paid() == ("refunded", "refunded"))


def _crm_says(meeting: str, groups: dict[str, Values]) -> Observation:
    at, natural_id = now_microseconds(), NaturalId("hubspot", "booking", meeting)
    return Observation(
        id=observation_id("hubspot", str(at), Fact.STATE, natural_id),
        workspace="acme",
        fact=Fact.STATE,
        kind="booking",
        natural_id=natural_id,
        role="crm",
        received_at=at,
        occurred_at=at,
        statements=tuple(
            Statement(group, values, Stamp(-1, at, by_self=False))
            for group, values in groups.items()
        ),
    )


def test_a_meeting_that_the_crm_made_is_one_booking_and_stays_one_meeting(scene: Scene) -> None:
    meeting = scene.installation.hubspot.add_meeting("Demo", START)
    before = len(scene.installation.hubspot.crm().meetings)
    scene.installation.observe(_crm_says(meeting, {"title": {"title": "Demo"}}))
    eventually(lambda: scene.values("booking", "origin_id")[-1] == meeting)
    made = scene.newest("booking")[-1]
    assert "uid" not in made.values
    event = scene.book(scene.person("flo"), origin=Origin("hubspot", meeting))
    eventually(lambda: scene.values("booking", "uid")[-1] == event.uid)
    assert scene.newest("booking")[-1].id == made.id
    eventually(lambda: scene.installation.hubspot.crm().meetings_of(event.id) == [meeting])
    eventually(
        lambda: all(e.state is LedgerState.DONE for e in scene.installation.ledger().values())
    )
    assert len(scene.installation.hubspot.crm().meetings) == before
    assert scene.installation.end(PROCESSORS_DEAD) == 0
    assert scene.installation.end(sink_dead("hubspot")) == 0
