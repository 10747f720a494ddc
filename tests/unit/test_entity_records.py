"""An entity survives its record: whatever it holds, it is read back as it was."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.sealing import KeyStore
from calstream_processors.resolve.copies import apply
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_schemas.codec import Poison
from calstream_schemas.entities import KINDS, Cause, Entity, Field, FieldType, NaturalId, Stamp
from calstream_schemas.entities.avro import decode_entity, encode_entity, entity_headers
from calstream_schemas.observations import (
    ABOUT_RULES,
    Fact,
    Observation,
    Statement,
    decode_observation,
    encode_observation,
)

long = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
by_type = {
    FieldType.TEXT: text,
    FieldType.WHOLE: long,
    FieldType.INSTANT: long,
    FieldType.FLAG: st.booleans(),
    FieldType.TEXTS: st.lists(text, max_size=3).map(tuple),
}


def _value(field: Field) -> st.SearchStrategy:
    return st.none() | by_type[field.type]


stamps = st.builds(Stamp, st.integers(-1, 9), st.integers(0, 2**50), st.booleans())


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    kind = draw(st.sampled_from(sorted(KINDS.values(), key=lambda k: k.name)))
    statements = []
    for group in kind.groups:
        if draw(st.booleans()):
            values = draw(
                st.fixed_dictionaries({}, optional={f.name: _value(f) for f in group.fields})
            )
            statements.append(Statement(group.name, values, draw(stamps)))
    return Observation(
        id="o1",
        workspace="acme",
        fact=draw(st.sampled_from(sorted(set(Fact) - ABOUT_RULES - {Fact.TICK}))),
        kind=kind.name,
        natural_id=NaturalId("calendar_live", kind.name, draw(text)),
        role="calendar",
        received_at=draw(long),
        occurred_at=draw(long),
        statements=tuple(statements),
        about=draw(st.none() | text),
        same_as=draw(st.none() | text.map(lambda id_: NaturalId("calendar_live", "hold", id_))),
        event_id=draw(st.none() | text),
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


@settings(max_examples=150, deadline=None)
@given(observation=observations())
def test_an_observation_is_read_back_as_it_was(keys: KeyStore, observation: Observation) -> None:
    raw = encode_observation(observation, keys.sealer("acme"))
    assert decode_observation(raw, keys.sealer) == observation


@settings(max_examples=150, deadline=None)
@given(observation=observations())
def test_an_entity_is_read_back_as_it_was(keys: KeyStore, observation: Observation) -> None:
    copies = apply({}, observation)
    values, decisions = fold(KINDS[observation.kind], copies.values(), CALENDAR_TO_CRM)
    entity = Entity(
        workspace="acme",
        kind=observation.kind,
        id="9d3c6f0e-0000-5000-8000-000000000000",
        version=3,
        created_at=1,
        cause=Cause("o1", 2, 3),
        copies=copies,
        values=values,
        decisions=decisions,
        references={"booking_ref": "some-id"},
    )
    raw = encode_entity(entity, keys.sealer("acme"))
    assert decode_entity(raw, keys.sealer) == entity
    assert raw == encode_entity(entity, keys.sealer("acme"))
    headers = dict(entity_headers(entity, keys.sealer("acme")))
    assert headers["version"] == b"3"


def test_personal_values_are_not_in_the_record(keys: KeyStore) -> None:
    observation = Observation(
        id="o1",
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=NaturalId("calendar_live", "attendee", "att_1"),
        role="calendar",
        received_at=1,
        occurred_at=1,
        statements=(
            Statement("email", {"email": "jo.park@example.com"}, Stamp(-1, 1, by_self=False)),
            Statement("name", {"full_name": "Jo Park"}, Stamp(-1, 1, by_self=False)),
        ),
    )
    raw = encode_observation(observation, keys.sealer("acme"))
    assert b"jo.park" not in raw
    assert b"Jo Park" not in raw


def test_a_record_of_another_installation_is_poison(keys: KeyStore, tmp_path: Path) -> None:
    observation = Observation(
        id="o1",
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=NaturalId("calendar_live", "attendee", "att_1"),
        role="calendar",
        received_at=1,
        occurred_at=1,
        statements=(Statement("email", {"email": "a@b.c"}, Stamp(-1, 1, by_self=False)),),
    )
    raw = encode_observation(observation, keys.sealer("acme"))
    assert isinstance(decode_observation(raw, KeyStore(tmp_path).sealer), Poison)
