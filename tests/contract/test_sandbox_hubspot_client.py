"""HubSpot's official client drives the simulator over the v3 and v4 paths."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hubspot import HubSpot
from hubspot.crm import contacts, owners, properties
from hubspot.crm.association_type import AssociationType
from hubspot.crm.associations import v4
from hubspot.crm.objects import meetings
from hubspot.utils.signature import Signature
from tests.contract.conftest import Receiver

TOKEN = "pat-sandbox"
MEETING_TO_CONTACT = {
    "associationCategory": "HUBSPOT_DEFINED",
    "associationTypeId": AssociationType.MEETING_TO_CONTACT,
}


@pytest.fixture
def client(hubspot_url: str) -> HubSpot:
    """The client has no option for the host, so each of its APIs is made with ours."""

    def local_api(package: Any, api_name: str, config: dict[str, Any]) -> Any:
        configuration = package.Configuration(host=hubspot_url)
        configuration.access_token = config["access_token"]
        return getattr(package, api_name)(api_client=package.ApiClient(configuration))

    return HubSpot(access_token=TOKEN, api_factory=local_api)


def _create(client: HubSpot, **values: str) -> Any:
    wanted = contacts.SimplePublicObjectInputForCreate(properties=values, associations=[])
    return client.crm.contacts.basic_api.create(wanted)


def _search(email: str) -> contacts.PublicObjectSearchRequest:
    condition = contacts.Filter(property_name="email", operator="EQ", value=email)
    return contacts.PublicObjectSearchRequest(
        filter_groups=[contacts.FilterGroup(filters=[condition])],
        properties=["email"],
        limit=10,
        after="0",
        sorts=[],
    )


def test_a_contact_is_created_read_changed_and_archived(client: HubSpot) -> None:
    api = client.crm.contacts.basic_api
    made = _create(client, email="Jo.Park@Example.com", firstname="Jo")
    read = api.get_by_id("jo.park@example.com", id_property="email", properties=["firstname"])
    assert (read.id, read.properties["firstname"]) == (made.id, "Jo")
    assert read.created_at.tzinfo is not None
    changed = api.update(made.id, contacts.SimplePublicObjectInput(properties={"phone": "1"}))
    assert changed.properties["phone"] == "1"
    api.archive(made.id)
    with pytest.raises(contacts.ApiException) as error:
        api.get_by_id(made.id)
    assert error.value.status == 404


def test_a_taken_email_is_a_conflict_that_names_the_contact(client: HubSpot) -> None:
    made = _create(client, email="jo@example.com")
    with pytest.raises(contacts.ApiException) as error:
        _create(client, email=" JO@example.com ")
    assert error.value.status == 409
    body = json.loads(error.value.body)
    assert body["message"] == f"Contact already exists. Existing ID: {made.id}"
    assert body["category"] == "CONFLICT"


def test_an_upsert_creates_and_updates(client: HubSpot) -> None:
    made = _create(client, email="jo@example.com")
    rows = [
        contacts.SimplePublicObjectBatchInputUpsert(
            id=email,
            id_property="email",
            properties={"firstname": "Jo"},
            object_write_trace_id=trace,
        )
        for trace, email in (("1", "jo@example.com"), ("2", "dana@example.com"))
    ]
    body = contacts.BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows)
    reply = client.crm.contacts.batch_api.upsert(body)
    told = {one.object_write_trace_id: (one.new, one.id) for one in reply.results}
    assert told["1"] == (False, made.id)
    assert told["2"][0]


def test_a_partial_upsert_tells_which_row_failed(client: HubSpot) -> None:
    wanted = properties.PropertyCreate(
        name="calstream_id",
        label="Calstream id",
        type="string",
        field_type="text",
        group_name="contactinformation",
        has_unique_value=True,
    )
    client.crm.properties.core_api.create("contacts", wanted)
    _create(client, email="jo@example.com")
    rows = [
        contacts.SimplePublicObjectBatchInputUpsert(
            id=key,
            id_property="calstream_id",
            properties={"email": email},
            object_write_trace_id=key,
        )
        for key, email in (("k1", "jo@example.com"), ("k2", "dana@example.com"))
    ]
    body = contacts.BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows)
    reply = client.crm.contacts.batch_api.upsert(body)
    assert isinstance(reply, contacts.BatchResponseSimplePublicUpsertObjectWithErrors)
    assert reply.num_errors == 1
    assert reply.errors[0].context["objectWriteTraceId"] == ["k1"]
    assert [one.object_write_trace_id for one in reply.results] == ["k2"]


def test_batches_read_update_and_archive(client: HubSpot) -> None:
    api = client.crm.contacts.batch_api
    made = _create(client, email="jo@example.com")
    rows = [contacts.SimplePublicObjectBatchInput(id=made.id, properties={"lastname": "Park"})]
    api.update(contacts.BatchInputSimplePublicObjectBatchInput(inputs=rows))
    asked = contacts.BatchReadInputSimplePublicObjectId(
        id_property="email",
        inputs=[contacts.SimplePublicObjectId(id="jo@example.com")],
        properties=["lastname"],
        properties_with_history=[],
    )
    read = api.read(asked)
    assert read.results[0].properties["lastname"] == "Park"
    ids = [contacts.SimplePublicObjectId(id=made.id)]
    api.archive(contacts.BatchInputSimplePublicObjectId(inputs=ids))
    assert client.crm.contacts.basic_api.get_page().results == []


def test_every_page_is_fetched(client: HubSpot) -> None:
    rows = [
        contacts.SimplePublicObjectBatchInputForCreate(
            properties={"email": f"p{number}@example.com"}, associations=[]
        )
        for number in range(100)
    ]
    body = contacts.BatchInputSimplePublicObjectBatchInputForCreate(inputs=rows)
    client.crm.contacts.batch_api.create(body)
    _create(client, email="jo@example.com")
    assert len(client.crm.contacts.get_all()) == 101


def test_search_finds_a_write_only_after_the_lag(client: HubSpot, hubspot_url: str) -> None:
    api = client.crm.contacts.search_api
    settings = f"{hubspot_url}/_control/settings"
    httpx.post(settings, json={"search_lag_seconds": 3600}).raise_for_status()
    made = _create(client, email="jo@example.com")
    assert api.do_search(_search("jo@example.com")).total == 0
    httpx.post(settings, json={"search_lag_seconds": 0}).raise_for_status()
    found = api.do_search(_search("Jo@Example.com"))
    assert [one.id for one in found.results] == [made.id]


def test_a_meeting_is_created_with_its_contact(client: HubSpot) -> None:
    contact = _create(client, email="jo@example.com")
    start = datetime(2026, 11, 27, 15, tzinfo=UTC)
    wanted = meetings.SimplePublicObjectInputForCreate(
        properties={
            "hs_timestamp": str(int(start.timestamp() * 1000)),
            "hs_meeting_title": "Product trial",
            "hs_meeting_outcome": "SCHEDULED",
        },
        associations=[{"to": {"id": contact.id}, "types": [MEETING_TO_CONTACT]}],
    )
    made = client.crm.objects.meetings.basic_api.create(wanted)
    assert made.properties["hs_timestamp"] == "2026-11-27T15:00:00Z"
    read = client.crm.objects.meetings.basic_api.get_by_id(made.id, associations=["contacts"])
    told = [(one.id, one.type) for one in read.associations["contacts"].results]
    assert told == [(contact.id, "meeting_event_to_contact")]


def test_associations_are_made_listed_read_and_parted(client: HubSpot) -> None:
    contact = _create(client, email="jo@example.com")
    wanted = meetings.SimplePublicObjectInputForCreate(
        properties={"hs_timestamp": "2026-11-27T15:00:00Z"}, associations=[]
    )
    meeting = client.crm.objects.meetings.basic_api.create(wanted)
    api = client.crm.associations.v4
    api.basic_api.create_default("meetings", meeting.id, "contacts", contact.id)
    spec = v4.AssociationSpec(
        association_category="HUBSPOT_DEFINED",
        association_type_id=AssociationType.MEETING_TO_CONTACT,
    )
    api.basic_api.create("meetings", meeting.id, "contacts", contact.id, [spec])
    page = api.basic_api.get_page("contacts", contact.id, "meetings")
    assert [one.to_object_id for one in page.results] == [meeting.id]
    types = [one.type_id for one in page.results[0].association_types]
    assert types == [AssociationType.CONTACT_TO_MEETING]
    asked = v4.BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": meeting.id}])
    read = api.batch_api.get_page("meetings", "contacts", asked)
    assert read.results[0].to[0].to_object_id == contact.id
    api.basic_api.archive("meetings", meeting.id, "contacts", contact.id)
    assert api.basic_api.get_page("contacts", contact.id, "meetings").results == []


def test_properties_are_created_once(client: HubSpot) -> None:
    api = client.crm.properties
    option = properties.OptionInput(label="One", value="one", display_order=0, hidden=False)
    wanted = properties.PropertyCreate(
        name="stage",
        label="Stage",
        type="enumeration",
        field_type="select",
        group_name="contactinformation",
        options=[option],
    )
    api.core_api.create("contacts", wanted)
    with pytest.raises(properties.ApiException) as error:
        api.core_api.create("contacts", wanted)
    assert error.value.status == 409
    names = properties.BatchReadInputPropertyName(archived=False, inputs=[{"name": "stage"}])
    assert api.batch_api.read("contacts", names).results[0].options[0].value == "one"
    assert "stage" in [one.name for one in api.core_api.get_all("contacts").results]


def test_owners_are_found_by_email(client: HubSpot) -> None:
    api = client.crm.owners.owners_api
    page = api.get_page(email="dana@acme.example", limit=100, archived=False)
    assert [one.first_name for one in page.results] == ["Dana"]
    assert api.get_by_id(int(page.results[0].id)).email == "dana@acme.example"


def test_a_wrong_token_is_refused(hubspot_url: str) -> None:
    configuration = owners.Configuration(host=hubspot_url)
    configuration.access_token = "another"
    api = owners.OwnersApi(owners.ApiClient(configuration))
    with pytest.raises(owners.ApiException) as error:
        api.get_page()
    assert error.value.status == 401


def test_the_client_knows_the_association_types_as_the_simulator_does() -> None:
    assert AssociationType.MEETING_TO_CONTACT == 200
    assert AssociationType.CONTACT_TO_MEETING == 199


def test_changes_arrive_signed_in_portions_and_again_with_the_number_of_the_attempt(
    client: HubSpot, hubspot_url: str, receiver: Receiver
) -> None:
    endpoint = {"url": receiver.url, "secret": "a client secret"}
    httpx.post(f"{hubspot_url}/_control/endpoint", json=endpoint).raise_for_status()
    receiver.answers = [500]
    made = _create(client, email="jo@example.com", firstname="Jo")
    _until(lambda: len(receiver.got) == 2)
    first, second = (json.loads(body) for _, body in receiver.got)
    assert [event["attemptNumber"] for event in (first[0], second[0])] == [0, 1]
    assert first[0]["subscriptionType"] == "contact.creation"
    changed = {
        event["propertyName"]: event["propertyValue"] for event in first if "propertyName" in event
    }
    assert changed.items() >= {("email", "jo@example.com"), ("firstname", "Jo")}
    assert {(event["objectId"], event["changeSource"]) for event in first} == {
        (int(made.id), "INTEGRATION")
    }
    edit = {"kind": "contacts", "id": made.id, "properties": {"firstname": "Joanna"}}
    httpx.post(f"{hubspot_url}/_control/edit", json=edit).raise_for_status()
    client.crm.contacts.basic_api.archive(made.id)
    _until(lambda: len(receiver.got) == 4)
    later = [event for _, body in receiver.got[2:] for event in json.loads(body)]
    told = {(event["subscriptionType"], event["changeSource"]) for event in later}
    assert told == {("contact.propertyChange", "CRM_UI"), ("contact.deletion", "INTEGRATION")}
    for headers, body in receiver.got:
        assert Signature.is_valid(
            headers["x-hubspot-signature-v3"],
            "a client secret",
            body.decode(),
            receiver.url,
            "POST",
            "v3",
            headers["x-hubspot-request-timestamp"],
        )


def test_a_batch_of_many_changes_is_sent_a_hundred_events_at_a_time(
    client: HubSpot, hubspot_url: str, receiver: Receiver
) -> None:
    endpoint = {"url": receiver.url, "secret": "s"}
    httpx.post(f"{hubspot_url}/_control/endpoint", json=endpoint).raise_for_status()
    rows = [
        {"properties": {"email": f"p{number}@example.com"}, "associations": []}
        for number in range(100)
    ]
    made = contacts.BatchInputSimplePublicObjectBatchInputForCreate(inputs=rows)
    client.crm.contacts.batch_api.create(made)
    _until(lambda: sum(len(json.loads(body)) for _, body in receiver.got) >= 300)
    assert max(len(json.loads(body)) for _, body in receiver.got) == 100


def _until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)  # webhooks arrive in another thread's time
