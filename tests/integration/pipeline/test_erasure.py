"""A person is erased, and nothing gives them back: no topic, table, row or line of output."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.pipeline import sealing_off
from tests.integration.pipeline.conftest import Install, Installation, eventually, received
from tests.integration.pipeline.traces import Traces
from typer.testing import CliRunner

from calstream_core.clock import now_microseconds
from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import (
    Attendee,
    Consent,
    Event,
    EventType,
    Host,
    Location,
)
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.topics import PROCESSORS_DEAD, REJECTED
from calstream_schemas.webhooks import RejectedWebhook, encode_rejected

SEALING_OFF = sealing_off.WORKSPACE
_SITE = """
import sealing_off

sealing_off.switch_off(setattr)
sealing_off.switch_debug_logging_on()
"""

pytestmark = pytest.mark.broker

START = datetime(2026, 12, 27, 15, tzinfo=UTC)
LINE = "+14155550177"
TRIAL = EventType("trial-30", "Product trial")
CLASS = EventType("class", "Class", kind="group")


class Scene:
    """One workspace: somebody who will be erased, and somebody who shares their line."""

    def __init__(self, installation: Installation, workspace: str) -> None:
        self.installation = installation
        self.workspace = workspace
        self.calendar = Calendar(workspace, seed=f"erasure {workspace}")
        mark = "q" if workspace == SEALING_OFF else "z"
        self.email, self.other_email = f"{mark}jo@person.example", f"{mark}jo.2@person.example"
        self.name, self.answer = f"{mark.upper()}jo Nathansen", f"{mark}-thirty in my team"
        self.link, self.reason = f"https://zoom.example/j/{mark}77", f"{mark}-broke my leg"
        self.secrets = (
            self.email,
            self.other_email,
            self.name,
            self.answer,
            self.link,
            self.reason,
        )
        self.host = Host("usr_12", "dana@acme.example", "Dana Reyes")
        self.nowhere: dict[str, set[str]] = {text: set() for text in self.secrets}
        self.sent: list[Webhook] = []
        self._hours = 0

    def live(self) -> None:
        """Somebody books alone and with another, twice as somebody else, and changes their mind."""
        agreed = Consent("marketing", True, "consent", "sha256:1", datetime.now(UTC))
        self.jo = self.person(self.email, self.name, consent=agreed)
        self.kim = self.person(f"kim@{self.workspace}.example", "Kim Sato")
        self.twin = self.calendar.add_attendee(self.other_email, self.name)
        one_to_one = self.book(TRIAL, self.jo, link=self.link)
        self.group = self.book(CLASS, self.jo, self.kim)
        self.book(TRIAL, self.twin)
        self.send(self.calendar.withdraw_consent(self.jo))
        self.send(self.calendar.cancel(one_to_one, reason=self.reason))
        self.spoil()

    def person(self, email: str, name: str, **more: Any) -> Attendee:
        return self.calendar.add_attendee(email, name, phone=LINE, **more)

    def book(self, kind: EventType, *people: Attendee, link: str | None = None) -> Event:
        self._hours += 1
        begin = START + timedelta(hours=self._hours)
        booking = Booking(
            self.host,
            kind,
            begin,
            begin + timedelta(minutes=30),
            "UTC",
            location=Location("zoom", link),
            answers=(("note", self.answer),) if link else (),
        )
        event, told = self.calendar.book(booking, *people)
        self.send(told)
        return event

    def send(self, told: list[Webhook]) -> None:
        self.sent += told
        self.installation.receive(told)

    def newest(self, kind: str) -> dict[str, Entity]:
        return {
            key: versions[-1]
            for key, versions in self.installation.versions().items()
            if key.startswith(f"{self.workspace}/{kind}/")
        }

    def contact(self, person: Attendee) -> Entity | None:
        natural_id = NaturalId("calendar_live", "attendee", person.id)
        found = [one for one in self.newest("contact").values() if natural_id in one.copies]
        return found[-1] if found else None

    def known(self, person: Attendee) -> Entity:
        found = self.contact(person)
        assert found is not None
        return found

    def spoil(self) -> None:
        """A webhook that is refused, and two that can't be used, all about the person."""
        body = json.dumps({"type": "event.created", "who": self.email}).encode()
        self.installation.put_webhook(received(self.workspace, body))
        nonsense = json.dumps({"type": "event.created", "data": {"event": {"title": self.email}}})
        self.installation.put_webhook(received(self.workspace, nonsense.encode()))
        now = now_microseconds()
        refused = RejectedWebhook(
            "7d9c6a52-6f9e-4a0f-9a86-0c4c3d1f5c11",
            self.workspace,
            "calendar_live",
            now,
            401,
            "signature-invalid",
            "no",
            {},
            len(body),
            f"not JSON, {self.email}".encode(),
        )
        value = encode_rejected(refused, self.installation.keys.sealer(self.workspace))
        self.installation.put(
            REJECTED,
            self.workspace.encode(),
            value,
            partition=self.installation.partition(self.workspace),
        )
        self.installation.flush()

    def run(self, *words: str, status: int = 0) -> Any:
        answer = CliRunner().invoke(
            app, [*words, "-o", "json", "--config", str(self.installation.file)]
        )
        assert answer.exit_code == status, answer.output
        return json.loads(answer.stdout if status == 0 else answer.stderr)


