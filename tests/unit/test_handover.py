"""What the normaliser hands over is what the resolver would have read."""

import pytest

from calstream_core.sealing import Erased, KeyStore
from calstream_ops.bench.bookings import WORKSPACE, Bookings
from calstream_processors.handover import Handover
from calstream_processors.normalise import normalise
from calstream_schemas.codec import Poison
from calstream_schemas.observations import (
    Observation,
    decode_observations,
    encode_observation,
    sealed_with,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


def _left(handover: Handover, keys: KeyStore, count: int, seed: int) -> list[bytes]:
    """The bytes of observations that were left."""
    raws = []
    for webhook in Bookings(seed, people=10).webhooks(count):
        for observation in normalise(webhook, "US").observations:
            raws.append(encode_observation(observation, keys.sealer(WORKSPACE)))
            handover.leave(raws[-1], observation)
    return raws


def test_what_is_handed_over_is_what_is_read_from_the_bytes(keys: KeyStore) -> None:
    handover = Handover()
    raws = _left(handover, keys, 100, seed=1)
    handed, read = handover.read(raws, keys), decode_observations(raws, keys.sealer)
    assert handed == read
    # once: a second reader has the bytes
    assert all(
        one is not other for one, other in zip(handover.read(raws, keys), handed, strict=True)
    )


def test_bytes_that_nobody_left_are_read_as_ever(keys: KeyStore) -> None:
    raws = [b"junk", *_left(Handover(), keys, 5, seed=2)]
    found = Handover().read(raws, keys)
    assert isinstance(found[0], Poison)
    assert found[1:] == decode_observations(raws[1:], keys.sealer)


def test_only_the_last_ones_are_kept(keys: KeyStore) -> None:
    handover = Handover(limit=3)
    raws = _left(handover, keys, 10, seed=3)
    first, last = handover.read([raws[0]], keys)[0], handover.read([raws[-1]], keys)[0]
    assert isinstance(first, Observation)
    assert isinstance(last, Observation)
    assert handover.read(raws, keys) == decode_observations(raws, keys.sealer)


def test_a_key_that_was_destroyed_meanwhile_leaves_nothing_to_read(keys: KeyStore) -> None:
    handover = Handover()
    raws = _left(handover, keys, 3, seed=4)
    names = {
        name
        for one in decode_observations(raws, keys.sealer)
        if isinstance(one, Observation) and (name := sealed_with(one)) is not None
    }
    assert keys.destroy(WORKSPACE, names) == len(names)
    for one in handover.read(raws, keys):
        assert isinstance(one, Observation)
        values = {n: v for said in one.statements for n, v in said.values.items()}
        for field in ("email", "full_name", "host_email", "answers"):
            assert values.get(field) is None or isinstance(values[field], Erased), field
