"""The sandbox as a process: what only shows over a real connection."""

import hashlib
import hmac
import threading
from base64 import b64encode
from typing import Any

import httpx
import pytest
from tests.contract.conftest import Receiver

CONTACT = {"properties": {"email": "jo@example.com"}, "associations": []}
TOKEN = {"Authorization": "Bearer pat-sandbox"}
CONTACTS = "/crm/objects/2026-09/contacts"


@pytest.fixture
def calendar_url(sandbox_url: str, receiver: Receiver) -> str:
    url = f"{sandbox_url}/calendar_live"
    httpx.post(f"{url}/_control/reset").raise_for_status()
    endpoint = {"workspace": "acme", "url": receiver.url, "secret": "s3cret"}
    httpx.post(f"{url}/_control/endpoint", json=endpoint).raise_for_status()
    return url


def send(url: str, **parts: Any) -> Any:
    wanted = {"workspace": "acme", "wait": True} | parts
    reply = httpx.post(f"{url}/_control/deliveries", json=wanted, timeout=30)
    reply.raise_for_status()
    (entry,) = reply.json()["data"]
    return entry


def test_a_dropped_connection_leaves_what_was_applied(hubspot_url: str) -> None:
    control = f"{hubspot_url}/_control"
    httpx.post(f"{control}/faults", json={"applied_then_dropped": True}).raise_for_status()
    with httpx.Client(headers=TOKEN) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(hubspot_url + CONTACTS, json=CONTACT)
        assert client.post(hubspot_url + CONTACTS, json=CONTACT).status_code == 409


def test_a_hanging_request_outlasts_the_client_and_applies_nothing(hubspot_url: str) -> None:
    control = f"{hubspot_url}/_control"
    httpx.post(f"{control}/faults", json={"hang_seconds": 600}).raise_for_status()
    with httpx.Client(headers=TOKEN) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(hubspot_url + CONTACTS, json=CONTACT, timeout=0.2)
        assert client.post(hubspot_url + CONTACTS, json=CONTACT).status_code == 201


def test_clearing_the_faults_ends_a_hanging_request(hubspot_url: str) -> None:
    control = f"{hubspot_url}/_control"
    httpx.post(f"{control}/faults", json={"hang_seconds": 600}).raise_for_status()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            httpx.get(hubspot_url + CONTACTS, headers=TOKEN, timeout=60)
        except httpx.TransportError as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while httpx.get(f"{control}/faults").json()["faults"]:
        asking.join(0.01)
    httpx.delete(f"{control}/faults").raise_for_status()
    asking.join(30)
    assert [type(error) for error in errors] == [httpx.RemoteProtocolError]


def test_latency_delays_and_then_answers(hubspot_url: str) -> None:
    control = f"{hubspot_url}/_control"
    httpx.post(f"{control}/faults", json={"latency_seconds": 0.2}).raise_for_status()
    reply = httpx.get(hubspot_url + CONTACTS, headers=TOKEN)
    assert reply.status_code == 200
    assert reply.elapsed.total_seconds() >= 0.2


def test_a_webhook_arrives_signed_and_is_retried(calendar_url: str, receiver: Receiver) -> None:
    receiver.answers = [503, 500]
    entry = send(calendar_url, body={"id": "evt_1", "type": "event.created"})
    assert [attempt["status"] for attempt in entry["attempts"]] == [503, 500, 200]
    assert entry["status"] == "delivered"
    for headers, body in receiver.got:
        expected = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["x-cl-signature"] == expected
        assert headers["x-cl-delivery-id"] == entry["id"]


def test_raw_bytes_copies_and_a_bad_signature_can_be_sent(
    calendar_url: str, receiver: Receiver
) -> None:
    receiver.answers = [401, 401]
    entry = send(
        calendar_url,
        body=b64encode(b"\xff{").decode(),
        delivery_id="dlv_x",
        copies=2,
        secret="other",
    )
    assert (entry["id"], entry["status"], entry["event_id"]) == ("dlv_x", "refused", None)
    assert [body for _, body in receiver.got] == [b"\xff{", b"\xff{"]
    expected = hmac.new(b"other", b"\xff{", hashlib.sha256).hexdigest()
    assert receiver.got[0][0]["x-cl-signature"] == expected


def test_the_delivery_log_is_read_and_a_delivery_sent_again(
    calendar_url: str, receiver: Receiver
) -> None:
    receiver.answers = [404]
    entry = send(calendar_url, body={"id": "evt_1"})
    log = f"{calendar_url}/v1/webhook_deliveries"
    refused = httpx.get(log, params={"status": "refused", "since": entry["created_at"]}).json()
    assert [one["id"] for one in refused["data"]] == [entry["id"]]
    again = httpx.post(f"{log}/{entry['id']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    while (entries := httpx.get(log).json()["data"])[0]["status"] == "pending":
        pass
    assert [attempt["status"] for attempt in entries[0]["attempts"]] == [404, 200]
    assert {headers["x-cl-delivery-id"] for headers, _ in receiver.got} == {entry["id"]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/_control/endpoint", {"workspace": "acme", "url": "ftp://x", "secret": "s"}, 400),
        ("/_control/deliveries", {"workspace": "nobody", "body": {}}, 404),
        ("/_control/deliveries", {"workspace": "acme", "body": "%"}, 400),
        ("/_control/deliveries", {"workspace": "acme", "body": {}, "copies": 0}, 400),
        ("/v1/webhook_deliveries/none/redeliver", {}, 404),
    ],
)
def test_what_makes_no_sense_is_refused_in_the_contracts_form(
    calendar_url: str, path: str, body: dict[str, Any], status: int
) -> None:
    reply = httpx.post(calendar_url + path, json=body)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"code", "message", "request_id"}


@pytest.mark.parametrize("params", [{"status": "x"}, {"since": "x"}, {"since": "2026-11-20"}])
def test_a_bad_selection_of_the_log_is_refused(calendar_url: str, params: dict[str, str]) -> None:
    reply = httpx.get(f"{calendar_url}/v1/webhook_deliveries", params=params)
    assert reply.status_code == 400
