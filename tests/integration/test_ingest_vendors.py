"""Webhooks of the vendors, through the ingest process, in the topic."""

import time
from pathlib import Path

import httpx
import pytest
from tests.integration.test_ingest_broker import SECRETS, Installation, running

from calstream_sandbox.hubspot import signature as hubspot
from calstream_sandbox.stripe import signature as stripe
from calstream_sandbox.zoom import signature as zoom

pytestmark = pytest.mark.broker

PUBLIC_URL = "https://hooks.example.com"
SECRET = SECRETS["new"].decode()
ADDRESS = "/v1/webhooks/acme"


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
