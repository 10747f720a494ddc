"""Signatures of calendar.live, with vectors that others published for the same algorithm."""

import hashlib
import hmac
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.errors import Code
from calstream_ingest.sources import Refusal, Request, Secret, Verified
from calstream_ingest.sources.calendar_live import CalendarLive

SOURCE = CalendarLive()
SECRET = Secret("current", b"It's a Secret to Everybody")
BODY = b"Hello, World!"
# GitHub's documentation, "Validating webhook deliveries": the same HMAC-SHA256 over the raw body
SIGNATURE = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def request(
    headers: Mapping[str, str] = {"x-cl-signature": SIGNATURE}, body: bytes = BODY
) -> Request:
    return Request("POST", "/v1/webhooks/acme/calendar_live", headers, body, 1)


def signed(body: bytes, secret: bytes) -> Request:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return request({"x-cl-signature": digest}, body)


def code_of(verdict: Verified | Refusal) -> Code:
    assert isinstance(verdict, Refusal)
    return verdict.code


@pytest.mark.parametrize(
    ("secret", "body", "signature"),
    [
        (SECRET.value, BODY, SIGNATURE),
        # RFC 4231, test case 2
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "sha256="])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_published_vectors_are_verified_in_every_form(
    secret: bytes, body: bytes, signature: str, prefix: str, case: Callable[[str], str]
) -> None:
    verdict = SOURCE.authenticate(
        request({"x-cl-signature": prefix + case(signature)}, body), [Secret("current", secret)]
    )
    assert verdict == Verified("hmac-sha256-body", "current", None)


@given(st.data(), st.binary(min_size=1, max_size=300))
def test_a_change_of_any_byte_of_the_body_is_refused(data: st.DataObject, body: bytes) -> None:
    position = data.draw(st.integers(0, len(body) - 1))
    flip = data.draw(st.integers(1, 255))
    tampered = bytearray(body)
    tampered[position] ^= flip
    good = signed(body, SECRET.value)
    assert isinstance(SOURCE.authenticate(good, [SECRET]), Verified)
    bad = good._replace(body=bytes(tampered))
    assert code_of(SOURCE.authenticate(bad, [SECRET])) is Code.SIGNATURE_INVALID


def test_a_change_of_any_digit_of_the_signature_is_refused() -> None:
    for position, digit in enumerate(SIGNATURE):
        other = "0" if digit != "0" else "1"
        tampered = SIGNATURE[:position] + other + SIGNATURE[position + 1 :]
        verdict = SOURCE.authenticate(request({"x-cl-signature": tampered}), [SECRET])
        assert code_of(verdict) is Code.SIGNATURE_INVALID


@given(st.binary(max_size=100), st.binary(max_size=10), st.binary(max_size=10))
def test_bytes_added_before_or_after_the_body_are_refused(
    body: bytes, before: bytes, after: bytes
) -> None:
    if not before + after:
        return
    longer = signed(body, SECRET.value)._replace(body=before + body + after)
    if longer.body == body:
        return
    assert isinstance(SOURCE.authenticate(longer, [SECRET]), Refusal)


@pytest.mark.parametrize(
    "header",
    [
        "sha256=",
        "sha1=" + SIGNATURE,
        SIGNATURE[:-1],
        SIGNATURE + "0",
        SIGNATURE[:-1] + "g",
        " " + SIGNATURE,
        SIGNATURE + "\n",
        SIGNATURE[:32] + " " + SIGNATURE[32:],
        f"{SIGNATURE}, {SIGNATURE}",
        "sha256=sha256=" + SIGNATURE,
        "\x00" * 64,
        "é" * 64,
        "\u0660" * 64,  # digits, but not ours
        "a" * 100_000,
    ],
)
def test_a_malformed_header_is_a_refusal(header: str) -> None:
    verdict = SOURCE.authenticate(request({"x-cl-signature": header}), [SECRET])
    assert code_of(verdict) is Code.SIGNATURE_INVALID


@given(st.text(), st.binary(max_size=50), st.text(max_size=20))
def test_no_header_and_no_body_raises(header: str, body: bytes, delivery: str) -> None:
    headers = {"x-cl-signature": header, "x-cl-delivery-id": delivery}
    assert isinstance(SOURCE.authenticate(request(headers, body), [SECRET]), Refusal)
    SOURCE.named_workspace(body)


@pytest.mark.parametrize("headers", [{}, {"x-cl-signature": ""}])
def test_a_missing_signature_is_told_from_a_wrong_one(headers: dict[str, str]) -> None:
    assert code_of(SOURCE.authenticate(request(headers), [SECRET])) is Code.SIGNATURE_MISSING


@pytest.mark.parametrize("position", [0, 1, 2])
def test_any_of_several_secrets_fits_and_its_label_is_told(position: int) -> None:
    secrets = [Secret("first", b"1"), Secret("second", b"2"), Secret("third", b"3")]
    verdict = SOURCE.authenticate(signed(BODY, secrets[position].value), secrets)
    assert isinstance(verdict, Verified)
    assert verdict.secret_label == secrets[position].label


def test_every_secret_is_tried_after_one_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    compare = hmac.compare_digest

    def counting(expected: bytes, given_signature: bytes) -> bool:
        tried.append(expected)
        return compare(expected, given_signature)

    monkeypatch.setattr("hmac.compare_digest", counting)
    secrets = [SECRET, Secret("second", b"2"), Secret("third", b"3")]
    assert isinstance(SOURCE.authenticate(request(), secrets), Verified)
    assert len(tried) == 3


def test_without_secrets_nothing_is_verified() -> None:
    assert isinstance(SOURCE.authenticate(request(), []), Refusal)


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ("dlv_01K9ZQ", "dlv_01K9ZQ"),
        ("x" * 200, "x" * 200),
        ("x" * 201, None),
        ("", None),
        ("two words", None),
        ("line\nbreak", None),
        ("é", None),
    ],
)
def test_a_delivery_id_is_kept_where_it_is_printable_and_short(
    given_id: str, kept: str | None
) -> None:
    headers = {"x-cl-signature": SIGNATURE, "x-cl-delivery-id": given_id}
    assert SOURCE.authenticate(request(headers), [SECRET]) == Verified(
        "hmac-sha256-body", "current", kept
    )


def test_the_delivery_id_is_outside_the_signature() -> None:
    for delivery in ("one", "two"):
        headers = {"x-cl-signature": SIGNATURE, "x-cl-delivery-id": delivery}
        assert isinstance(SOURCE.authenticate(request(headers), [SECRET]), Verified)


@pytest.mark.parametrize(
    ("body", "workspace"),
    [
        (b'{"workspace": "acme"}', "acme"),
        (b'{"work\\u0073pace": "acme"}', "acme"),
        (b'{"workspace": 7}', None),
        (b'{"workspace": null}', None),
        (b'{"data": {"workspace": "acme"}}', None),
        (b'["workspace", "acme"]', None),
        (b'"workspace"', None),
        (b'{"workspace": "acme"', None),
        (b'{"workspace": "\xff"}', None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_a_body_names_a_workspace_only_as_text_in_its_outermost_object(
    body: bytes, workspace: str | None
) -> None:
    assert SOURCE.named_workspace(body) == workspace


def test_a_secret_is_not_shown() -> None:
    assert "Everybody" not in repr(SECRET)
