"""Webhooks of the vendors, through the ingest process, in the topic."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from tests.integration.test_ingest_broker import SECRETS, Installation, running, until

from calstream_sandbox.hubspot import signature as hubspot
from calstream_sandbox.stripe import signature as stripe
from calstream_sandbox.zoom import signature as zoom

pytestmark = pytest.mark.broker

PUBLIC_URL = "https://hooks.example.com"
SECRET = SECRETS["new"].decode()
ADDRESS = "/v1/webhooks/acme"


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """The base URL of a sandbox."""
    listen = free_address()
    command = [sys.executable, "-m", "calstream_sandbox", "--listen", listen]
    with subprocess.Popen([*command, "--retry-scale", "0.002"]) as process:
        try:
            until(lambda: answers(f"http://{listen}/healthz"))
            yield f"http://{listen}"
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_what_the_simulators_send_is_taken(broker: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, broker)
    installation.create_topics()
    listen = free_address()
    of_each = dict.fromkeys(("stripe", "zoom", "hubspot"), installation.secret_references())
    installation.config["workspaces"] = {"acme": {"secrets": of_each}}
    installation.config["ingest"] = {"listen": listen}
    installation.write()
    with running(installation) as ingest, sandbox() as url:
        assert ingest.url == f"http://{listen}"
        for place in ("stripe/_control/endpoints", "zoom/_control/endpoint"):
            source = place.partition("/")[0]
            endpoint = {"url": f"{ingest.url}{ADDRESS}/{source}", "secret": SECRET}
            connected = httpx.post(f"{url}/{place}", json=endpoint)
            assert connected.status_code == 200, connected.text
        endpoint = {"url": f"{ingest.url}{ADDRESS}/hubspot", "secret": SECRET}
        httpx.post(f"{url}/hubspot/_control/endpoint", json=endpoint).raise_for_status()
        httpx.post(
            f"{url}/stripe/v1/payment_intents",
            headers={"Authorization": "Bearer sk_test_sandbox"},
            data={"amount": "500", "currency": "usd"},
        ).raise_for_status()
        token = httpx.post(
            f"{url}/zoom/oauth/token",
            params={"grant_type": "account_credentials", "account_id": "acc-sandbox"},
            auth=("client-sandbox", "secret-sandbox"),
        ).json()["access_token"]
        httpx.post(
            f"{url}/zoom/v2/users/me/meetings",
            headers={"Authorization": f"Bearer {token}"},
            json={"topic": "Trial"},
        ).raise_for_status()
        httpx.post(
            f"{url}/hubspot/crm/objects/2026-09/contacts",
            headers={"Authorization": "Bearer pat-sandbox"},
            json={"properties": {"email": "jo@example.com"}, "associations": []},
        ).raise_for_status()
        until(lambda: len(installation.received()) == 3)
    found = {
        each.source: orjson.loads(each.body)
        for each in installation.received()
        if isinstance(each.body, bytes)
    }
    assert found["stripe"]["type"] == "payment_intent.created"
    assert found["zoom"]["event"] == "meeting.created"
    assert found["hubspot"][0]["subscriptionType"] == "contact.creation"
    assert installation.rejected() == []


def test_each_vendor_s_webhook_is_in_the_topic_and_zoom_s_question_is_answered(
    broker: str, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, broker)
    installation.create_topics()
    of_each = dict.fromkeys(("stripe", "zoom", "hubspot"), installation.secret_references())
    installation.config["workspaces"] = {"acme": {"secrets": of_each}}
    installation.config["ingest"] = {"listen": "127.0.0.1:0", "public_url": PUBLIC_URL}
    installation.write()
    now = int(time.time())
    paid, met, many = b'{"id": "evt_1"}', b'{"event": "meeting.created"}', b'[{"eventId": 1}]'
    question = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}'
    called = f"{PUBLIC_URL}{ADDRESS}/hubspot?a=%2Fb"
    signed = f"{PUBLIC_URL}{ADDRESS}/hubspot?a=/b"
    sent = [
        ("stripe", paid, stripe.delivery_headers(SECRET, paid, now)),
        ("zoom", question, zoom.delivery_headers(SECRET, question, now)),
        ("zoom", met, zoom.delivery_headers(SECRET, met, now)),
        (
            called.removeprefix(f"{PUBLIC_URL}{ADDRESS}/"),
            many,
            hubspot.delivery_headers(SECRET, signed, many, now * 1000),
        ),
        ("stripe", paid, stripe.delivery_headers(SECRET, paid, now - 1000)),
    ]
    with running(installation) as ingest:
        answers = [
            httpx.post(f"{ingest.url}{ADDRESS}/{path}", content=body, headers=headers)
            for path, body, headers in sent
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 401]
    assert answers[1].json()["encryptedToken"] == zoom.encrypted_token(SECRET, "abc")
    assert [(each.source, each.body) for each in installation.received()] == [
        ("stripe", paid),
        ("zoom", met),
        ("hubspot", many),
    ]
    (rejected,) = installation.rejected()
    assert (rejected.error_code, rejected.body) == ("signature-stale", paid)
