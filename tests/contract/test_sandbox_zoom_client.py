"""The client zoomus drives the simulator; its events arrive signed after the address was shown."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier
from tests.contract.conftest import Receiver
from zoomus import ZoomClient

from calstream_ingest.sources import Secret
from calstream_ingest.sources.zoom import Zoom

SECRET = "a secret token"


@pytest.fixture
def client(zoom_url: str) -> Any:
    return ZoomClient(
        "client-sandbox",
        "secret-sandbox",
        "acc-sandbox",
        base_uri=f"{zoom_url}/v2",
        oauth_uri=f"{zoom_url}/oauth/token",
    )


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)  # webhooks arrive in another thread's time


def connect(zoom_url: str, receiver: Receiver) -> httpx.Response:
    def answer(body: bytes) -> bytes:
        found = Zoom().answer_challenge(body, Secret("s", SECRET.encode()))
        return found if isinstance(found, bytes) else b""

    receiver.answer_body = answer
    endpoint = {"url": receiver.url, "secret": SECRET}
    return httpx.post(f"{zoom_url}/_control/endpoint", json=endpoint)


def test_a_meeting_is_made_read_changed_and_deleted(client: Any) -> None:
    made = client.meeting.create(
        user_id="dana@acme.example",
        topic="Product trial",
        type=2,
        start_time=datetime(2026, 11, 27, 15, tzinfo=UTC),
        duration=30,
        timezone="America/New_York",
        agenda="booking-1",
        tracking_fields=[{"field": "booking", "value": "b1"}],
    )
    assert made.status_code == 201
    meeting = made.json()
    assert (meeting["start_time"], meeting["host_email"]) == (
        "2026-11-27T15:00:00Z",
        "dana@acme.example",
    )
    assert meeting["join_url"].startswith(f"https://us02web.zoom.us/j/{meeting['id']}")
    changed = client.meeting.update(
        id=meeting["id"], duration=45, start_time=datetime(2026, 11, 28, 15, tzinfo=UTC)
    )
    assert changed.status_code == 204
    read = client.meeting.get(id=meeting["id"]).json()
    assert (read["duration"], read["start_time"]) == (45, "2026-11-28T15:00:00Z")
    assert read["join_url"] == meeting["join_url"]
    listed = client.meeting.list(user_id="me", type="upcoming", page_size=300).json()
    assert [each["agenda"] for each in listed["meetings"]] == ["booking-1"]
    assert client.meeting.delete(id=meeting["id"]).status_code == 204
    gone = client.meeting.delete(id=meeting["id"])
    assert (gone.status_code, gone.json()["code"]) == (404, 3001)


def test_people_register_for_a_webinar_once(client: Any) -> None:
    webinar = client.webinar.create(
        user_id="me",
        topic="Launch",
        type=5,
        start_time="2026-11-27T15:00:00Z",
        settings={"approval_type": 0},
    ).json()
    assert webinar["registration_url"]
    person = {"email": "jo@example.com", "first_name": "Jo", "last_name": "Park"}
    first = client.webinar.register(id=webinar["id"], **person)
    assert first.status_code == 201
    again = client.webinar.register(id=webinar["id"], **(person | {"email": "JO@example.com"}))
    assert again.json()["registrant_id"] == first.json()["registrant_id"]
    assert again.json()["join_url"] == first.json()["join_url"]
    other = client.webinar.register(
        id=webinar["id"], email="li@example.com", first_name="Li", last_name="Wu"
    )
    assert other.json()["join_url"] != first.json()["join_url"]
    found = client.webinar.get_registrants(id=webinar["id"]).json()["registrants"]
    assert [each["email"] for each in found] == ["jo@example.com", "li@example.com"]


def test_a_registration_waits_for_the_host_where_the_meeting_says_so(client: Any) -> None:
    meeting = client.meeting.create(user_id="me", settings={"approval_type": 1}).json()
    asked = client.meeting.add_registrant(
        id=meeting["id"], email="jo@example.com", first_name="Jo"
    ).json()
    assert "join_url" not in asked
    named = [{"id": asked["registrant_id"], "email": "jo@example.com"}]
    for action, status in (("approve", "approved"), ("deny", "denied")):
        told = client.meeting.update_registrant_status(
            id=meeting["id"], action=action, registrants=named
        )
        assert told.status_code == 204
        found = client.meeting.list_registrants(id=meeting["id"], status=status).json()
        assert [each["email"] for each in found["registrants"]] == ["jo@example.com"]


def test_an_address_that_does_not_answer_zooms_question_gets_no_events(
    client: Any, zoom_url: str, receiver: Receiver
) -> None:
    endpoint = {"url": receiver.url, "secret": SECRET}
    refused = httpx.post(f"{zoom_url}/_control/endpoint", json=endpoint)
    assert (refused.status_code, refused.json()["validated"]) == (400, False)
    client.meeting.create(user_id="me")
    dump = httpx.get(f"{zoom_url}/_control/dump").json()
    assert dump["deliveries"] == []
    assert len(receiver.got) == 1


def test_events_arrive_signed_and_again_after_a_failure(
    client: Any, zoom_url: str, receiver: Receiver
) -> None:
    assert connect(zoom_url, receiver).json() == {"validated": True, "url": receiver.url}
    receiver.answers = [500]
    meeting = client.meeting.create(user_id="me", settings={"approval_type": 0}).json()
    until(lambda: len(receiver.got) == 3)
    assert receiver.got[1][1] == receiver.got[2][1]
    client.meeting.add_registrant(id=meeting["id"], email="jo@example.com", first_name="Jo")
    client.meeting.update(id=meeting["id"], topic="Other")
    client.meeting.delete(id=meeting["id"])
    until(lambda: len(receiver.got) == 7)
    events = [json.loads(body) for _, body in receiver.got[2:]]
    assert sorted(event["event"] for event in events) == [
        "meeting.created",
        "meeting.deleted",
        "meeting.registration_approved",
        "meeting.registration_created",
        "meeting.updated",
    ]
    judge = SignatureVerifier(SECRET)  # the scheme is the same
    for headers, body in receiver.got:
        at = headers["x-zm-request-timestamp"]
        assert judge.is_valid(body, at, headers["x-zm-signature"])
    assert {event["payload"]["object"]["id"] for event in events} == {meeting["id"]}


def test_wrong_credentials_get_no_token(zoom_url: str) -> None:
    for auth, form, error in (
        (("client-sandbox", "wrong"), {}, "invalid_client"),
        (("client-sandbox", "secret-sandbox"), {"grant_type": "x"}, "unsupported_grant_type"),
        (
            ("client-sandbox", "secret-sandbox"),
            {"grant_type": "account_credentials", "account_id": "other"},
            "invalid_request",
        ),
    ):
        reply = httpx.post(f"{zoom_url}/oauth/token", auth=auth, data=form)
        assert reply.status_code in {400, 401}
        assert reply.json()["error"] == error
    unknown = httpx.get(f"{zoom_url}/v2/users/me", headers={"Authorization": "Bearer x"})
    assert (unknown.status_code, unknown.json()["code"]) == (401, 124)
