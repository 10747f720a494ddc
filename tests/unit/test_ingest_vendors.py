"""The door for webhooks of Stripe, Zoom and HubSpot: stored, refused, and Zoom's question."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.ingest_scene import NOW, OLD_SECRET, SECRET, Scene, counted

from calstream_sandbox.hubspot import signature as hubspot
from calstream_sandbox.stripe import signature as stripe
from calstream_sandbox.zoom import signature as zoom
from calstream_sandbox.zoom.signature import encrypted_token

PUBLIC_URL = "https://hooks.example.com"
HUBSPOT_PATH = "/v1/webhooks/acme/hubspot"
SOURCES = ("stripe", "zoom", "hubspot")
BODIES = {
    "stripe": b'{"id": "evt_1", "object": "event", "type": "checkout.session.completed"}',
    "zoom": b'{"event": "meeting.created", "event_ts": 1, "payload": {"object": {"id": 5}}}',
    "hubspot": b'[{"eventId": 1, "portalId": 7}, {"eventId": 2, "portalId": 7}]',
}
AT = NOW // 1_000_000
SIGNERS: dict[str, Callable[[str, bytes, int], dict[str, str]]] = {
    "stripe": stripe.delivery_headers,
    "zoom": zoom.delivery_headers,
    "hubspot": lambda secret, body, at: hubspot.delivery_headers(
        secret, f"{PUBLIC_URL}{HUBSPOT_PATH}", body, at * 1000
    ),
}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, sources=SOURCES, public_url=f"{PUBLIC_URL}/")


def signed(source: str, body: bytes, secret: bytes = SECRET, at: int = AT) -> dict[str, str]:
    headers = SIGNERS[source](secret.decode(), body, at)
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("secret", "label"), [(SECRET, "new"), (OLD_SECRET, "old")])
async def test_a_signed_webhook_is_stored_as_it_came(
    scene: Scene, source: str, secret: bytes, label: str
) -> None:
    body = BODIES[source]
    path = f"/v1/webhooks/acme/{source}"
    answer = await scene.post(body, signed(source, body, secret), path=path)
    assert answer.status_code == 200
    (webhook,) = scene.received()
    assert (webhook.source, webhook.body, webhook.secret_label) == (source, body, label)
    assert (webhook.workspace, webhook.delivery_id) == ("acme", None)


def signed_for(uri: str) -> dict[str, str]:
    """HubSpot's headers for a call of this address."""
    headers = hubspot.delivery_headers(SECRET.decode(), uri, BODIES["hubspot"], AT * 1000)
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("secret", "at", "drop", "code"),
    [
        (b"wrong", AT, False, "signature-invalid"),
        (SECRET, AT - 301, False, "signature-stale"),
        (SECRET, AT + 301, False, "signature-stale"),
        (SECRET, AT, True, "signature-missing"),
    ],
)
async def test_what_the_vendor_has_not_just_signed_is_refused_and_kept_with_its_headers(
    scene: Scene, source: str, *, secret: bytes, at: int, drop: bool, code: str
) -> None:
    body = BODIES[source]
    headers = {} if drop else signed(source, body, secret, at)
    answer = await scene.post(body, headers, path=f"/v1/webhooks/acme/{source}")
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    (webhook,) = scene.rejected()
    assert (webhook.status, webhook.error_code, webhook.body) == (401, code, body)
    assert webhook.headers.items() >= headers.items()
    assert scene.received() == []


async def test_hubspot_signs_the_public_address_with_its_query(scene: Scene) -> None:
    headers = signed_for(f"{PUBLIC_URL}{HUBSPOT_PATH}?portal=7")
    for query, status in (("?portal=7", 200), ("?portal=8", 401), ("", 401)):
        answer = await scene.post(BODIES["hubspot"], headers, path=HUBSPOT_PATH + query)
        assert answer.status_code == status


async def test_a_host_that_the_request_names_is_not_believed(scene: Scene) -> None:
    headers = signed_for(f"https://evil.example{HUBSPOT_PATH}") | {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
    }
    answer = await scene.post(BODIES["hubspot"], headers, path=HUBSPOT_PATH)
    assert answer.json()["code"] == "signature-invalid"


async def test_without_a_public_url_the_address_is_where_ingest_listens(tmp_path: Path) -> None:
    scene = Scene(tmp_path, sources=SOURCES)
    headers = signed_for(f"http://127.0.0.1:8080{HUBSPOT_PATH}")
    answer = await scene.post(BODIES["hubspot"], headers, path=HUBSPOT_PATH)
    assert answer.status_code == 200


QUESTION = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6U"}}'


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_zooms_question_is_answered_with_the_secret_that_signed_it_and_not_stored(
    scene: Scene, secret: bytes
) -> None:
    before = counted("zoom", "challenge")
    path = "/v1/webhooks/acme/zoom"
    answer = await scene.post(QUESTION, signed("zoom", QUESTION, secret), path=path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "plainToken": "qgg8vlvZRS6U",
        "encryptedToken": encrypted_token(secret.decode(), "qgg8vlvZRS6U"),
    }
    assert scene.producer.records == []
    assert counted("zoom", "challenge") == before + 1


async def test_a_strangers_question_gets_nothing_signed(scene: Scene) -> None:
    for headers in ({}, signed("zoom", QUESTION, b"wrong"), signed("zoom", QUESTION, at=AT - 999)):
        answer = await scene.post(QUESTION, headers, path="/v1/webhooks/acme/zoom")
        assert answer.status_code == 401
        assert "encryptedToken" not in answer.text


async def test_a_question_that_can_not_be_answered_is_refused_and_kept(scene: Scene) -> None:
    body = QUESTION.replace(b"qgg8vlvZRS6U", b"v0:1:{}")
    answer = await scene.post(body, signed("zoom", body), path="/v1/webhooks/acme/zoom")
    assert (answer.status_code, answer.json()["code"]) == (401, "challenge-invalid")
    assert [webhook.error_code for webhook in scene.rejected()] == ["challenge-invalid"]


async def test_another_source_has_no_such_question(scene: Scene) -> None:
    path = "/v1/webhooks/acme/stripe"
    answer = await scene.post(QUESTION, signed("stripe", QUESTION), path=path)
    assert answer.json()["status"] == "accepted"


@pytest.mark.parametrize("source", SOURCES)
async def test_a_broker_that_does_not_confirm_has_the_vendor_come_again(
    scene: Scene, source: str
) -> None:
    scene.producer.answer = "fails"
    body = BODIES[source]
    answer = await scene.post(body, signed(source, body), path=f"/v1/webhooks/acme/{source}")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_hundred_events_of_hubspot_are_one_webhook(tmp_path: Path) -> None:
    scene = Scene(tmp_path, sources=SOURCES, public_url=PUBLIC_URL, max_body_bytes=256 * 1024)
    event = {
        "eventId": 3_816_279_340,
        "subscriptionId": 25,
        "portalId": 33,
        "appId": 1_160_452,
        "occurredAt": 1_795_792_800_000,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        "objectId": 1_246_965,
        "propertyName": "lifecyclestage",
        "propertyValue": "x" * 1000,
        "changeSource": "CRM_UI",
        "sourceId": "userId:1",
    }
    body = json.dumps([event] * 100).encode()
    answer = await scene.post(body, signed("hubspot", body), path="/v1/webhooks/acme/hubspot")
    assert answer.status_code == 200
    assert [webhook.body for webhook in scene.received()] == [body]
