"""Signatures of Stripe, judged by Stripe's own library."""

import hashlib
import hmac
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import SignatureVerificationError, WebhookSignature

from calstream_core.errors import Code
from calstream_ingest.sources import Refusal, Request, Secret, Verified
from calstream_ingest.sources.stripe import Stripe

SOURCE = Stripe()
SECRET = Secret("current", b"whsec_plJ3nmyCDGBKInavdOK15jsl")
BODY = b'{"id": "evt_1", "object": "event"}'
NOW = 1_795_792_800


@pytest.fixture(scope="module", autouse=True)
def _clock_of_the_judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stripe._webhook.time", SimpleNamespace(time=lambda: NOW))
        yield


def digest(at_seconds: int = NOW, body: bytes = BODY, secret: bytes = SECRET.value) -> str:
    return hmac.new(secret, b"%d.%s" % (at_seconds, body), hashlib.sha256).hexdigest()


def request(header: str, body: bytes = BODY, received_at: float = NOW) -> Request:
    headers = {"stripe-signature": header}
    uri = "https://hooks.example/v1/webhooks/acme/stripe"
    return Request("POST", uri, headers, body, int(received_at * 1_000_000))


def verdict(header: str, body: bytes = BODY) -> Verified | Refusal:
    return SOURCE.authenticate(request(header, body), [SECRET])


def judged(header: str, body: bytes = BODY) -> bool:
    try:
        WebhookSignature.verify_header(body.decode(), header, SECRET.value.decode(), 300)
    except SignatureVerificationError:
        return False
    return True


def test_what_stripes_library_signs_is_verified() -> None:
    header = WebhookSignature.generate_signature_header(BODY.decode(), SECRET.value.decode(), NOW)
    assert verdict(header) == Verified("stripe-v1", "current", None)


def test_what_the_simulator_signs_passes_stripes_library() -> None:
    assert judged(f"t={NOW},v1={digest()}")


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={digest()}",
        f"v1={digest()},t={NOW}",
        f"t={NOW},v1={'0' * 64},v1={digest()}",
        f"t={NOW},v1={digest()},v0=whatever",
        f"t={NOW},v1=junk,v1={digest()}",
        f"t={NOW},v0={digest()}",
        f"t={NOW},v1={'0' * 64}",
        f"t={NOW - 301},v1={digest()}",
        f"t={NOW - 301},v1={digest(NOW - 301)}",
        f"t={NOW - 290},v1={digest(NOW - 290)}",
        f"v1={digest()}",
        f"t={NOW}",
        f"t=x,v1={digest()}",
        f"t={NOW},v1={digest()[:-1]}",
        f"t={NOW};v1={digest()}",
        f"t={NOW},v1 ={digest()}",
        "t=,v1=",
        "=,=",
        ",",
        "junk",
    ],
)
def test_the_verdict_is_that_of_stripes_library(header: str) -> None:
    assert isinstance(verdict(header), Verified) == judged(header)


parts = st.sampled_from(
    [
        f"t={NOW}",
        f"t={NOW - 1000}",
        "t=",
        "t=x",
        f"v1={digest()}",
        f"v1={digest(NOW - 1000)}",
        f"v1={'0' * 64}",
        f"v0={digest()}",
        "v1=",
        "",
        "=",
    ]
)


@given(st.lists(parts, max_size=5))
def test_no_header_passes_that_stripes_library_refuses(given_parts: list[str]) -> None:
    header = ",".join(given_parts)
    if isinstance(verdict(header), Verified):
        assert judged(header)


@pytest.mark.parametrize(
    ("distance", "code"), [(0, None), (300, None), (-300, None), (301, "stale"), (-301, "stale")]
)
def test_a_signature_is_good_for_five_minutes_either_way(distance: int, code: str | None) -> None:
    header = f"t={NOW},v1={digest()}"
    found = SOURCE.authenticate(request(header, received_at=NOW + distance), [SECRET])
    if code is None:
        assert isinstance(found, Verified)
    else:
        assert isinstance(found, Refusal)
        assert found.code is Code.SIGNATURE_STALE


def test_a_wrong_signature_of_an_old_time_is_wrong_first() -> None:
    found = verdict(f"t={NOW - 301},v1={'0' * 64}")
    assert isinstance(found, Refusal)
    assert found.code is Code.SIGNATURE_INVALID


def test_while_a_secret_is_rolled_any_signature_under_any_secret_fits() -> None:
    secrets = [Secret("old", b"whsec_old"), Secret("next", b"whsec_next")]
    for signed in (b"whsec_old", b"whsec_next"):
        header = f"t={NOW},v1={digest(secret=b'whsec_gone')},v1={digest(secret=signed)}"
        found = SOURCE.authenticate(request(header), secrets)
        assert isinstance(found, Verified)
        assert found.secret_label == ("old" if signed == b"whsec_old" else "next")


def test_two_times_are_refused() -> None:
    assert isinstance(verdict(f"t={NOW},t={NOW},v1={digest()}"), Refusal)


@given(st.text(), st.binary(max_size=50))
def test_no_header_and_no_body_raises(header: str, body: bytes) -> None:
    assert isinstance(SOURCE.authenticate(request(header, body), [SECRET]), Refusal)
    assert SOURCE.answer_challenge(body, SECRET) is None
    assert SOURCE.named_workspace(body) is None


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=3))
def test_another_body_is_refused(body: bytes, more: bytes) -> None:
    header = f"t={NOW},v1={digest(body=body)}"
    assert isinstance(verdict(header, body), Verified)
    assert isinstance(verdict(header, body + more), Refusal)


def test_a_missing_signature_is_told_from_a_wrong_one() -> None:
    found = SOURCE.authenticate(request("")._replace(headers={}), [SECRET])
    assert isinstance(found, Refusal)
    assert found.code is Code.SIGNATURE_MISSING


@pytest.mark.parametrize("time_text", ["0123456789", "\u0661795792800", "-1", "1e9", "9" * 13])
def test_a_time_is_plain_digits(time_text: str) -> None:
    assert isinstance(verdict(f"t={time_text},v1={digest()}"), Refusal)
