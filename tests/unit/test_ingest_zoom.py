"""Signatures of Zoom and its question whose address this is.

Zoom publishes no library that verifies. Slack's scheme is the same under other header names, so
Slack's library and the vector of its documentation judge ours.
"""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from calstream_core.errors import Code
from calstream_ingest.sources import Refusal, Request, Secret, Verified
from calstream_ingest.sources.zoom import Zoom
from calstream_sandbox.zoom.signature import encrypted_token, sign

SOURCE = Zoom()
SECRET = Secret("current", b"wV5rN2c0TgqkQxJ8")
BODY = b'{"event": "meeting.created", "event_ts": 1626230691572, "payload": {"object": {}}}'
NOW = 1_795_792_800


def request(
    signature: str, at: str = str(NOW), body: bytes = BODY, received_at: float = NOW
) -> Request:
    headers = {"x-zm-signature": signature, "x-zm-request-timestamp": at}
    uri = "https://hooks.example/v1/webhooks/acme/zoom"
    return Request("POST", uri, headers, body, int(received_at * 1_000_000))


def digest(message: bytes, secret: bytes = SECRET.value) -> str:
    return "v0=" + hmac.new(secret, message, hashlib.sha256).hexdigest()


def code_of(verdict: Verified | Refusal) -> Code:
    assert isinstance(verdict, Refusal)
    return verdict.code


def test_the_vector_that_slack_publishes_for_the_same_scheme_fits() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    secret = Secret("docs", b"8f742231b10e8888abcd99yyyzzz85a5")
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    found = SOURCE.authenticate(
        request(signature, "1531420618", body, 1531420618), [Secret("other", b"x"), secret]
    )
    assert found == Verified("zoom-v0", "docs", None)


@given(
    st.binary(max_size=200),
    st.sampled_from([0, 299, -299, 301, -301]),
    st.sampled_from(["as signed", "v1", "short", "upper case", "other"]),
)
def test_the_verdict_is_that_of_slacks_library(body: bytes, distance: int, form: str) -> None:
    at = NOW - distance
    good = digest(b"v0:%d:%s" % (at, body))
    signature = {
        "as signed": good,
        "v1": good.replace("v0=", "v1="),
        "short": good[:-1],
        "upper case": good.upper(),
        "other": digest(body),
    }[form]

    class Now(Clock):
        def now(self) -> float:
            return NOW

    judge = SignatureVerifier(SECRET.value.decode(), Now())
    try:
        expected = judge.is_valid(body, str(at), signature)
    except UnicodeDecodeError:
        return  # the judge takes text only
    found = SOURCE.authenticate(request(signature, str(at), body), [SECRET])
    assert isinstance(found, Verified) == expected


def test_what_the_simulator_signs_is_verified() -> None:
    signature = sign(SECRET.value.decode(), BODY, NOW)
    assert isinstance(SOURCE.authenticate(request(signature), [SECRET]), Verified)


@pytest.mark.parametrize(("distance", "good"), [(300, True), (-300, True), (301, False)])
def test_a_signature_is_good_for_five_minutes(distance: int, good: bool) -> None:
    signature = sign(SECRET.value.decode(), BODY, NOW)
    found = SOURCE.authenticate(request(signature, received_at=NOW + distance), [SECRET])
    if good:
        assert isinstance(found, Verified)
    else:
        assert code_of(found) is Code.SIGNATURE_STALE


@pytest.mark.parametrize("gone", ["x-zm-signature", "x-zm-request-timestamp"])
def test_a_missing_header_is_told_from_a_wrong_one(gone: str) -> None:
    whole = request(sign(SECRET.value.decode(), BODY, NOW))
    headers = {name: value for name, value in whole.headers.items() if name != gone}
    found = SOURCE.authenticate(whole._replace(headers=headers), [SECRET])
    assert code_of(found) is Code.SIGNATURE_MISSING


@given(st.text(), st.text(), st.binary(max_size=50))
def test_no_header_and_no_body_raises(signature: str, at: str, body: bytes) -> None:
    found = SOURCE.authenticate(request(signature, at, body), [SECRET])
    assert isinstance(found, Refusal)
    SOURCE.answer_challenge(body, SECRET)


def challenge(token: object) -> bytes:
    question = {"event": "endpoint.url_validation", "payload": {"plainToken": token}}
    return json.dumps(question).encode()


def test_the_question_whose_address_this_is_gets_the_token_and_its_hmac() -> None:
    answer = SOURCE.answer_challenge(challenge("qgg8vlvZRS6UYooatFL8Aw"), SECRET)
    assert isinstance(answer, bytes)
    expected = hmac.new(SECRET.value, b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    assert json.loads(answer) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": expected,
    }
    assert expected == encrypted_token(SECRET.value.decode(), "qgg8vlvZRS6UYooatFL8Aw")


@pytest.mark.parametrize(
    "token", [None, 7, "", {}, "x" * 257, "v0:1626230691:{}", "two words", "line\n", "é"]
)
def test_a_token_that_could_be_a_signed_webhook_is_not_answered(token: object) -> None:
    found = SOURCE.answer_challenge(challenge(token), SECRET)
    assert isinstance(found, Refusal)
    assert found.code is Code.CHALLENGE_INVALID


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"",
        b"[]",
        b'"endpoint.url_validation"',
        b'[{"event": "endpoint.url_validation"}]',
        b'{"payload": {"event": "endpoint.url_validation", "plainToken": "x"}}',
        b'{"event": ["endpoint.url_validation"]}',
        b"[" * 100_000,
    ],
)
def test_an_ordinary_webhook_is_no_question(body: bytes) -> None:
    assert SOURCE.answer_challenge(body, SECRET) is None


@pytest.mark.parametrize("payload", [None, [], "x", 7])
def test_a_question_without_a_payload_is_not_answered(payload: object) -> None:
    body = json.dumps({"event": "endpoint.url_validation", "payload": payload}).encode()
    assert isinstance(SOURCE.answer_challenge(body, SECRET), Refusal)
