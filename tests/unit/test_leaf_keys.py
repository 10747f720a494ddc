"""A webhook has a key of its own below the day's: one is destroyed, all others open."""

import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.sealing import Box, Erased, KeyStore, day_key, leaf_of
from calstream_core.sealing.leaves import DEPTH, DIGITS, beside, descend
from calstream_core.sealing.rotation import rotate
from calstream_schemas.webhooks import (
    ReceivedWebhook,
    decode_received,
    encode_received,
    sealed_body,
)

NOON = 1_795_608_000_000_000
ROOT = bytes(range(64))
LEAVES = st.text(DIGITS, min_size=DEPTH, max_size=DEPTH)


@given(destroyed=LEAVES, other=LEAVES)
@settings(max_examples=200)
def test_from_what_is_kept_every_leaf_is_made_but_one(destroyed: str, other: str) -> None:
    kept = dict(beside(ROOT, "", destroyed))
    holders = [digits for digits in kept if other.startswith(digits)]
    if other == destroyed:
        assert holders == []
    else:
        (digits,) = holders
        assert descend(kept[digits], other[len(digits) :]) == descend(ROOT, other)
    assert descend(ROOT, destroyed) not in kept.values()
    assert len(kept) == DEPTH * (len(DIGITS) - 1)


def _webhook(body: bytes) -> ReceivedWebhook:
    id_ = str(uuid.uuid4())
    return ReceivedWebhook(
        id_, "acme", "calendar_live", NOON, None, "", "", "application/json", body
    )


def _body(raw: bytes, keys: KeyStore) -> bytes | Erased:
    read = decode_received(raw, keys.sealer)
    assert isinstance(read, ReceivedWebhook)
    return read.body


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def _destroy(keys: KeyStore, *raws: bytes) -> int:
    places = [place for raw in raws if (place := sealed_body(raw)) is not None]
    assert {workspace for workspace, *_ in places} <= {"acme"}
    return keys.destroy_leaves("acme", [(key_id, leaf) for _, key_id, leaf in places])


def test_one_webhook_becomes_unreadable_and_the_others_of_its_day_stay(keys: KeyStore) -> None:
    sealer = keys.sealer("acme")
    raws = [encode_received(_webhook(b"body %d" % n), sealer) for n in range(20)]
    assert _destroy(keys, raws[3]) == 1
    assert _destroy(keys, raws[3]) == 0  # once is enough
    assert _destroy(keys, raws[7], raws[8]) == 2
    for store in (keys, KeyStore(keys.directory)):  # who had the keys at hand, and who had not
        for number, raw in enumerate(raws):
            body = _body(raw, store)
            if number in {3, 7, 8}:
                assert isinstance(body, Erased)
            else:
                assert body == b"body %d" % number
    fresh = encode_received(_webhook(b"later on"), keys.sealer("acme"))
    assert _body(fresh, KeyStore(keys.directory)) == b"later on"


def test_no_key_that_is_left_opens_the_webhook(keys: KeyStore) -> None:
    webhook = _webhook(b"gone")
    raw = encode_received(webhook, keys.sealer("acme"))
    place = sealed_body(raw)
    assert place is not None
    _, root, leaf = place
    assert leaf == leaf_of(webhook.id)
    _destroy(keys, raw)
    sealer = KeyStore(keys.directory).sealer("acme")
    box = Box(root, b"\x00" * 32)
    for digits in (leaf[:depth] for depth in range(DEPTH + 1)):
        assert isinstance(sealer.open("webhook.body", box, leaf or digits), Erased)


def test_keys_that_stand_in_are_rotated_and_end_with_their_day(keys: KeyStore) -> None:
    sealer = keys.sealer("acme")
    one, other = (encode_received(_webhook(b"body"), sealer) for _ in range(2))
    _destroy(keys, one)
    rotate(keys)
    assert _body(other, KeyStore(keys.directory)) == b"body"
    assert isinstance(_body(one, KeyStore(keys.directory)), Erased)
    assert keys.destroy_days_before("acme", day_key(NOON)) == 0
    day_microseconds = 24 * 60 * 60 * 1_000_000
    assert keys.destroy_days_before("acme", day_key(NOON + day_microseconds)) > 100
    assert isinstance(_body(other, KeyStore(keys.directory)), Erased)
