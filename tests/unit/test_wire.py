"""What is encoded by hand is what fastavro writes."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.schema import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.sealing import KeyStore
from calstream_ops.bench.bookings import WORKSPACE, Bookings
from calstream_processors.normalise import normalise
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas import codec, wire
from calstream_schemas.codec import Poison
from calstream_schemas.entities.avro import encode_entity
from calstream_schemas.observations import Observation, encode_observation


def _written(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parse_schema(schema), value)
    return out.getvalue()


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_written_alike(number: int) -> None:
    assert wire.long(number) == _written("long", number)


@given(st.text())
def test_texts_are_written_alike(value: str) -> None:
    assert wire.text(value) == _written("string", value)


@given(st.binary())
def test_bytes_are_written_alike(value: bytes) -> None:
    assert wire.blob(value) == _written("bytes", value)


@given(st.lists(st.text(), max_size=5))
def test_lists_are_written_alike(values: list[str]) -> None:
    encoded = wire.items([wire.text(value) for value in values])
    assert encoded == _written({"type": "array", "items": "string"}, values)


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    bookings = Bookings(7, people=20)
    webhooks = [*bookings.people(), *bookings.webhooks(200)]
    return [one for webhook in webhooks for one in normalise(webhook, "US").observations]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    directory: Path = tmp_path_factory.mktemp("keys")
    return KeyStore(directory)


def _again(raw: bytes) -> bytes:
    """The same record as fastavro writes all of it."""
    decoded = codec.decode(raw)
    assert not isinstance(decoded, Poison)
    return codec.encode(decoded.record, decoded.body)


def test_observations_are_written_as_fastavro_writes_them(
    observations: list[Observation], keys: KeyStore
) -> None:
    sealer = keys.sealer(WORKSPACE)
    kinds = set()
    for one in (*observations, *_unusual(observations)):
        raw = encode_observation(one, sealer)
        assert raw == _again(raw)
        kinds.add(one.kind)
    assert kinds >= {"contact", "booking", "attendance", "payment", "consent"}


def _unusual(observations: list[Observation]) -> Iterator[Observation]:
    """Statements of several times, of one group twice, and none at all."""
    for one in observations[:20]:
        later = [replace(said, stamp=said.stamp._replace(by_self=True)) for said in one.statements]
        yield replace(one, statements=(*one.statements, *later))
        yield replace(one, statements=(*one.statements, *one.statements))
        yield replace(one, statements=())


def test_entities_are_written_as_fastavro_writes_them(
    observations: list[Observation], keys: KeyStore
) -> None:
    sealer = keys.sealer(WORKSPACE)
    workspace = Workspace(IdentityIndex(sealer.keyed_hash))
    kinds = set()
    for observation in observations:
        for entity in resolve(workspace, observation, workspace.rules):
            workspace.put(entity)
            raw = encode_entity(entity, sealer)
            assert raw == _again(raw)
            kinds.add(entity.kind)
    assert kinds >= {"contact", "booking", "attendance", "payment", "consent"}
