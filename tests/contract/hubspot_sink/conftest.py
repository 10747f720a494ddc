"""A HubSpot sink on the simulator, what it is given, and HubSpot's specification as judge."""

import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Value
from calstream_sinks.api import Applied, Change, Outcome, Projection, Snapshot
from calstream_sinks.hubspot import HubSpotConfig, HubSpotSink

START = 1_795_791_600_000_000  # 2026-11-27T15:00:00Z
HALF_HOUR = 1_800_000_000
_TOKEN = {"Authorization": "Bearer pat-sandbox"}


class Simulator:
    """HubSpot's account, as a person or the simulator's control sees it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.Client(base_url=address, headers=_TOKEN, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def dump(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get("/_control/dump").raise_for_status().json()
        return found

    def objects(self, object_type: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.dump()[object_type]
        return found

    def fault(self, path_prefix: str, **fault: Any) -> None:
        self.control("faults", {"path_prefix": path_prefix, **fault})

    def control(self, name: str, body: Any = None) -> None:
        self._client.post(f"/_control/{name}", json=body).raise_for_status()

    def clear_faults(self) -> None:
        self._client.delete("/_control/faults").raise_for_status()

    def make(self, object_type: str, **properties: str) -> str:
        body = {"properties": properties, "associations": []}
        made = self._client.post(f"/crm/objects/2026-09/{object_type}", json=body)
        return str(made.raise_for_status().json()["id"])

    def make_property(self, object_type: str, **definition: str) -> None:
        path = f"/crm/properties/2026-09/{object_type}"
        self._client.post(path, json=definition).raise_for_status()

    def archive(self, object_type: str, id_: str) -> None:
        self._client.delete(f"/crm/objects/2026-09/{object_type}/{id_}").raise_for_status()

    def associate(self, meeting: str, contact: str) -> None:
        path = f"meetings/{meeting}/associations/default/contacts/{contact}"
        self._client.put(f"/crm/objects/2026-09/{path}").raise_for_status()


@dataclass
class Recorder:
    """Lends the sink HTTP clients, and keeps its requests."""

    sink_id: str = "hubspot"
    requests: list[httpx.Request] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def http(self, base_url: str) -> httpx.AsyncClient:
        async def keep(request: httpx.Request) -> None:
            self.requests.append(request)

        client = httpx.AsyncClient(
            base_url=base_url, event_hooks={"request": [keep]}, trust_env=False
        )
        self.clients.append(client)
        return client

    def calls(self) -> list[str]:
        return [request.url.path.split("2026-09/")[1] for request in self.requests]


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
        "end_at": START + HALF_HOUR,
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
    return {str(link) for link in meeting["associations"].get("contacts", [])}


@cache
def _specification(path: Path) -> OpenAPI:
    return OpenAPI.from_dict(_tightened(json.loads(path.read_text())))


def _tightened(part: Any) -> Any:
    """A specification without its null examples, and without room for keys that it lacks."""
    if isinstance(part, list):
        return [_tightened(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {
        "application/json" if key == "*/*" else key: _tightened(value)
        for key, value in part.items()
        if key != "security" and not (key == "example" and value is None)  # it knows no OAuth
    }
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def check_request(specs: Path, request: httpx.Request) -> None:
    """Raises what the specification has against a request."""
    path = request.url.path.removeprefix("/hubspot")
    _, _, area, _, object_type, *_ = path.split("/")
    name = {"associations": "assoc", "objects": object_type}.get(area, area)
    _specification(specs / "hubspot" / f"{name}-2026-09.json").validate_request(
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


@pytest.fixture
def simulator(hubspot_url: str) -> Iterator[Simulator]:
    simulator = Simulator(hubspot_url)
    yield simulator
    simulator.close()


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    yield recorder
    for client in recorder.clients:
        await client.aclose()
    specs = os.environ.get("CALSTREAM_VENDOR_SPECS")
    if specs:  # without them test_hubspot_sink_spec.py says that they are missing
        for request in recorder.requests:
            check_request(Path(specs), request)


@pytest.fixture
async def bare(
    simulator: Simulator, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> HubSpotSink:
    """A sink for an account that was not set up yet."""
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-sandbox")
    sink = HubSpotSink(config_for(simulator), recorder)
    await sink.open()
    return sink


@pytest.fixture
async def sink(bare: HubSpotSink, recorder: Recorder) -> HubSpotSink:
    await bare.setup()
    recorder.requests.clear()
    return bare


def config_for(simulator: Simulator, **more: Any) -> HubSpotConfig:
    given = {"token": {"env": "HUBSPOT_TOKEN"}, "base_url": simulator.address, **more}
    return HubSpotConfig.model_validate(given)
