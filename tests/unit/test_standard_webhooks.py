"""Signing webhooks: as the published examples have it."""

import base64

import pytest

from calstream_core.errors import Code, ConfigError, InvariantError
from calstream_core.standard_webhooks import decode_secret, signed_headers

# published examples: secret, id, time, body, signature
EXAMPLES = [
    (
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        1731705121,
        b'{"event_type":"ping","data":{"success":true}}',
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    ),
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
]
SECRET, ID, TIME, BODY, SIGNATURE = EXAMPLES[0]


@pytest.mark.parametrize(("secret", "id_", "time", "body", "signature"), EXAMPLES)
def test_the_signature_is_that_of_the_published_examples(
    secret: str, id_: str, time: int, body: bytes, signature: str
) -> None:
    assert signed_headers([decode_secret(secret)], id_, time, body) == {
        "webhook-id": id_,
        "webhook-timestamp": str(time),
        "webhook-signature": signature,
    }


def test_while_a_secret_is_replaced_both_sign() -> None:
    keys = [decode_secret(example[0]) for example in EXAMPLES]
    both = signed_headers(keys, ID, TIME, BODY)["webhook-signature"].split(" ")
    assert both[0] == SIGNATURE
    assert both[1] == signed_headers(keys[1:], ID, TIME, BODY)["webhook-signature"]


@pytest.mark.parametrize(
    ("id_", "time", "body"), [("x", TIME, BODY), (ID, TIME + 1, BODY), (ID, TIME, BODY + b" ")]
)
def test_the_id_the_time_and_every_byte_are_signed(id_: str, time: int, body: bytes) -> None:
    assert (
        signed_headers([decode_secret(SECRET)], id_, time, body)["webhook-signature"] != SIGNATURE
    )


@pytest.mark.parametrize("size", [16, 24, 25, 64])
def test_a_secret_is_read_with_and_without_its_prefix_and_padding(size: int) -> None:
    key = bytes(range(size))
    text = base64.b64encode(key).decode()
    for written in (text, text.rstrip("="), f"whsec_{text}", f" whsec_{text}\n"):
        assert decode_secret(written) == key


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_secret_that_is_too_short_or_long_is_refused(size: int) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_secret("whsec_" + base64.b64encode(bytes(size)).decode())
    assert caught.value.code is Code.CONFIG_INVALID


def test_what_is_no_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        decode_secret("whsec_not a secret!")
    assert "not a secret!" not in f"{caught.value.message}{caught.value.hint}"


def test_an_id_with_a_dot_is_refused() -> None:
    with pytest.raises(InvariantError):
        signed_headers([decode_secret(SECRET)], "msg.1", TIME, BODY)
    with pytest.raises(InvariantError):
        signed_headers([], ID, TIME, BODY)
