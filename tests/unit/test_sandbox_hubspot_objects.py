"""What the HubSpot simulator does with records, as a client sees it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from calstream_sandbox.hubspot.app import build_hubspot
from calstream_sandbox.hubspot.portal import Portal, PortalSettings

CONTACTS = "/crm/objects/2026-09/contacts"
MEETINGS = "/crm/objects/2026-09/meetings"
PROPERTIES = "/crm/properties/2026-09/contacts"
KEY = {
    "name": "calstream_id",
    "label": "Calstream id",
    "type": "string",
    "fieldType": "text",
    "groupName": "contactinformation",
    "hasUniqueValue": True,
}
START = 1_795_792_800.0


@pytest.fixture
def portal() -> Portal:
    settings = PortalSettings(search_lag_seconds=0, searches_per_second=1000)
    return Portal(token="t", settings=settings, now_seconds=lambda: START)


@pytest.fixture
async def hubspot(portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=build_hubspot(portal)))
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://hubspot", headers=headers
    ) as client:
        yield client


async def create(hubspot: httpx.AsyncClient, **properties: str) -> dict[str, Any]:
    body = {"properties": properties, "associations": []}
    reply = await hubspot.post(CONTACTS, json=body)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def upsert(hubspot: httpx.AsyncClient, *rows: dict[str, Any]) -> httpx.Response:
    return await hubspot.post(f"{CONTACTS}/batch/upsert", json={"inputs": list(rows)})


def row(key: str, trace: str | None = None, **properties: str) -> dict[str, Any]:
    made: dict[str, Any] = {"id": key, "idProperty": "calstream_id", "properties": properties}
    return made if trace is None else made | {"objectWriteTraceId": trace}


async def count(hubspot: httpx.AsyncClient) -> int:
    return len((await hubspot.get(CONTACTS, params={"limit": 100})).json()["results"])


async def test_an_email_is_kept_trimmed_and_in_lower_case(hubspot: httpx.AsyncClient) -> None:
    made = await create(hubspot, email=" Jo.Park@Example.COM ")
    assert made["properties"]["email"] == "jo.park@example.com"
    read = await hubspot.get(f"{CONTACTS}/JO.park@example.com", params={"idProperty": "email"})
    assert read.json()["id"] == made["id"]


async def test_ids_rise_as_strings_and_times_have_milliseconds(
    hubspot: httpx.AsyncClient,
) -> None:
    first, second = await create(hubspot, email="a@b.example"), await create(hubspot)
    assert int(second["id"]) > int(first["id"])
    assert first["createdAt"] == "2026-11-27T15:20:00.000Z"


async def test_every_bad_value_of_a_record_is_told(hubspot: httpx.AsyncClient) -> None:
    properties = {
        "email": "nobody",
        "nonsense": "1",
        "hs_object_id": "7",
        "lifecyclestage": "nowhere",
        "hubspot_owner_id": "999",
        "company": "x" * 65_537,
    }
    reply = await hubspot.post(CONTACTS, json={"properties": properties, "associations": []})
    assert reply.status_code == 400
    codes = {one["context"]["propertyName"][0]: one["code"] for one in reply.json()["errors"]}
    assert codes == {
        "email": "INVALID_EMAIL",
        "nonsense": "PROPERTY_DOESNT_EXIST",
        "hs_object_id": "READ_ONLY_VALUE",
        "lifecyclestage": "INVALID_OPTION",
        "hubspot_owner_id": "INVALID_OWNER_ID",
        "company": "VALUE_TOO_LONG",
    }
    assert await count(hubspot) == 0


async def test_an_empty_value_clears_and_then_reads_as_null(hubspot: httpx.AsyncClient) -> None:
    made = await create(hubspot, email="jo@example.com", phone="1")
    one = f"{CONTACTS}/{made['id']}"
    changed = await hubspot.patch(one, json={"properties": {"phone": ""}})
    assert "phone" not in changed.json()["properties"]
    read = await hubspot.get(one, params={"properties": "phone"})
    assert read.json()["properties"]["phone"] is None
    old = await hubspot.get(
        f"/crm/v3/objects/contacts/{made['id']}", params={"properties": "phone"}
    )
    assert "phone" not in old.json()["properties"]


async def test_changing_an_email_frees_the_old_one(hubspot: httpx.AsyncClient) -> None:
    made = await create(hubspot, email="old@example.com")
    one = f"{CONTACTS}/{made['id']}"
    await hubspot.patch(one, json={"properties": {"email": "new@example.com"}})
    await create(hubspot, email="old@example.com")
    taken = await hubspot.patch(one, json={"properties": {"email": "old@example.com"}})
    assert taken.status_code == 409


async def test_archiving_frees_the_email_and_can_be_repeated(hubspot: httpx.AsyncClient) -> None:
    made = await create(hubspot, email="jo@example.com")
    for _ in range(2):
        assert (await hubspot.delete(f"{CONTACTS}/{made['id']}")).status_code == 204
    again = await create(hubspot, email="jo@example.com")
    assert again["id"] != made["id"]
    assert (await hubspot.delete(f"{CONTACTS}/1")).status_code == 404


async def test_a_meeting_needs_a_time_and_a_known_outcome(hubspot: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"properties": {"hs_meeting_title": "x"}, "associations": []}
    reply = await hubspot.post(MEETINGS, json=body)
    assert reply.status_code == 400
    assert reply.json()["context"]["properties"] == ["hs_timestamp"]
    body["properties"] |= {
        "hs_timestamp": "2026-11-27T10:00:00-05:00",
        "hs_meeting_outcome": "GONE",
    }
    assert (await hubspot.post(MEETINGS, json=body)).status_code == 400
    body["properties"]["hs_meeting_outcome"] = "NO_SHOW"
    made = await hubspot.post(MEETINGS, json=body)
    assert made.json()["properties"]["hs_timestamp"] == "2026-11-27T15:00:00Z"


@pytest.mark.parametrize(("type_id", "target"), [(200, "1"), (199, None), (1, None)])
async def test_a_meeting_with_an_association_that_cannot_be_is_not_made(
    hubspot: httpx.AsyncClient, type_id: int, target: str | None
) -> None:
    contact = await create(hubspot, email="jo@example.com")
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    body = {
        "properties": {"hs_timestamp": "2026-11-27T15:00:00Z"},
        "associations": [{"to": {"id": target or contact["id"]}, "types": [spec]}],
    }
    reply = await hubspot.post(MEETINGS, json=body)
    assert reply.status_code == 400
    assert (await hubspot.get(MEETINGS)).json()["results"] == []


async def test_archiving_a_contact_parts_it_from_its_meeting(hubspot: httpx.AsyncClient) -> None:
    contact = await create(hubspot, email="jo@example.com")
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 200}
    body = {
        "properties": {"hs_timestamp": "2026-11-27T15:00:00Z"},
        "associations": [{"to": {"id": contact["id"]}, "types": [spec]}],
    }
    meeting = (await hubspot.post(MEETINGS, json=body)).json()
    one = f"{MEETINGS}/{meeting['id']}"
    params = {"associations": "contacts"}
    assert "associations" in (await hubspot.get(one, params=params)).json()
    await hubspot.delete(f"{CONTACTS}/{contact['id']}")
    assert "associations" not in (await hubspot.get(one, params=params)).json()


async def test_the_same_record_twice_fails_a_whole_batch(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    await create(hubspot, email="jo@example.com", calstream_id="k1")
    by_email = {"id": "jo@example.com", "idProperty": "email", "properties": {}}
    in_capitals = by_email | {"id": "JO@example.com "}
    for rows in ([by_email, in_capitals], [row("k2"), row("k2")], [by_email, row("k1")]):
        reply = await upsert(hubspot, *rows)
        assert reply.status_code == 400
        assert reply.json()["message"].startswith("Duplicate IDs found in batch input")
    assert await count(hubspot) == 1


async def test_a_batch_takes_a_hundred_rows_and_no_more(hubspot: httpx.AsyncClient) -> None:
    rows = [
        {"id": f"p{number}@example.com", "idProperty": "email", "properties": {}}
        for number in range(101)
    ]
    assert (await upsert(hubspot, *rows)).status_code == 400
    assert (await upsert(hubspot, *rows[:100])).status_code == 200
    assert await count(hubspot) == 100


async def test_results_do_not_come_in_the_order_of_the_inputs(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    reply = await upsert(hubspot, row("k1", "1"), row("k2", "2"))
    assert [one["objectWriteTraceId"] for one in reply.json()["results"]] == ["2", "1"]


async def test_an_upsert_by_a_property_that_is_not_unique_is_refused(
    hubspot: httpx.AsyncClient,
) -> None:
    reply = await upsert(hubspot, row("k1") | {"idProperty": "phone"})
    assert reply.status_code == 400
    assert "non-unique 0-1 property phone" in reply.json()["message"]


async def test_a_taken_email_fails_its_row_of_an_upsert_alone(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    made = await create(hubspot, email="jo@example.com")
    rows = [row("k1", email="jo@example.com"), row("k2", "2", email="dana@example.com")]
    reply = await upsert(hubspot, *rows)
    assert reply.status_code == 207
    body = reply.json()
    assert body["errors"][0]["message"] == f"Contact already exists. Existing ID: {made['id']}"
    assert "objectWriteTraceId" not in body["errors"][0]["context"]
    assert [one["new"] for one in body["results"]] == [True]


async def test_two_rows_of_one_upsert_cannot_take_the_same_email(
    hubspot: httpx.AsyncClient,
) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    rows = [row(key, key, email="jo@example.com") for key in ("k1", "k2")]
    reply = await upsert(hubspot, *rows)
    assert reply.status_code == 207
    assert reply.json()["errors"][0]["context"]["objectWriteTraceId"] == ["k2"]


async def test_a_bad_value_fails_the_call_unless_each_row_has_its_own_trace_id(
    hubspot: httpx.AsyncClient,
) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    rows = [row("k1", "1", phone="1"), row("k2", lifecyclestage="nowhere")]
    assert (await upsert(hubspot, *rows)).status_code == 400
    rows[1]["objectWriteTraceId"] = "1"
    assert (await upsert(hubspot, *rows)).status_code == 400
    assert await count(hubspot) == 0
    rows[1]["objectWriteTraceId"] = "2"
    reply = await upsert(hubspot, *rows)
    assert reply.status_code == 207
    assert reply.json()["errors"][0]["context"]["objectWriteTraceId"] == ["2"]
    assert await count(hubspot) == 1


async def test_an_unknown_record_fails_its_row_of_an_update_alone(
    hubspot: httpx.AsyncClient,
) -> None:
    made = await create(hubspot, email="jo@example.com")
    rows = [{"id": made["id"], "properties": {"phone": "1"}}, {"id": "1", "properties": {}}]
    reply = await hubspot.post(f"{CONTACTS}/batch/update", json={"inputs": rows})
    assert reply.status_code == 207
    body = reply.json()
    assert body["numErrors"] == 1
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert body["errors"][0]["context"]["ids"] == ["1"]
    assert body["results"][0]["properties"]["phone"] == "1"


async def test_a_value_of_a_unique_property_belongs_to_one_record(
    hubspot: httpx.AsyncClient,
) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    first = await create(hubspot, calstream_id="k1")
    second = await create(hubspot, calstream_id="k2")
    reply = await hubspot.patch(
        f"{CONTACTS}/{second['id']}", json={"properties": {"calstream_id": "k1"}}
    )
    assert reply.status_code == 400
    assert reply.json()["message"].endswith(f"{first['id']} already has that value.")


async def test_unique_properties_are_few_and_only_of_contacts(hubspot: httpx.AsyncClient) -> None:
    for number in range(10):
        reply = await hubspot.post(PROPERTIES, json=KEY | {"name": f"key_{number}"})
        assert reply.status_code == 201
    assert (await hubspot.post(PROPERTIES, json=KEY)).status_code == 400
    on_meetings = KEY | {"groupName": "engagement"}
    reply = await hubspot.post("/crm/properties/2026-09/meetings", json=on_meetings)
    assert reply.status_code == 400
    await hubspot.post("/_control/settings", json={"unique_properties_on_meetings": True})
    reply = await hubspot.post("/crm/properties/2026-09/meetings", json=on_meetings)
    assert reply.status_code == 201


async def test_an_archived_property_takes_its_values_along(hubspot: httpx.AsyncClient) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    made = await create(hubspot, calstream_id="k1")
    await hubspot.delete(f"{PROPERTIES}/calstream_id")
    await hubspot.post(PROPERTIES, json=KEY)
    read = await hubspot.get(f"{CONTACTS}/{made['id']}", params={"properties": "calstream_id"})
    assert read.json()["properties"]["calstream_id"] is None
    await create(hubspot, calstream_id="k1")


async def test_the_dump_shows_everything_and_a_wipe_leaves_the_properties(
    hubspot: httpx.AsyncClient,
) -> None:
    await hubspot.post(PROPERTIES, json=KEY)
    made = await create(hubspot, email="jo@example.com", calstream_id="k1")
    dump = (await hubspot.get("/_control/dump")).json()
    assert dump["contacts"][0]["properties"]["calstream_id"] == "k1"
    assert dump["custom_properties"]["contacts"] == ["calstream_id"]
    await hubspot.post("/_control/wipe")
    assert await count(hubspot) == 0
    again = await create(hubspot, email="jo@example.com", calstream_id="k1")
    assert int(again["id"]) > int(made["id"])
    await hubspot.post("/_control/reset")
    assert (await hubspot.get(f"{PROPERTIES}/calstream_id")).status_code == 404


async def test_an_owner_added_by_the_control_can_own_a_contact(hubspot: httpx.AsyncClient) -> None:
    reply = await hubspot.post("/_control/owners", json=[{"email": "Host@Acme.example"}])
    owner = reply.json()["results"][0]
    made = await create(hubspot, email="jo@example.com", hubspot_owner_id=owner["id"])
    assert made["properties"]["hubspot_owner_id"] == owner["id"]
    found = await hubspot.get("/crm/owners/2026-09", params={"email": "host@acme.example"})
    assert [one["id"] for one in found.json()["results"]] == [owner["id"]]
    by_user = await hubspot.get(
        f"/crm/owners/2026-09/{owner['userId']}", params={"idProperty": "userId"}
    )
    assert by_user.json()["id"] == owner["id"]
