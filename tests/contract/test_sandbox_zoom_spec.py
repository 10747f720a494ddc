"""Zoom's own specification judges the simulator, for requests and replies alike."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

HOST = "https://api.zoom.us"
PLAYED = ("/users/{userId}/", "/meetings/{meetingId}", "/webinars/{webinarId}")
MEETING: dict[str, Any] = {
    "topic": "Product trial",
    "type": 2,
    "start_time": "2026-11-27T15:00:00Z",
    "duration": 30,
    "timezone": "America/New_York",
    "agenda": "booking-1",
    "tracking_fields": [{"field": "booking", "value": "b1"}],
    "settings": {"approval_type": 0, "waiting_room": True, "registration_type": 1},
}
WEBINAR = MEETING | {"type": 5}
PERSON = {"email": "jo@example.com", "first_name": "Jo", "last_name": "Park"}


@dataclass
class Judge:
    """A client whose every request and reply is held against the specification."""

    url: str
    spec: OpenAPI
    client: httpx.Client

    def call(self, method: str, path: str, status: int, **parts: Any) -> Any:
        """Sends what the specification allows; the reply must have this status and fit it too."""
        sent = self.client.build_request(method, f"{self.url}/v2{path}", **parts)
        request = mock_request(sent)
        self.spec.validate_request(request)
        reply = self.client.send(sent)
        assert reply.status_code == status, reply.text
        content_type = reply.headers.get("content-type", "application/json")
        answer = MockResponse(reply.content, status, content_type=content_type)
        if status < 300:
            self.spec.validate_response(request, answer)
        return reply.json() if reply.content else None

    def forbids(self, method: str, path: str, **parts: Any) -> bool:
        """Whether the specification refuses a request; if it does, the simulator must too."""
        sent = self.client.build_request(method, f"{self.url}/v2{path}", **parts)
        try:
            self.spec.validate_request(mock_request(sent))
        except OpenAPIError:
            reply = self.client.send(sent)
            assert reply.status_code == 400, reply.text
            assert reply.json()["code"] == 300
            return True
        return False


def mock_request(sent: httpx.Request) -> MockRequest:
    parts = urlsplit(str(sent.url))
    return MockRequest(
        HOST,
        sent.method.lower(),
        parts.path.removeprefix("/zoom"),
        args=dict(sent.url.params),
        data=sent.content or None,
        content_type=sent.headers.get("content-type", ""),
    )


@pytest.fixture(scope="module")
def spec(vendor_specs: Path) -> OpenAPI:
    whole = json.loads((vendor_specs / "zoom" / "meetings.json").read_text("utf-8"))
    whole["paths"] = {
        path: operations
        for path, operations in whole["paths"].items()
        if path.startswith(PLAYED) and "recordings" not in path
    }
    for operations in whole["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                operation.pop("security", None)  # openapi-core knows no OAuth scheme
    return OpenAPI.from_dict(whole)


@pytest.fixture
def judge(zoom_url: str, spec: OpenAPI) -> Iterator[Judge]:
    token = httpx.post(
        f"{zoom_url}/oauth/token",
        data={"grant_type": "account_credentials", "account_id": "acc-sandbox"},
        auth=("client-sandbox", "secret-sandbox"),
    ).json()["access_token"]
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as client:
        yield Judge(zoom_url, spec, client)


@pytest.mark.parametrize(("kind", "body"), [("meetings", MEETING), ("webinars", WEBINAR)])
def test_the_life_of_a_meeting_and_of_a_webinar_is_as_specified(
    judge: Judge, kind: str, body: dict[str, Any]
) -> None:
    made = judge.call("POST", f"/users/me/{kind}", 201, json=body)
    one = f"/{kind}/{made['id']}"
    assert judge.call("GET", one, 200)["topic"] == "Product trial"
    judge.call("GET", f"/users/me/{kind}", 200, params={"page_size": 1})
    judge.call("PATCH", one, 204, json={"topic": "Other", "settings": {"waiting_room": False}})
    added = judge.call("POST", f"{one}/registrants", 201, json=PERSON)
    judge.call("GET", f"{one}/registrants", 200, params={"status": "approved"})
    change = {"action": "cancel", "registrants": [{"id": added["registrant_id"]}]}
    judge.call("PUT", f"{one}/registrants/status", 204, json=change)
    judge.call("POST", f"{one}/batch_registrants", 201, json={"registrants": [PERSON]})
    if kind == "meetings":
        judge.call("PUT", f"{one}/status", 204, json={"action": "end"})
    judge.call("DELETE", one, 204)
    judge.call("GET", one, 404)


@pytest.mark.parametrize(
    ("method", "path", "parts"),
    [
        ("POST", "/users/me/meetings", {"json": MEETING | {"topic": "x" * 201}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"type": 4}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"duration": "30"}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"duration": 0}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"duration": 1441}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"agenda": "x" * 2001}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"password": "x" * 11}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"settings": {"approval_type": 9}}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"settings": {"audio": "tin"}}}),
        ("POST", "/users/me/meetings", {"json": MEETING | {"settings": {"host_video": 1}}}),
        ("POST", "/users/me/webinars", {"json": WEBINAR | {"type": 2}}),
        ("POST", "/users/me/webinars", {"json": WEBINAR | {"duration": "x"}}),
        ("GET", "/users/me/meetings", {"params": {"type": "lost"}}),
        ("GET", "/users/me/meetings", {"params": {"page_size": "301"}}),
    ],
)
def test_what_the_specification_refuses_the_simulator_refuses(
    judge: Judge, method: str, path: str, parts: dict[str, Any]
) -> None:
    assert judge.forbids(method, path, **parts)


@pytest.mark.parametrize("kind", ["meetings", "webinars"])
@pytest.mark.parametrize(
    "person",
    [
        {"email": "jo@example.com"},
        {"first_name": "Jo"},
        PERSON | {"first_name": "x" * 65},
        PERSON | {"email": f"{'x' * 120}@example.com"},
        PERSON | {"first_name": 7},
    ],
)
def test_a_registrant_that_the_specification_refuses_is_refused(
    judge: Judge, kind: str, person: dict[str, Any]
) -> None:
    body = MEETING if kind == "meetings" else WEBINAR
    made = judge.call("POST", f"/users/me/{kind}", 201, json=body)
    assert judge.forbids("POST", f"/{kind}/{made['id']}/registrants", json=person)
    change = {"action": "promote"}
    assert judge.forbids("PUT", f"/{kind}/{made['id']}/registrants/status", json=change)
