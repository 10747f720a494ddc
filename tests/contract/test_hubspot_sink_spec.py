"""The HubSpot sink against the simulator, and every request of it against HubSpot's specification.

The specifications are HubSpot's and not part of this repository: CALSTREAM_VENDOR_SPECS names the
folder that has them, as `hubspot/contacts-2026-09.json` and so on.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from calstream_core.clock import from_microseconds, to_iso
from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Value
from calstream_sinks.api import (
    Applied,
    Change,
    Deferred,
    Found,
    Missing,
    Outcome,
    Projection,
    Refused,
    Snapshot,
)
from calstream_sinks.hubspot import HubSpotConfig, HubSpotSink
from calstream_sinks.hubspot.mapping import PROPERTIES

START = 1_795_791_600_000_000  # 2026-11-27T15:00:00Z
START_SECONDS = 20
SEARCH_LAG_SECONDS = 0.2
CREATE = "/crm/objects/2026-09/meetings/batch/create"
UPSERT = "/crm/objects/2026-09/contacts/batch/upsert"
MEETING_CALLS = "/crm/objects/2026-09/meetings"


# --- HubSpot: the simulator, and the specification


@dataclass
class Simulator:
    """The control of the simulator."""

    address: str
    control: httpx.Client

    def dump(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control.get("/dump").raise_for_status().json()
        return found

    def objects(self, object_type: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.dump()[object_type]
        return found

    def post(self, path: str, body: Any = None) -> None:
        self.control.post(path, json=body).raise_for_status()

    def fault(self, path_prefix: str, **fault: Any) -> None:
        self.post("/faults", {"path_prefix": path_prefix, **fault})

    def make(self, object_type: str, **properties: str) -> str:
        made = httpx.post(
            f"{self.address}/crm/objects/2026-09/{object_type}",
            json={"properties": properties, "associations": []},
            headers={"Authorization": "Bearer pat-sandbox"},
        )
        return str(made.raise_for_status().json()["id"])

    def archive(self, object_type: str, id_: str) -> None:
        httpx.delete(
            f"{self.address}/crm/objects/2026-09/{object_type}/{id_}",
            headers={"Authorization": "Bearer pat-sandbox"},
        ).raise_for_status()


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "calstream_sandbox", "--listen", listen]
    process = subprocess.Popen([*command, "--search-lag-seconds", str(SEARCH_LAG_SECONDS)])
    address = f"http://{listen}/hubspot"
    try:
        with httpx.Client(base_url=f"{address}/_control", trust_env=False) as control:
            _wait_for(f"http://{listen}/healthz", process)
            yield Simulator(address, control)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(address, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)  # a process that starts offers nothing to wait for
    pytest.fail("the simulator did not start")


@cache
def specification(name: str) -> OpenAPI | None:
    """One of HubSpot's APIs; None where the specifications are not at hand."""
    folder = os.environ.get("CALSTREAM_VENDOR_SPECS")
    if not folder:
        return None
    raw = json.loads((Path(folder) / "hubspot" / f"{name}-2026-09.json").read_text())
    return OpenAPI.from_dict(_tightened(raw))


