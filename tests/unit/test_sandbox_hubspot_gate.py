"""Limits, index lag, faults and the journal of the HubSpot simulator, on a clock of our own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from calstream_sandbox.hubspot.app import build_hubspot
from calstream_sandbox.hubspot.portal import Portal, PortalSettings

CONTACTS = "/crm/objects/2026-09/contacts"
OWNERS = "/crm/owners/2026-09"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_795_792_800.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def hubspot(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    settings = PortalSettings(requests_per_10_seconds=3, searches_per_second=2)
    portal = Portal(token="t", settings=settings, now_seconds=clock)
    transport = httpx.ASGITransport(Starlette(routes=build_hubspot(portal)))
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://hubspot", headers=headers
    ) as client:
        yield client


def search(**parts: Any) -> dict[str, Any]:
    empty = {"filterGroups": [], "properties": ["email"], "limit": 10, "after": "", "sorts": []}
    return empty | parts


def condition(name: str, operator: str, **operands: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **operands}


async def create(hubspot: httpx.AsyncClient, **properties: str) -> str:
    reply = await hubspot.post(CONTACTS, json={"properties": properties, "associations": []})
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def test_the_window_rolls_and_its_state_is_in_the_headers(
    hubspot: httpx.AsyncClient, clock: Clock
) -> None:
    left = []
    for _ in range(3):
        reply = await hubspot.get(OWNERS)
        left.append(reply.headers["x-hubspot-ratelimit-remaining"])
        clock.seconds += 3
    assert left == ["2", "1", "0"]
    refused = await hubspot.get(OWNERS)
    assert refused.status_code == 429
    body = refused.json()
    assert (body["errorType"], body["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
    clock.seconds += 1
    assert (await hubspot.get(OWNERS)).status_code == 200
    assert (await hubspot.get(OWNERS)).status_code == 429


async def test_search_has_a_limit_of_its_own_and_no_headers(
    hubspot: httpx.AsyncClient, clock: Clock
) -> None:
    replies = [await hubspot.post(f"{CONTACTS}/search", json=search()) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].json()["policyName"] == "SECONDLY"
    assert not any("ratelimit" in name for reply in replies for name in reply.headers)
    clock.seconds += 1
    assert (await hubspot.post(f"{CONTACTS}/search", json=search())).status_code == 200
    assert (await hubspot.get(OWNERS)).headers["x-hubspot-ratelimit-remaining"] == "2"


async def test_a_spent_day_refuses_everything(hubspot: httpx.AsyncClient, clock: Clock) -> None:
    await hubspot.post("/_control/settings", json={"requests_per_day": 1})
    assert (await hubspot.get(OWNERS)).status_code == 200
    refused = await hubspot.post(f"{CONTACTS}/search", json=search())
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    clock.seconds += 86_400
    assert (await hubspot.get(OWNERS)).status_code == 200


async def test_a_wrong_token_costs_nothing(hubspot: httpx.AsyncClient) -> None:
    refused = await hubspot.get(OWNERS, headers={"Authorization": "Bearer other"})
    assert refused.status_code == 401
    assert refused.json()["category"] == "INVALID_AUTHENTICATION"
    assert (await hubspot.get(OWNERS)).headers["x-hubspot-ratelimit-remaining"] == "2"


async def test_search_sees_each_write_only_after_the_lag(
    hubspot: httpx.AsyncClient, clock: Clock
) -> None:
    async def seen() -> list[tuple[str, str]]:
        reply = await hubspot.post(f"{CONTACTS}/search", json=search(properties=["phone"]))
        clock.seconds += 1
        return [(one["id"], one["properties"]["phone"]) for one in reply.json()["results"]]

    await hubspot.post("/_control/settings", json={"search_lag_seconds": 20})
    made = await create(hubspot, phone="1")
    assert await seen() == []
    clock.seconds += 19
    await hubspot.patch(f"{CONTACTS}/{made}", json={"properties": {"phone": "2"}})
    assert await seen() == [(made, "1")]
    clock.seconds += 19
    await hubspot.delete(f"{CONTACTS}/{made}")
    assert await seen() == [(made, "2")]
    clock.seconds += 19
    assert await seen() == []


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([condition("email", "EQ", value="JO@example.com")], "jo"),
        ([condition("email", "NEQ", value="jo@example.com")], "dana"),
        ([condition("email", "IN", values=["jo@example.com", "dana@example.com"])], "dana jo"),
        ([condition("email", "IN", values=["JO@example.com"])], ""),
        ([condition("email", "NOT_IN", values=["jo@example.com"])], "dana"),
        ([condition("phone", "HAS_PROPERTY")], "dana"),
        ([condition("phone", "NOT_HAS_PROPERTY")], "jo none"),
        ([condition("score", "GT", value="9")], "dana"),
        ([condition("score", "GTE", value="9")], "dana jo"),
        ([condition("score", "LT", value="10")], "jo"),
        ([condition("score", "BETWEEN", value="9", highValue="9.5")], "jo"),
        ([condition("createdate", "LTE", value="1795792800000")], "dana jo none"),
        ([condition("createdate", "LT", value="2026-11-27T15:20:00Z")], ""),
        ([condition("email", "CONTAINS_TOKEN", value="dan*")], "dana"),
        ([condition("email", "CONTAINS_TOKEN", value="dan")], ""),
        ([condition("phone", "HAS_PROPERTY"), condition("score", "EQ", value="9")], ""),
    ],
)
async def test_a_search_finds_what_its_filters_say(
    hubspot: httpx.AsyncClient, conditions: list[dict[str, Any]], found: str
) -> None:
    await hubspot.post(
        "/_control/settings", json={"search_lag_seconds": 0, "requests_per_10_seconds": 100}
    )
    score = {
        "name": "score",
        "label": "Score",
        "type": "number",
        "fieldType": "number",
        "groupName": "contactinformation",
    }
    await hubspot.post("/crm/properties/2026-09/contacts", json=score)
    await create(hubspot, email="jo@example.com", score="9.0")
    await create(hubspot, email="dana@example.com", phone="1", score="10")
    await create(hubspot)
    body = search(filterGroups=[{"filters": conditions}], sorts=["-email"])
    reply = await hubspot.post(f"{CONTACTS}/search", json=body)
    assert reply.status_code == 200, reply.text
    emails = [one["properties"]["email"] or "none" for one in reply.json()["results"]]
    assert " ".join(sorted(email.partition("@")[0] for email in emails)) == found
    assert emails[:-1] == sorted(emails[:-1], reverse=True)


@pytest.mark.parametrize(
    "parts",
    [
        {"limit": 201},
        {"after": "9991"},
        {"after": "x"},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [condition("email", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [condition("email", "HAS_PROPERTY")] * 5}] * 4},
        {"filterGroups": [{"filters": [condition("nonsense", "HAS_PROPERTY")]}]},
        {"filterGroups": [{"filters": [condition("email", "EQ")]}]},
        {"filterGroups": [{"filters": [condition("email", "IN", values=[])]}]},
        {"filterGroups": [{"filters": [condition("hs_object_id", "GT", value="x")]}]},
        {"sorts": ["nonsense"]},
    ],
)
async def test_a_search_past_its_limits_is_refused(
    hubspot: httpx.AsyncClient, parts: dict[str, Any]
) -> None:
    reply = await hubspot.post(f"{CONTACTS}/search", json=search(**parts))
    assert reply.status_code == 400


async def test_search_pages(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post("/_control/settings", json={"search_lag_seconds": 0})
    ids = [await create(hubspot) for _ in range(3)]
    first = (await hubspot.post(f"{CONTACTS}/search", json=search(limit=2))).json()
    assert first["total"] == 3
    after = first["paging"]["next"]["after"]
    second = (await hubspot.post(f"{CONTACTS}/search", json=search(limit=2, after=after))).json()
    assert [one["id"] for one in first["results"] + second["results"]] == ids
    assert "paging" not in second


async def test_faults_hit_matching_requests_as_often_as_asked(hubspot: httpx.AsyncClient) -> None:
    fault = {"path_prefix": "/crm/owners", "method": "GET", "skip": 1, "count": 2, "status": 503}
    assert (await hubspot.post("/_control/faults", json=fault)).status_code == 200
    assert (await hubspot.get(CONTACTS)).status_code == 200
    statuses = [(await hubspot.get(OWNERS)).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert (await hubspot.get("/_control/faults")).json() == {"faults": []}


async def test_a_rate_limit_fault_reads_like_the_real_one(hubspot: httpx.AsyncClient) -> None:
    fault = {"status": 429, "policy_name": "DAILY", "retry_after_seconds": 7}
    await hubspot.post("/_control/faults", json=[fault])
    reply = await hubspot.get(OWNERS)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["policyName"] == "DAILY"


async def test_a_fault_can_show_after_the_write(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post("/_control/faults", json={"status": 502, "applied": True})
    body = {"properties": {"email": "jo@example.com"}, "associations": []}
    assert (await hubspot.post(CONTACTS, json=body)).status_code == 502
    assert (await hubspot.post(CONTACTS, json=body)).status_code == 409


async def test_html_and_half_a_reply_come_with_200(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post("/_control/faults", json=[{"html": True}, {"malformed": True}])
    page = await hubspot.get(OWNERS)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    half = await hubspot.get(OWNERS)
    assert half.status_code == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(half.content)


@pytest.mark.parametrize(
    "fault", [{}, {"status": 503, "html": True}, {"status": 200}, {"nonsense": 1}, {"count": 0}]
)
async def test_a_fault_that_makes_no_sense_is_refused(
    hubspot: httpx.AsyncClient, fault: dict[str, Any]
) -> None:
    assert (await hubspot.post("/_control/faults", json=fault)).status_code == 400


async def test_the_journal_counts_what_was_asked(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post("/_control/faults", json={"status": 503})
    await hubspot.get(OWNERS)
    await hubspot.get(OWNERS)
    journal = (await hubspot.get("/_control/requests")).json()
    assert (journal["total"], journal["by_status"]) == (2, {"200": 1, "503": 1})
    told = [(one["method"], one["path"], one["fault"]) for one in journal["requests"]]
    assert told == [("GET", OWNERS, True), ("GET", OWNERS, False)]
    await hubspot.delete("/_control/requests")
    assert (await hubspot.get("/_control/requests")).json()["total"] == 0


async def test_settings_that_make_no_sense_are_refused(hubspot: httpx.AsyncClient) -> None:
    for given in ({"nonsense": 1}, {"search_lag_seconds": -1}, [1]):
        assert (await hubspot.post("/_control/settings", json=given)).status_code == 400
    reply = await hubspot.get("/_control/settings")
    assert reply.json()["search_lag_seconds"] == 0.3


async def test_a_call_that_does_not_exist_is_told_as_json(hubspot: httpx.AsyncClient) -> None:
    reply = await hubspot.get("/crm/nonsense")
    assert (reply.status_code, reply.json()["status"]) == (404, "error")
    assert (await hubspot.put(OWNERS)).status_code == 405
    assert (await hubspot.get("/crm/objects/2026-09/deals")).status_code == 400
