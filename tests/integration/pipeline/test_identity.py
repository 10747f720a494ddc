"""One person or two: asked on the log, decided on the command line, carried out everywhere."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import Attendee, Event, EventType, Host
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.reviews import MatchReview, decode_review
from calstream_schemas.topics import MATCH_REVIEWS, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

START = datetime(2026, 11, 27, 15, tzinfo=UTC)
LINE = "+14155552671"
HOME, WORK = "jo@example.com", "jo.park@work.example"


class Scene:
    """An installation, a calendar, and the command line beside them."""

    def __init__(self, installation: Installation, seed: str) -> None:
        self.installation = installation
        self.calendar = Calendar("acme", seed=seed)
        self._hours = 0

    def books(self, email: str, name: str, phone: str | None = None) -> tuple[Event, Attendee]:
        person = self.calendar.add_attendee(email, name, phone=phone)
        self._hours += 1
        begin = START + timedelta(hours=self._hours)
        host = Host("usr_12", "dana@acme.example", "Dana Reyes")
        end = begin + timedelta(minutes=30)
        event, told = self.calendar.book(
            Booking(host, EventType("t", "T"), begin, end, "UTC"), person
        )
        self.installation.receive(told)
        return event, person

    def run(self, *words: str, status: int = 0) -> Any:
        answer = CliRunner().invoke(
            app, [*words, "-o", "json", "--config", str(self.installation.file)]
        )
        assert answer.exit_code == status, answer.output
        return json.loads(answer.stdout if status == 0 else answer.stderr)

    def newest(self) -> dict[str, Entity]:
        return {key: versions[-1] for key, versions in self.installation.versions().items()}

    def contact_of(self, person: Attendee) -> Entity | None:
        natural_id = NaturalId("calendar_live", "attendee", person.id)
        for entity in self.newest().values():
            if natural_id in entity.copies:
                return entity
        return None

    def attends_as(self, event: Event) -> set[str]:
        """The ids of the contacts that an event's attendances refer to."""
        return {
            entity.references.get("contact_ref", "")
            for entity in self.newest().values()
            if entity.kind == "attendance"
            and any(event.id in id_.object_id for id_ in entity.copies)
        }


@pytest.fixture
def scene(broker: str, install: Install, request: pytest.FixtureRequest) -> Scene:
    return Scene(install(broker), request.node.name)


def test_a_question_is_asked_decided_and_undone(scene: Scene) -> None:
    scene.installation.processors.start().until_ready()
    _, jo = scene.books(HOME, "Jo Park", LINE)
    late, same = scene.books(WORK, "Jo Park", LINE)
    eventually(lambda: scene.attends_as(late) - {""})
    one, other = scene.contact_of(jo), scene.contact_of(same)
    assert one is not None
    assert other is not None
    assert one.key != other.key

    (review,) = scene.run("review", "list", "acme")
    assert (set(review["contacts"]), review["reason"]) == ({one.key, other.key}, "phone")
    assert review["evidence"] == LINE
    for record in scene.installation.records(MATCH_REVIEWS):
        assert LINE.encode() not in (record.value() or b"")

    assert not scene.run("contact", "merge", other.key, one.key)["done"]
    assert scene.run("contact", "merge", other.key, one.key, "--yes", "--by", "dana")["done"]
    assert scene.run("contact", "merge", other.key, one.key)["done"]  # it stands so already
    assert scene.run("review", "list", "acme") == []
    assert scene.attends_as(late) == {one.id}
    shown = scene.run("entity", "show", other.key)
    assert (shown["merge"]["into"], shown["merge"]["by"]) == (one.key, "dana")
    refused = scene.run("contact", "merge", one.key, other.key, "--yes", status=65)
    assert refused["code"] == "merge-cyclic"
    (dead,) = scene.installation.records(PROCESSORS_DEAD)
    assert dict(dead.headers() or ())["error_code"] == b"merge-cyclic"

    # another worker reads the indexes from the log: the address of the merged one is the survivor's
    scene.installation.processors.kill()
    scene.installation.processors.start().until_ready()
    _, again = scene.books(WORK, "Jo Park")
    eventually(lambda: scene.contact_of(again))
    found = scene.contact_of(again)
    assert found is not None
    assert found.id == one.id

    assert scene.run("contact", "unmerge", other.key, "--yes")["done"]
    back = scene.newest()[other.key]
    assert (back.copies, back.values, back.merge) == (other.copies, other.values, None)
    assert scene.attends_as(late) == {other.id}
    assert scene.run("review", "list", "acme") == []  # a person has said that they are two
    assert scene.run("contact", "unmerge", other.key, "--yes", status=65)["code"] == "merge-refused"


def test_two_people_are_kept_apart_on_somebodys_word(scene: Scene) -> None:
    scene.installation.processors.start().until_ready()
    _, jo = scene.books("info@northwind.example", "Jo Park")
    event, nobody = scene.books("info@northwind.example", " ")
    eventually(lambda: scene.attends_as(event) - {""})
    one, other = scene.contact_of(jo), scene.contact_of(nobody)
    assert one is not None
    assert other is not None
    (review,) = scene.run("review", "list", "acme")
    assert review["reason"] == "office"
    assert scene.run("contact", "apart", one.key, other.key, "--yes")["done"]
    assert scene.run("review", "list", "acme") == []
    records = scene.installation.records(MATCH_REVIEWS)
    opened = decode_review(records[0].value() or b"", scene.installation.keys.sealer)
    assert not isinstance(opened, Poison)
    assert isinstance(opened, MatchReview)
    assert [record.key() for record in records] == [opened.key.encode()] * 2
    assert records[-1].value() is None


def test_the_crm_learns_which_of_two_survived(scene: Scene) -> None:
    installation = scene.installation
    installation.hubspot.process.start().until_ready()
    installation.set_up_hubspot()
    installation.processors.start().until_ready()
    installation.sinks.start().until_ready()
    _, jo = scene.books(HOME, "Jo Park", LINE)
    late, same = scene.books(WORK, "Jo Park", LINE)
    eventually(lambda: len(installation.hubspot.crm().meetings) == 2)
    one, other = scene.contact_of(jo), scene.contact_of(same)
    assert one is not None
    assert other is not None
    kept = installation.hubspot.crm().contacts_with_email(HOME)
    scene.run("contact", "merge", other.key, one.key, "--yes")

    def attendees() -> set[tuple[str, ...]]:
        crm = installation.hubspot.crm()
        return {crm.attendees[id_] for id_ in crm.meetings_of(late.id)}

    eventually(lambda: attendees() == {tuple(kept)})
    assert len(installation.hubspot.crm().contacts) == 2  # what is merged here is not deleted there
