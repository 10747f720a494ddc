"""Signatures of HubSpot, version 3, judged by HubSpot's own library and its published vector."""

import json
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, Self

import pytest
from hubspot.exceptions import InvalidSignatureTimestampError
from hubspot.utils.signature import Signature
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.errors import Code
from calstream_ingest.sources import Refusal, Request, Secret, Verified
from calstream_ingest.sources.hubspot import HubSpot
from calstream_sandbox.hubspot.signature import sign

SOURCE = HubSpot()
SECRET = Secret("current", b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy")
URI = "https://hooks.example.com/v1/webhooks/acme/hubspot"
EVENT = {
    "eventId": 1,
    "subscriptionId": 12345,
    "portalId": 62515,
    "occurredAt": 1564113600000,
    "subscriptionType": "contact.creation",
    "attemptNumber": 0,
    "objectId": 123,
    "changeSource": "CRM",
}
BODY = json.dumps([EVENT] * 100).encode()
NOW = 1_795_792_800_000


class JudgesTime(datetime):
    """The clock of HubSpot's library, stopped."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW / 1000, tz)


@pytest.fixture(scope="module", autouse=True)
def _clock_of_the_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubspot.utils.signature.datetime", JudgesTime)
        yield


def request(
    signature: str,
    at: str = str(NOW),
    *,
    body: bytes = BODY,
    uri: str = URI,
    received_at: int = NOW,
) -> Request:
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": at}
    return Request("POST", uri, headers, body, received_at * 1000)


def theirs(body: bytes = BODY, uri: str = URI, at: int = NOW, **more: Any) -> str:
    secret = SECRET.value.decode()
    return str(Signature.get_signature(secret, body.decode(), "v3", uri, "POST", str(at), **more))


def judged(signature: str, body: bytes, uri: str, at: int) -> bool:
    try:
        return bool(
            Signature.is_valid(
                signature, SECRET.value.decode(), body.decode(), uri, "POST", "v3", str(at)
            )
        )
    except InvalidSignatureTimestampError:
        return False


def code_of(verdict: Verified | Refusal) -> Code:
    assert isinstance(verdict, Refusal)
    return verdict.code


def test_the_published_vector_fits() -> None:
    at = 1693657560000
    found = SOURCE.authenticate(
        request(
            "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
            str(at),
            body=b"{'example_field':'example_value'}",
            uri="https://www.example.com/webhook_uri",
            received_at=at,
        ),
        [Secret("other", b"x"), SECRET],
    )
    assert found == Verified("hubspot-v3", "current", None)


def test_what_hubspots_library_signs_is_verified_with_a_hundred_events() -> None:
    assert isinstance(SOURCE.authenticate(request(theirs()), [SECRET]), Verified)


def test_what_the_simulator_signs_passes_hubspots_library() -> None:
    signature = sign(SECRET.value.decode(), URI, BODY, NOW)
    assert judged(signature, BODY, URI, NOW)


@given(
    st.text(max_size=100),
    st.sampled_from([0, 1000, 298_000, 302_000]),
    st.sampled_from(["as signed", "cut", "other body", "other address", "v1", "spaces"]),
)
def test_the_verdict_is_that_of_hubspots_library(text: str, age: int, form: str) -> None:
    body, at = text.encode(), NOW - age
    signature = {
        "as signed": theirs(body, at=at),
        "cut": theirs(body, at=at)[:-1],
        "other body": theirs(body + b" ", at=at),
        "other address": theirs(body, "http://hooks.example.com/v1/webhooks/acme/hubspot", at),
        "v1": Signature.get_signature(SECRET.value.decode(), text, "v1"),
        "spaces": f" {theirs(body, at=at)}",
    }[form]
    found = SOURCE.authenticate(request(signature, str(at), body=body), [SECRET])
    assert isinstance(found, Verified) == judged(signature, body, URI, at)


@pytest.mark.parametrize(
    ("called", "signed"),
    [
        ("?a=1&b=2", "?a=1&b=2"),
        ("?a=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B", "?a=:/?@!$'()*,;"),
        ("?a=%3a%2f", "?a=:/"),
        ("?a=%20%26%3D%2B%25", "?a=%20%26%3D%2B%25"),
    ],
)
def test_the_query_is_signed_with_some_escapes_in_their_plain_form(
    called: str, signed: str
) -> None:
    good = request(theirs(uri=URI + signed), uri=URI + called)
    assert isinstance(SOURCE.authenticate(good, [SECRET]), Verified)


@pytest.mark.parametrize(
    ("age", "code"), [(300_000, None), (-300_000, None), (300_001, 1), (-300_001, 1)]
)
def test_a_signature_is_good_for_five_minutes_either_way(age: int, code: int | None) -> None:
    found = SOURCE.authenticate(request(theirs(), received_at=NOW + age), [SECRET])
    if code is None:
        assert isinstance(found, Verified)
    else:
        assert code_of(found) is Code.SIGNATURE_STALE


def test_a_time_in_seconds_is_stale() -> None:
    at = NOW // 1000
    found = SOURCE.authenticate(request(theirs(at=at), str(at)), [SECRET])
    assert code_of(found) is Code.SIGNATURE_STALE


def test_the_last_digit_of_the_signature_has_one_right_form() -> None:
    signature = theirs()
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    others = [signature[:-2] + digit + "=" for digit in digits if digit != signature[-2]]
    assert all(
        isinstance(SOURCE.authenticate(request(other), [SECRET]), Refusal) for other in others
    )


@pytest.mark.parametrize("gone", ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"])
def test_a_missing_header_is_told_from_a_wrong_one(gone: str) -> None:
    whole = request(theirs())
    headers = {name: value for name, value in whole.headers.items() if name != gone}
    found = SOURCE.authenticate(whole._replace(headers=headers), [SECRET])
    assert code_of(found) is Code.SIGNATURE_MISSING


def test_the_old_versions_are_no_signature() -> None:
    old = {
        "x-hubspot-signature": Signature.get_signature(
            SECRET.value.decode(), BODY.decode(), "v2", URI
        ),
        "x-hubspot-signature-version": "v2",
    }
    found = SOURCE.authenticate(request("")._replace(headers=old), [SECRET])
    assert code_of(found) is Code.SIGNATURE_MISSING


@given(st.text(), st.text(), st.binary(max_size=50), st.text(max_size=20))
def test_nothing_in_a_request_raises(signature: str, at: str, body: bytes, query: str) -> None:
    asked = request(signature, at, body=body)
    found = SOURCE.authenticate(asked._replace(uri=f"{URI}?{query}"), [SECRET])
    assert isinstance(found, Refusal)
