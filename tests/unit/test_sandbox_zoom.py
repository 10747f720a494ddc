"""Limits, caps, tokens and strictness of the Zoom simulator, on a clock of our own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from calstream_sandbox.zoom.account import Account
from calstream_sandbox.zoom.app import build_zoom

MEETINGS = "/v2/users/me/meetings"
PERSON = {"email": "jo@example.com", "first_name": "Jo"}


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_795_792_800.0  # 2026-11-27T15:20:00Z

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def zoom(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=build_zoom(Account(now_seconds=clock))))
    async with httpx.AsyncClient(transport=transport, base_url="http://zoom") as client:
        await renew(client)
        yield client


async def renew(client: httpx.AsyncClient) -> None:
    reply = await client.post(
        "/oauth/token",
        params={"grant_type": "account_credentials", "account_id": "acc-sandbox"},
        auth=("client-sandbox", "secret-sandbox"),
    )
    assert reply.json()["expires_in"] == 3600
    client.headers["authorization"] = f"Bearer {reply.json()['access_token']}"


async def limit(client: httpx.AsyncClient, **settings: Any) -> None:
    reply = await client.post("/_control/settings", json=settings)
    assert reply.status_code == 200, reply.text


async def test_each_category_has_its_limit_by_the_second_in_the_headers(
    zoom: httpx.AsyncClient, clock: Clock
) -> None:
    await limit(zoom, light_per_second=2, medium_per_second=1)
    replies = [await zoom.get("/v2/users/me") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    told = [
        (reply.headers["x-ratelimit-category"], reply.headers["x-ratelimit-remaining"])
        for reply in replies
    ]
    assert told == [("Light", "1"), ("Light", "0"), ("Light", "0")]
    refused = replies[2]
    assert refused.headers["x-ratelimit-type"] == "QPS"
    assert refused.headers["x-ratelimit-reset"] == str(int(clock.seconds) + 1)
    assert "retry-after" not in refused.headers
    assert refused.json()["code"] == 429
    assert (await zoom.get(MEETINGS)).headers["x-ratelimit-category"] == "Medium"
    clock.seconds += 1
    assert (await zoom.get("/v2/users/me")).status_code == 200


async def test_a_host_s_day_ends_at_midnight_as_retry_after_says(
    zoom: httpx.AsyncClient, clock: Clock
) -> None:
    await limit(zoom, writes_per_host=2)
    made = await zoom.post(MEETINGS, json={})
    await zoom.patch(f"/v2/meetings/{made.json()['id']}", json={"topic": "x"})
    refused = await zoom.post(MEETINGS, json={})
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-type"] == "Daily-limit"
    assert refused.headers["retry-after"] == "2026-11-28T00:00:00Z"
    other = await zoom.post("/v2/users/lee@acme.example/meetings", json={})
    assert other.status_code == 201
    assert (await zoom.get(f"/v2/meetings/{made.json()['id']}")).status_code == 200
    clock.seconds += 8 * 3600 + 2400
    await renew(zoom)
    assert (await zoom.post(MEETINGS, json={})).status_code == 201


async def test_a_registrant_has_caps_by_the_day(zoom: httpx.AsyncClient) -> None:
    body = {"settings": {"approval_type": 0}}
    one = f"/v2/meetings/{(await zoom.post(MEETINGS, json=body)).json()['id']}/registrants"
    statuses = [(await zoom.post(one, json=PERSON)).status_code for _ in range(4)]
    assert statuses == [201, 201, 201, 429]
    await limit(zoom, status_changes=1)
    change = {"action": "cancel", "registrants": [{"email": "jo@example.com"}]}
    statuses = [(await zoom.put(f"{one}/status", json=change)).status_code for _ in range(2)]
    assert statuses == [204, 429]


async def test_heavy_calls_have_a_day_of_their_own(zoom: httpx.AsyncClient) -> None:
    await limit(zoom, heavy_per_day=1)
    made = await zoom.post(MEETINGS, json={"settings": {"approval_type": 0}})
    many = f"/v2/meetings/{made.json()['id']}/batch_registrants"
    people = {"registrants": [{"email": f"p{n}@example.com", "first_name": "P"} for n in range(30)]}
    reply = await zoom.post(many, json=people)
    assert (reply.status_code, len(reply.json()["registrants"])) == (201, 30)
    assert (await zoom.post(many, json=people)).headers["retry-after"]


async def test_a_token_lives_an_hour(zoom: httpx.AsyncClient, clock: Clock) -> None:
    clock.seconds += 3599
    assert (await zoom.get("/v2/users/me")).status_code == 200
    clock.seconds += 1
    expired = await zoom.get("/v2/users/me")
    assert (expired.status_code, expired.json()["code"]) == (401, 124)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"topic": "x" * 201}, "topic"),
        ({"agenda": "x" * 2001}, "agenda"),
        ({"password": "x" * 11}, "password"),
        ({"duration": 0}, "duration"),
        ({"duration": 1441}, "duration"),
        ({"duration": "30"}, "duration"),
        ({"type": 4}, "type"),
        ({"type": 8}, "type"),
        ({"start_time": "tomorrow"}, "start_time"),
        ({"start_time": "2026-11-27T15:00:00+01:00"}, "start_time"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"settings": {"approval_type": 3}}, "settings.approval_type"),
        ({"settings": {"waiting_room": "yes"}}, "settings.waiting_room"),
        ({"recurrence": {"type": 1}}, "recurrence"),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    zoom: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    reply = await zoom.post(MEETINGS, json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, 300)
    assert [each["field"] for each in reply.json()["errors"]] == [field]
    assert (await zoom.get(MEETINGS)).json()["total_records"] == 0


async def test_fields_that_zoom_does_not_know_are_ignored(zoom: httpx.AsyncClient) -> None:
    reply = await zoom.post(MEETINGS, json={"nonsense": 1, "settings": {"nonsense": 1}})
    assert reply.status_code == 201
    assert "nonsense" not in reply.text


async def test_a_wall_time_is_read_in_its_zone(zoom: httpx.AsyncClient) -> None:
    body = {"start_time": "2026-11-27T10:00:00", "timezone": "America/New_York"}
    made = (await zoom.post(MEETINGS, json=body)).json()
    assert made["start_time"] == "2026-11-27T15:00:00Z"
    assert made["timezone"] == "America/New_York"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v2/users/nobody/meetings", {}, 404, 1001),
        ("GET", "/v2/meetings/1", None, 404, 3001),
        ("PATCH", "/v2/meetings/1", {}, 404, 3001),
        ("GET", "/v2/meetings/x", None, 400, 300),
        ("POST", "/v2/webinars/1/registrants", PERSON, 404, 3001),
        ("GET", f"{MEETINGS}?page_size=301", None, 400, 300),
        ("GET", f"{MEETINGS}?type=lost", None, 400, 300),
        ("GET", f"{MEETINGS}?next_page_token=x", None, 400, 300),
        ("GET", "/v2/nonsense", None, 404, 2300),
    ],
)
async def test_what_is_not_there_is_told_with_zooms_code(
    zoom: httpx.AsyncClient, method: str, path: str, body: object, *, status: int, code: int
) -> None:
    reply = await zoom.request(method, path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("approval", "person", "status", "code"),
    [
        (2, PERSON, 400, 3000),
        (0, {"email": "jo@example.com"}, 400, 300),
        (0, PERSON | {"email": "nobody"}, 400, 300),
        (0, PERSON | {"first_name": "x" * 65}, 400, 300),
        (0, PERSON | {"email": "dana@acme.example"}, 400, 3027),
    ],
)
async def test_who_can_not_register_is_told_why(
    zoom: httpx.AsyncClient, approval: int, person: dict[str, str], *, status: int, code: int
) -> None:
    body = {"settings": {"approval_type": approval}}
    webinar = (await zoom.post("/v2/users/me/webinars", json=body)).json()
    reply = await zoom.post(f"/v2/webinars/{webinar['id']}/registrants", json=person)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


async def test_a_webinar_is_no_meeting(zoom: httpx.AsyncClient) -> None:
    webinar = (await zoom.post("/v2/users/me/webinars", json={})).json()
    reply = await zoom.get(f"/v2/meetings/{webinar['id']}")
    assert (reply.status_code, reply.json()["code"]) == (400, 3000)


async def test_pages_follow_each_other(zoom: httpx.AsyncClient) -> None:
    made = [(await zoom.post(MEETINGS, json={})).json()["id"] for _ in range(5)]
    found, token = [], ""
    for _ in range(3):
        page = (await zoom.get(MEETINGS, params={"page_size": 2, "next_page_token": token})).json()
        found += [each["id"] for each in page["meetings"]]
        token = page["next_page_token"]
    assert (found, token) == (made, "")


async def test_a_fault_shows_after_the_write(zoom: httpx.AsyncClient) -> None:
    fault = {"status": 429, "applied": True, "retry_after": "2026-11-28T00:00:00Z"}
    await zoom.post("/_control/faults", json=fault)
    reply = await zoom.post(MEETINGS, json={})
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "2026-11-28T00:00:00Z")
    assert (await zoom.get(MEETINGS)).json()["total_records"] == 1