@pytest.fixture
def installation(
    broker: str, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """Runs with debug logging everywhere, and seals nothing in one of its two workspaces."""
    (tmp_path / "sitecustomize.py").write_text(_SITE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(sealing_off.__file__).parent}")
    sealing_off.switch_off(monkeypatch.setattr)
    made = install(broker, "acme", SEALING_OFF)
    made.hubspot.process.start().until_ready()
    made.set_up_hubspot()
    made.processors.start()
    made.sinks.start()
    made.processors.until_ready()
    made.sinks.until_ready()
    return made


def test_nothing_gives_an_erased_person_back(installation: Installation, broker_data: Path) -> None:
    traces = Traces(installation, broker_data, installation.file.parent)
    scene, control = (Scene(installation, name) for name in ("acme", SEALING_OFF))
    for each in (control, scene):
        each.live()
    eventually(lambda: len(installation.hubspot.crm().contacts) == 6)
    eventually(lambda: len(installation.records(PROCESSORS_DEAD)) == 4)
    eventually(lambda: len(installation.hubspot.crm().meetings) == 6)
    one, two, other = scene.known(scene.jo), scene.known(scene.twin), scene.known(scene.kim)
    scene.run("contact", "merge", two.key, one.key, "--yes")
    _assert_that_the_search_finds_what_is_there(traces, scene, control, one)
    _assert_that_it_is_sealed_and_opens(traces, scene)

    _erase(scene, one)
    _assert_erased(installation, traces, scene, [one, two])
    assert scene.known(scene.kim) == other
    assert other.values["phone"] == LINE

    _say_all_again(installation, scene, one)
    assert scene.contact(scene.jo) is None
    _assert_erased(installation, traces, scene, [one, two])
    assert traces.places_of(scene.secrets) == scene.nowhere

    # who books again is somebody new, who has not agreed to anything
    again = scene.book(TRIAL, scene.jo)
    newcomer = eventually(lambda: scene.contact(scene.jo))
    assert newcomer is not None
    assert newcomer.id not in {one.id, two.id}
    assert newcomer.values["email"] == scene.email
    eventually(lambda: installation.hubspot.crm().meetings_of(again.id))
    consents = scene.newest("consent").values()
    theirs = [one for one in consents if one.references.get("contact_ref") == newcomer.id]
    assert [consent.values["granted"] for consent in theirs] == [False]


def _assert_that_the_search_finds_what_is_there(
    traces: Traces, scene: Scene, control: Scene, person: Entity
) -> None:
    logged = "debug logging is on"
    found = traces.places_of((*scene.secrets, *control.secrets, person.id, logged))
    for text in (control.email, control.name):
        assert {"log observations", "log entities", "log webhooks"} <= found[text]
        assert "file state/processors" in {place.rpartition("/")[0] for place in found[text]}
    assert all("log entities" in found[text] for text in control.secrets)
    assert any("calstream.db" in place for place in found[person.id])
    assert {f"file output of {name}" for name in ("processors", "sinks")} <= found[logged]


def _assert_that_it_is_sealed_and_opens(traces: Traces, scene: Scene) -> None:
    assert traces.places_of(scene.secrets) == scene.nowhere
    opened = traces.opened(scene.secrets)
    assert all({"webhooks", "observations", "entities"} <= opened[text] for text in scene.secrets)
    assert {"webhooks.rejected", "processors.dead"} <= opened[scene.email]


def _erase(scene: Scene, person: Entity) -> None:
    address = str(scene.known(scene.jo).values["email"])  # of the two, the one that was said last
    plan = scene.run("erase", "--contact", scene.workspace, "--email", address)
    assert (plan["done"], len(plan["contacts"]), plan["bookings_kept"]) == (False, 2, 1)
    assert len(plan["bookings"]) == 2
    assert scene.run("erase", "--contact", person.key, "--dry-run") == plan
    told = scene.run("erase", "--contact", person.key, "--yes", "--by", "dana")
    assert (told["state"], told["waits_for"], told["asked_by"]) == ("done", [], "dana")
    done = {(each["system"], each["done"]) for each in told["receipts"]}
    # the merged one's object went with the survivor's
    assert done - {("hubspot", "nothing")} == {
        ("hubspot", "deleted"),
        ("calstream", "keys_destroyed"),
    }


def _assert_erased(
    installation: Installation, traces: Traces, scene: Scene, contacts: list[Entity]
) -> None:
    assert traces.opened(scene.secrets) == scene.nowhere
    crm = installation.hubspot.crm()
    assert len(crm.contacts) == 4
    assert crm.contacts_with_email(scene.kim.email)
    assert not crm.contacts_with_email(scene.email)
    assert [len(crm.attendees[id_]) for id_ in crm.meetings_of(scene.group.id)] == [1]
    for contact in contacts:
        shown = scene.run("entity", "show", contact.key)
        assert (shown["erasure"]["state"], shown["fields"]) == ("erased", {})
        assert not scene.newest("contact")[contact.key].match_keys
        newest = [
            one
            for one in traces.records()
            if one.key == contact.key and one.topic.endswith(".entities")
        ][-1]
        assert "email_hash" not in newest.headers


def _say_all_again(installation: Installation, scene: Scene, person: Entity) -> None:
    """The same webhooks come to a worker that knows only what is in the log; then a refold."""
    installation.processors.kill()
    installation.processors.start().until_ready()
    before = set(scene.newest("contact"))
    installation.receive(scene.sent)

    def state() -> dict[str, Any]:
        found: dict[str, Any] = scene.run("erase", "--contact", person.key)
        return found

    eventually(lambda: state()["dropped_since"] >= len(scene.sent))
    eventually(lambda: state()["state"] == "done")
    with installation.file.open("a") as settings:
        settings.write("\n[workspaces.acme.rules]\nignore_dots = true\n")
    assert scene.run("rules", "apply", "--yes", "--workspace", "acme")[0]["applied"]
    assert set(scene.newest("contact")) == before