def _tightened(part: Any) -> Any:
    """The specification without its null examples, and without room for keys that it lacks."""
    if isinstance(part, list):
        return [_tightened(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {
        "application/json" if key == "*/*" else key: _tightened(value)
        for key, value in part.items()
        if key != "security" and not (key == "example" and value is None)
    }
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def check_request(request: httpx.Request) -> None:
    """Raises what the specification has against a request."""
    path = request.url.path.removeprefix("/hubspot")
    name = "assoc" if path.startswith("/crm/associations") else path.split("/")[2]
    if name == "objects":
        name = path.split("/")[4]
    api = specification(name)
    assert api is not None
    api.validate_request(
        MockRequest(
            "https://api.hubapi.com",
            request.method.lower(),
            path,
            args=dict(request.url.params),
            headers=dict(request.headers),
            data=request.content or None,
            content_type=request.headers.get("Content-Type", ""),
        )
    )


@dataclass
class Recorder:
    """Lends the sink HTTP clients, and keeps its requests."""

    sink_id: str = "hubspot"
    requests: list[httpx.Request] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def http(self, base_url: str) -> httpx.AsyncClient:
        async def keep(request: httpx.Request) -> None:  # noqa: RUF029 - httpx awaits its hooks
            self.requests.append(request)

        client = httpx.AsyncClient(
            base_url=base_url, event_hooks={"request": [keep]}, trust_env=False
        )
        self.clients.append(client)
        return client

    def calls(self) -> list[str]:
        return [request.url.path.split("2026-09/")[1] for request in self.requests]


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.post("/reset")
    return running


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    yield recorder
    for client in recorder.clients:
        await client.aclose()
    if specification("contacts") is not None:
        for request in recorder.requests:
            check_request(request)


@pytest.fixture
async def bare(
    simulator: Simulator, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> HubSpotSink:
    """A sink for an account that was not set up yet."""
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-sandbox")
    sink = HubSpotSink(_config(simulator), recorder)
    await sink.open()
    return sink


@pytest.fixture
async def sink(bare: HubSpotSink, recorder: Recorder) -> HubSpotSink:
    await bare.setup()
    recorder.requests.clear()  # the setup's own tests check them
    return bare


def _config(simulator: Simulator, **more: Any) -> HubSpotConfig:
    given = {"token": {"env": "HUBSPOT_TOKEN"}, "base_url": simulator.address, **more}
    return HubSpotConfig.model_validate(given)


# --- Calstream: entities and changes, as the runner makes them


@dataclass
class KnownEntities:
    """A view made by hand."""

    entities: list[Entity] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def entity(self, key: str) -> Entity | None:
        return next((e for e in self.entities if e.key == key), None)

    def referring(self, kind: str, field: str, entity_id: str) -> Iterable[Entity]:
        return [e for e in self.entities if e.kind == kind and e.references.get(field) == entity_id]

    def external_id(self, key: str) -> str | None:
        return self.ids.get(key)


def entity(kind: str, id_: str, copy: str, values: dict[str, Value], **refs: str) -> Entity:
    natural_id = NaturalId.parse(f"calendar_live/{copy}")
    copies = {natural_id: Copy(natural_id, "calendar")}
    cause = Cause("o", 0, 0)
    return Entity("acme", kind, id_, 1, 0, cause, copies, values, references=refs)


def person(number: int, **values: Value) -> Entity:
    given = {"email": f"jo.park{number}@example.com", "full_name": "Jo Park", **values}
    return entity("contact", f"c{number}", f"attendee/att_{number}", given)


def booking(number: int, **values: Value) -> Entity:
    given: dict[str, Value] = {
        "title": "Product trial",
        "uid": f"b{number}@calendar.live",
        "start_at": START,
        "end_at": START + 1_800_000_000,
        "timezone": "America/New_York",
        "wall_start": "2026-11-27T10:00",
        "status": "confirmed",
        "event_kind": "group",
        "location_kind": "zoom",
    }
    return entity("booking", f"b{number}", f"event/Cal_{number}", given | values)


def attendance(booking_number: int, contact_number: int, **values: Value) -> Entity:
    id_ = f"{booking_number}-{contact_number}"
    refs = {"booking_ref": f"b{booking_number}", "contact_ref": f"c{contact_number}"}
    return entity("attendance", f"a{id_}", f"attendance/{id_}", values, **refs)


def changed(sink: HubSpotSink, of: Entity, view: KnownEntities, **more: Any) -> Change:
    """The change that the runner would make of an entity, with every field."""
    projection = sink.project(of, view)
    assert isinstance(projection, Projection), projection
    known = {"external_id": view.external_id(of.key), **more}
    return Change(of, projection, projection.fields, f"op-{of.id}", **known)


def applied(outcome: Outcome) -> Snapshot:
    assert isinstance(outcome, Applied), outcome
    return outcome.snapshot


async def write(sink: HubSpotSink, view: KnownEntities, *entities: Entity) -> list[Snapshot]:
    """Delivers entities that nothing speaks against, and remembers their ids."""
    outcomes = await sink.deliver([changed(sink, of, view) for of in entities])
    snapshots = [applied(outcome) for outcome in outcomes]
    view.ids |= {o.key: s.external_id for o, s in zip(entities, snapshots, strict=True)}
    view.entities += [of for of in entities if of not in view.entities]
    return snapshots


def associated(meeting: dict[str, Any]) -> set[str]:
    return {str(link["id"]) for link in meeting["associations"].get("contacts", [])}


# --- setup and check


async def test_setup_makes_what_check_misses_and_then_nothing(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    missing = {finding.name for finding in await bare.check() if not finding.ok}
    assert "contacts.calstream_id" in missing
    made = await bare.setup()
    ours = [item for item in PROPERTIES if item.label]
    assert len(made) == len(ours) + 2
    assert all(finding.ok for finding in await bare.check())
    assert await bare.setup() == []
    custom = simulator.dump()["custom_properties"]
    assert sorted([*custom["contacts"], *custom["meetings"]]) == sorted(i.name for i in ours)


async def test_check_changes_nothing(bare: HubSpotSink, recorder: Recorder) -> None:
    await bare.check()
    assert {request.method for request in recorder.requests} == {"GET"}


async def test_check_finds_a_property_of_the_wrong_type_or_that_is_not_unique(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    for object_type, name, type_, field_type in (
        ("contacts", "calstream_id", "string", "text"),
        ("meetings", "external_id", "number", "number"),
    ):
        group = "contactinformation" if object_type == "contacts" else "engagement"
        definition = {"name": name, "label": name, "type": type_, "fieldType": field_type}
        httpx.post(
            f"{simulator.address}/crm/properties/2026-09/{object_type}",
            json={**definition, "groupName": group},
            headers={"Authorization": "Bearer pat-sandbox"},
        ).raise_for_status()
    await bare.setup()
    faults = {finding.name for finding in await bare.check() if not finding.ok}
    assert faults == {"contacts.calstream_id", "meetings.external_id"}


async def test_check_says_that_the_token_is_wrong(
    bare: HubSpotSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-wrong")
    findings = await bare.check()
    assert [finding.ok for finding in findings] == [False, False]
    assert all("scopes" in finding.hint for finding in findings)
    with pytest.raises(ConfigError):
        await bare.setup()


async def test_check_of_a_vendor_that_is_down_finds_nothing_out(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    simulator.fault("/crm", status=503)
    with pytest.raises(UnavailableError):
        await bare.check()


# --- contacts


async def test_a_new_person_becomes_a_contact(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities()
    (snapshot,) = await write(sink, view, person(1, phone="+14155552671", company="Northwind"))
    (contact,) = simulator.objects("contacts")
    assert contact["id"] == snapshot.external_id
    expected = {
        "email": "jo.park1@example.com",
        "firstname": "Jo",
        "lastname": "Park",
        "phone": "+14155552671",
        "company": "Northwind",
        "calstream_id": "c1",
        "external_source_id": "att_1",
    }
    assert expected.items() <= contact["properties"].items()
    assert expected.items() <= snapshot.fields.items()
    assert snapshot.statements["name"] == {"full_name": "Jo Park"}


async def test_a_batch_of_new_people_takes_two_calls(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    await write(sink, KnownEntities(), *(person(number) for number in range(100)))
    assert recorder.calls() == ["contacts/batch/read", "contacts/batch/upsert"]
    assert len(simulator.objects("contacts")) == 100


async def test_a_change_writes_only_its_fields_and_empties_with_none(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities()
    await write(sink, view, person(1, phone="+14155552671"))
    recorder.requests.clear()
    update = changed(sink, person(1, phone=None), view)
    (outcome,) = await sink.deliver([replace(update, fields={"phone": None})])
    assert applied(outcome).fields["phone"] is None
    assert recorder.calls() == ["contacts/batch/update"]
    (contact,) = simulator.objects("contacts")
    assert "phone" not in contact["properties"]
    assert contact["properties"]["firstname"] == "Jo"


async def test_a_person_whom_hubspot_has_is_found_and_nothing_is_written(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    id_ = simulator.make("contacts", email="Jo.Park1@example.com", company="Northwind Ltd")
    (outcome,) = await sink.deliver([changed(sink, person(1), KnownEntities())])
    assert isinstance(outcome, Found)
    assert outcome.snapshot.external_id == id_
    assert outcome.snapshot.statements == {
        "email": {"email": "jo.park1@example.com"},
        "company": {"company": "Northwind Ltd"},
    }
    (contact,) = simulator.objects("contacts")
    assert "calstream_id" not in contact["properties"]


async def test_two_people_with_one_address_in_one_batch_are_one_contact(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    same = [person(1, email="jo@example.com"), person(2, email="jo@example.com"), person(3)]
    outcomes = await sink.deliver([changed(sink, of, KnownEntities()) for of in same])
    assert isinstance(outcomes[1], Found)
    assert outcomes[1].snapshot.external_id == applied(outcomes[0]).external_id
    assert isinstance(outcomes[2], Applied)
    assert len(simulator.objects("contacts")) == 2


async def test_delivering_a_new_person_twice_makes_one_contact(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    first = changed(sink, person(1), KnownEntities())
    (once,) = await sink.deliver([first])
    (twice,) = await sink.deliver([first])
    assert applied(once).external_id == applied(twice).external_id
    assert len(simulator.objects("contacts")) == 1


async def test_a_value_that_is_refused_does_not_fail_the_others(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    people = [person(1), person(2, email="not an address"), person(3)]
    outcomes = await sink.deliver([changed(sink, of, KnownEntities()) for of in people])
    assert isinstance(outcomes[1], Refused)
    assert (outcomes[1].code, outcomes[1].field) == (Code.VENDOR_REFUSED, "email")
    assert "not an address" not in outcomes[1].message
    assert [type(outcomes[0]), type(outcomes[2])] == [Applied, Applied]
    assert len(simulator.objects("contacts")) == 2


async def test_a_missing_property_refuses_with_its_name(bare: HubSpotSink) -> None:
    await bare.setup()
    (outcome,) = await bare.deliver([_with_field(bare, "favourite_colour")])
    assert isinstance(outcome, Refused)
    assert outcome.field == "favourite_colour"


def _with_field(sink: HubSpotSink, name: str) -> Change:
    made = changed(sink, person(1), KnownEntities())
    fields = {**made.projection.fields, name: "blue"}
    return replace(made, projection=Projection(fields), fields=fields)


async def test_an_account_that_was_not_set_up_makes_no_contact(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    (outcome,) = await bare.deliver([changed(bare, person(1), KnownEntities())])
    assert isinstance(outcome, Refused)
    assert outcome.field == "calstream_id"
    assert simulator.objects("contacts") == []


async def test_an_upsert_whose_answer_is_lost_is_repeated_safely(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    simulator.fault(UPSERT, applied_then_dropped=True)
    first = changed(sink, person(1), KnownEntities())
    (lost,) = await sink.deliver([first])
    assert isinstance(lost, Deferred)
    assert lost.unknown
    (outcome,) = await sink.deliver([replace(first, outcome_unknown=True)])
    (contact,) = simulator.objects("contacts")
    assert applied(outcome).external_id == contact["id"]


async def test_contacts_that_are_gone_are_missing(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities()
    gone, there = await write(sink, view, person(1), person(2))
    simulator.archive("contacts", gone.external_id)
    people = (person(1, company="x"), person(2, company="x"))
    outcomes = await sink.deliver([changed(sink, of, view) for of in people])
    assert [type(outcome) for outcome in outcomes] == [Missing, Applied]
    found = await sink.lookup("contact", [gone.external_id, there.external_id])
    assert found[gone.external_id] is None
    looked_up = found[there.external_id]
    assert looked_up is not None
    assert looked_up.fields["company"] == "x"
    assert looked_up.statements["phone"] == {"phone": None}


async def test_a_wiped_account_is_written_again(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities([attendance(1, 1)])
    (contact,) = await write(sink, view, person(1))
    (meeting,) = await write(sink, view, booking(1))
    simulator.post("/wipe")
    assert await sink.lookup("booking", [meeting.external_id]) == {meeting.external_id: None}
    for of in (person(1), booking(1)):
        assert await sink.deliver([changed(sink, of, view)]) == [Missing()]
    view.ids.clear()
    (again,) = await write(sink, view, person(1))
    await write(sink, view, booking(1))
    assert again.external_id != contact.external_id
    (made,) = simulator.objects("meetings")
    assert associated(made) == {again.external_id}


async def test_a_rate_limit_says_how_long_to_wait(sink: HubSpotSink, simulator: Simulator) -> None:
    simulator.fault("/crm", status=429, retry_after_seconds=3)
    with pytest.raises(UnavailableError) as raised:
        await sink.deliver([changed(sink, person(1), KnownEntities())])
    assert (raised.value.code, raised.value.retry_after_seconds) == (Code.RATE_LIMITED, 3)
    simulator.post("/settings", {"requests_per_10_seconds": 0})
    with pytest.raises(UnavailableError) as raised:
        await sink.lookup("contact", ["1"])
    assert raised.value.retry_after_seconds == 10


async def test_a_vendor_that_hangs_is_given_up_on(
    simulator: Simulator, recorder: Recorder, sink: HubSpotSink
) -> None:
    hasty = HubSpotSink(_config(simulator, timeout_seconds=0.2), recorder)
    await hasty.open()
    simulator.fault(UPSERT, hang_seconds=30)
    (outcome,) = await hasty.deliver([changed(sink, person(1), KnownEntities())])
    assert isinstance(outcome, Deferred)
    assert outcome.unknown
    simulator.control.delete("/faults").raise_for_status()


# --- meetings


async def test_a_booking_becomes_a_meeting_with_its_people(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities([attendance(1, 1, payment_status="succeeded"), attendance(1, 2)])
    first, second = await write(sink, view, person(1), person(2))
    recorder.requests.clear()
    (snapshot,) = await write(sink, view, booking(1))
    assert recorder.calls() == ["meetings/batch/create"]
    (meeting,) = simulator.objects("meetings")
    assert associated(meeting) == {first.external_id, second.external_id}
    assert {
        "external_id": "Cal_1",
        "calendar_event_uid": "b1@calendar.live",
        "hs_meeting_title": "Product trial",
        "hs_meeting_outcome": "SCHEDULED",
        "hs_meeting_location": "zoom",
        "event_timezone": "America/New_York",
        "event_wall_start": "2026-11-27T10:00",
        "payment_status": "succeeded",
    }.items() <= meeting["properties"].items()
    assert snapshot.fields["hs_timestamp"] == to_iso(START)
    assert snapshot.statements["schedule"] == {
        "start_at": START,
        "end_at": START + 1_800_000_000,
        "timezone": "America/New_York",
        "wall_start": "2026-11-27T10:00",
    }


async def test_who_cancels_leaves_the_meeting_and_whom_people_added_stays(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1), attendance(1, 2)])
    stays, leaves, joins = await write(sink, view, person(1), person(2), person(3))
    (meeting,) = await write(sink, view, booking(1))
    guest = simulator.make("contacts", email="guest@example.com")
    _associate(simulator, meeting.external_id, guest)
    view.entities = [attendance(1, 1), attendance(1, 2, status="cancelled"), attendance(1, 3)]
    await write(sink, view, booking(1, title="Moved"))
    (found,) = simulator.objects("meetings")
    assert found["properties"]["hs_meeting_title"] == "Moved"
    assert associated(found) == {stays.external_id, joins.external_id, guest}
    assert leaves.external_id not in associated(found)


def _associate(simulator: Simulator, meeting: str, contact: str) -> None:
    path = f"meetings/{meeting}/associations/default/contacts/{contact}"
    httpx.put(
        f"{simulator.address}/crm/objects/2026-09/{path}",
        headers={"Authorization": "Bearer pat-sandbox"},
    ).raise_for_status()


async def test_a_cancelled_booking_keeps_its_people(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1)])
    (contact,) = await write(sink, view, person(1))
    await write(sink, view, booking(1))
    view.entities = [person(1)]
    await write(sink, view, booking(1, status="cancelled"))
    (meeting,) = simulator.objects("meetings")
    assert meeting["properties"]["hs_meeting_outcome"] == "CANCELED"
    assert associated(meeting) == {contact.external_id}


async def test_a_change_of_people_alone_is_noticed_and_needs_no_field(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities([attendance(1, 1)])
    contacts = await write(sink, view, person(1), person(2))
    await write(sink, view, booking(1))
    view.entities.append(attendance(1, 2))
    recorder.requests.clear()
    (outcome,) = await sink.deliver([replace(changed(sink, booking(1), view), fields={})])
    assert applied(outcome).fields["hs_meeting_title"] == "Product trial"
    assert "meetings/batch/update" not in recorder.calls()
    (meeting,) = simulator.objects("meetings")
    assert associated(meeting) == {contact.external_id for contact in contacts}


async def test_a_batch_of_meetings_takes_a_few_calls(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    numbers = range(100)
    view = KnownEntities([attendance(number, 1) for number in numbers])
    (jo,) = await write(sink, view, person(1))
    await write(sink, view, person(2))
    recorder.requests.clear()
    await write(sink, view, *(booking(number) for number in numbers))
    assert recorder.calls() == ["meetings/batch/create"]
    recorder.requests.clear()
    await write(sink, view, *(booking(number, title="Moved") for number in numbers))
    assert recorder.calls() == ["meetings/batch/update", "meetings/contacts/batch/read"]
    view.entities = [attendance(number, 2) for number in numbers]
    recorder.requests.clear()
    await write(sink, view, *(booking(number, title="Swapped") for number in numbers))
    assert recorder.calls() == [
        "meetings/batch/update",
        "meetings/contacts/batch/read",
        "contacts/batch/read",
        "meetings/contacts/batch/create",
        "meetings/contacts/batch/archive",
    ]
    assert all(jo.external_id not in associated(m) for m in simulator.objects("meetings"))


@pytest.mark.parametrize(
    "fault",
    [
        {"applied_then_dropped": True},
        {"malformed": True},
        {"html": True, "applied": True},
        {"status": 502, "applied": True},
        {"status": 502},
        {"html": True},
    ],
    ids=lambda fault: "-".join(fault),
)
async def test_a_lost_answer_to_a_new_meeting_ends_in_exactly_one_meeting(
    sink: HubSpotSink, simulator: Simulator, fault: dict[str, Any]
) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    simulator.fault(CREATE, **fault)
    first = changed(sink, booking(1), view)
    (lost,) = await sink.deliver([first])
    assert isinstance(lost, Deferred)
    assert (lost.code, lost.unknown) == (Code.OUTCOME_UNKNOWN, True)
    _settle()
    (outcome,) = await sink.deliver([replace(first, outcome_unknown=True)])
    (meeting,) = simulator.objects("meetings")
    assert applied(outcome).external_id == meeting["id"]
    assert len(associated(meeting)) == 1


def _settle() -> None:
    time.sleep(SEARCH_LAG_SECONDS + 0.1)  # the runner's part: search offers nothing to wait for


async def test_when_people_of_an_update_cannot_be_set_the_outcome_is_unknown(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    (made,) = await write(sink, view, booking(1))
    simulator.fault("/crm/associations", status=503)
    moved = changed(sink, booking(1, title="Moved"), view)
    (outcome,) = await sink.deliver([moved])
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.unknown) == (Code.SINK_UNAVAILABLE, True)
    (again,) = await sink.deliver([replace(moved, outcome_unknown=True)])
    assert applied(again).external_id == made.external_id


async def test_a_meeting_that_names_a_deleted_contact_waits(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1), attendance(2, 2)])
    gone, there = await write(sink, view, person(1), person(2))
    (known,) = await write(sink, view, booking(2))
    simulator.archive("contacts", gone.external_id)
    view.entities.append(attendance(2, 1))
    changes = [changed(sink, of, view) for of in (booking(1), booking(2, title="Moved"))]
    for outcome in await sink.deliver(changes):
        assert isinstance(outcome, Deferred)
        assert outcome.code is Code.ENTITY_NOT_FOUND
    (meeting,) = simulator.objects("meetings")
    assert meeting["id"] == known.external_id
    assert associated(meeting) == {there.external_id}


async def test_a_meeting_is_looked_up_in_our_form(sink: HubSpotSink) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    of = booking(1)
    (made,) = await write(sink, view, of)
    found = (await sink.lookup("booking", [made.external_id]))[made.external_id]
    wanted = sink.project(of, view)
    assert isinstance(wanted, Projection)
    assert found is not None
    assert wanted.fields.items() <= found.fields.items()
    assert from_microseconds(found.modified_at).year >= 2026


# --- the specification


async def test_every_kind_of_call_is_as_the_specification_says(
    bare: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    if specification("contacts") is None:
        pytest.skip("CALSTREAM_VENDOR_SPECS names no folder with HubSpot's specifications")
    await bare.setup()
    await bare.check()
    view = KnownEntities([attendance(1, 1)])
    await write(bare, view, person(1), person(2))
    await write(bare, view, booking(1))
    await write(bare, view, person(1, company=None))
    view.entities = [attendance(1, 2)]
    await write(bare, view, booking(1, title="Moved"))
    _settle()
    unsure = changed(bare, booking(1), view, external_id=None, outcome_unknown=True)
    await bare.deliver([unsure])
    assert len(simulator.objects("meetings")) == 1
    for request in recorder.requests:
        check_request(request)
    assert {f"{r.method} {path}" for r, path in zip(recorder.requests, recorder.calls(), strict=True)} == {
        "GET contacts",
        "GET contacts/groups",
        "POST contacts",
        "POST contacts/groups",
        "POST contacts/batch/read",
        "POST contacts/batch/update",
        "POST contacts/batch/upsert",
        "GET meetings",
        "GET meetings/groups",
        "POST meetings",
        "POST meetings/groups",
        "POST meetings/batch/create",
        "POST meetings/batch/update",
        "POST meetings/search",
        "POST meetings/contacts/batch/archive",
        "POST meetings/contacts/batch/create",
        "POST meetings/contacts/batch/read",
    }  # fmt: skip


def test_the_check_against_the_specification_refuses_a_wrong_request() -> None:
    if specification("contacts") is None:
        pytest.skip("CALSTREAM_VENDOR_SPECS names no folder with HubSpot's specifications")
    path = "https://api.hubapi.com/crm/objects/2026-09/contacts/batch/read"
    body = {"inputs": [{"id": "1"}], "properties": [], "propertiesWithHistory": []}
    check_request(httpx.Request("POST", path, json=body))
    for wrong in ({"inputs": [{"id": 1}]}, {"properties": "email"}, {"ids": ["1"]}):
        with pytest.raises(Exception, match=r".") as raised:
            check_request(httpx.Request("POST", path, json={**body, **wrong}))
        assert type(raised.value).__module__.startswith("openapi_core")
