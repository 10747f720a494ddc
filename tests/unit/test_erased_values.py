"""What was erased reads as erased everywhere, and nothing stumbles over it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from calstream_core.sealing import (
    Erased,
    KeyName,
    KeyStore,
    contact_key,
    day_key,
    object_key,
)
from calstream_ops.inspection.entity_report import describe
from calstream_ops.inspection.log_reader import LogRecord
from calstream_ops.inspection.rendering import decoded
from calstream_ops.inspection.webhook_lines import webhook_line
from calstream_processors.normalise.normaliser import normalise
from calstream_processors.resolve.keys_ahead import keys_ahead
from calstream_processors.resolve.matching import keys_of_copies, match_rules, plain_hash
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities import Entity, NaturalId, Stamp, Value
from calstream_schemas.entities.avro import (
    content_hash,
    decode_entities,
    decode_entity,
    encode_entity,
    entity_headers,
    key_of,
)
from calstream_schemas.observations import (
    Fact,
    Observation,
    Statement,
    decode_observation,
    decode_observations,
    encode_observation,
)
from calstream_schemas.webhooks import ReceivedWebhook, decode_received, encode_received
from calstream_sinks.api import NotWanted
from calstream_sinks.hubspot.projection import project_contact

NINE = 1_795_166_102_000_000  # 2026-11-20T09:15:02Z
ATTENDEE = NaturalId("calendar_live", "attendee", "att_55")
EVENT = NaturalId("calendar_live", "event", "cal_7f3a")
SEAT = NaturalId("calendar_live", "attendance", "cal_7f3a/att_55")


def said(
    kind: str, natural_id: NaturalId, at: int = NINE, **groups: Mapping[str, Value]
) -> Observation:
    return Observation(
        id=f"o-{natural_id}-{at}",
        workspace="acme",
        fact=Fact.STATE,
        kind=kind,
        natural_id=natural_id,
        role="calendar",
        received_at=at,
        occurred_at=at,
        statements=tuple(
            Statement(group, values, Stamp(-1, at, by_self=False))
            for group, values in groups.items()
        ),
    )


PERSON = said(
    "contact", ATTENDEE, email={"email": "jo.park@example.com"}, name={"full_name": "Jo Park"}
)
BOOKING = said(
    "booking", EVENT, title={"title": "Product trial"}, location={"join_url": "https://x.example"}
)
ATTENDANCE = said(
    "attendance",
    SEAT,
    booking={"booking_ref": str(EVENT)},
    contact={"contact_ref": str(ATTENDEE)},
    answers={"answers": '{"size": 3}'},
)


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def truth(*observations: Observation) -> dict[str, Entity]:
    """The newest version of each kind."""
    state = Workspace()
    for observation in observations:
        for entity in resolve(state, observation, CALENDAR_TO_CRM):
            state.put(entity)
    return {entity.kind: entity for entity in state.entities.values()}


def written(entity: Entity, keys: KeyStore) -> bytes:
    return encode_entity(entity, keys.sealer("acme"))


def read(raw: bytes, keys: KeyStore) -> Entity:
    entity = decode_entity(raw, keys.sealer)
    assert isinstance(entity, Entity), entity
    return entity


def test_a_person_s_attendance_is_sealed_with_the_person_s_key_and_a_booking_with_its_own() -> None:
    found = truth(PERSON, BOOKING, ATTENDANCE)
    person = contact_key(found["contact"].id)
    assert key_of(found["contact"]) == key_of(found["attendance"]) == person
    assert key_of(found["booking"]) == object_key("booking", found["booking"].id)
    alone = truth(ATTENDANCE)["attendance"]
    assert key_of(alone) == object_key("attendance", alone.id)


def test_the_keys_of_a_batch_are_told_before_it_is_resolved() -> None:
    nothing = said("contact", NaturalId("crm", "contact", "1"), company={"company": "Acme"})
    found = truth(PERSON, BOOKING, ATTENDANCE)
    told = list(keys_ahead(Workspace(), [PERSON, BOOKING, ATTENDANCE, nothing], CALENDAR_TO_CRM))
    assert told == [key_of(found["contact"]), key_of(found["booking"])]


def test_to_destroy_a_person_s_key_erases_the_person_and_leaves_the_booking(
    keys: KeyStore,
) -> None:
    before = truth(PERSON, BOOKING, ATTENDANCE)
    raws = {kind: written(entity, keys) for kind, entity in before.items()}
    keys.destroy("acme", [contact_key(before["contact"].id)])
    after = {kind: read(raw, keys) for kind, raw in raws.items()}
    person = after["contact"]
    assert {str(person.values[name]) for name in ("email", "full_name")} == {"erased"}
    assert isinstance(after["attendance"].values["answers"], Erased)
    assert after["booking"] == before["booking"]
    # what is not sealed stays, and what is written again has the same bytes
    assert after["attendance"].references == before["attendance"].references
    assert {kind: written(entity, keys) for kind, entity in after.items()} == raws
    assert content_hash(person, keys.sealer("acme")) == content_hash(person, keys.sealer("acme"))
    assert "email_hash" not in dict(entity_headers(person, keys.sealer("acme")))


def test_an_erased_person_is_found_by_nothing_written_nowhere_and_shown_as_erased(
    keys: KeyStore,
) -> None:
    before = truth(PERSON)["contact"]
    raw = written(before, keys)
    keys.destroy("acme", [contact_key(before.id)])
    person = read(raw, keys)
    rules = match_rules(CALENDAR_TO_CRM)
    assert keys_of_copies(before.copies.values(), before.values, rules, plain_hash)
    assert not keys_of_copies(person.copies.values(), person.values, rules, plain_hash)
    assert isinstance(project_contact(person), NotWanted)
    shown = describe(person)
    assert shown["fields"]["email"]["value"] == "erased"
    assert shown["copies"][0]["groups"]["name"]["values"] == {"full_name": "erased"}
    record = LogRecord("entities", 0, 0, 0, person.key, raw)
    assert decoded(record)["value"]["email"] == "sealed"
    assert decoded(record, keys.sealer)["value"]["email"] == "erased"


def test_an_erased_observation_still_folds(keys: KeyStore) -> None:
    raw = encode_observation(PERSON, keys.sealer("acme"))
    keys.destroy("acme", [object_key(*ATTENDEE)])
    observation = decode_observation(raw, keys.sealer)
    assert isinstance(observation, Observation)
    person = truth(observation, said("contact", ATTENDEE, NINE + 1, name={"full_name": "Jo"}))
    assert isinstance(person["contact"].values["email"], Erased)
    assert person["contact"].values["full_name"] == "Jo"
    again = read(written(person["contact"], keys), keys)
    assert again == person["contact"]


def test_batches_are_read_as_single_records_are(keys: KeyStore) -> None:
    sealer = keys.sealer("acme")
    observations = [PERSON, BOOKING, ATTENDANCE]
    raws = [encode_observation(each, sealer) for each in observations]
    fresh = KeyStore(keys.directory)
    assert decode_observations(raws, fresh.sealer) == observations
    entities = list(truth(*observations).values())
    written_ = [written(entity, keys) for entity in entities]
    assert decode_entities(written_, KeyStore(keys.directory).sealer) == entities
    [poison] = decode_observations([b"nonsense"], fresh.sealer)
    assert not isinstance(poison, Observation)


def test_a_webhook_of_a_day_whose_key_is_gone_is_no_poison(keys: KeyStore) -> None:
    webhook = ReceivedWebhook(
        "55f82269-3ea4-40bd-9572-d1be32c6d2dc",
        "acme",
        "calendar_live",
        NINE,
        "dlv_1",
        "hmac-sha256-body",
        "default",
        "application/json",
        b'{"id": "evt_1", "type": "event.created"}',
    )
    raw = encode_received(webhook, keys.sealer("acme"))
    day: KeyName = day_key(NINE)
    assert day.name == "2026-11-20"
    assert keys.destroy("acme", [day]) == 1
    received = decode_received(raw, keys.sealer)
    assert isinstance(received, ReceivedWebhook)
    assert isinstance(received.body, Erased)
    assert normalise(received, "US").outcome == "erased"
    record = LogRecord("webhooks", 0, 0, 0, "acme", raw)
    assert decoded(record, keys.sealer)["value"]["body"] == "erased"
    assert webhook_line(record, keys.sealer).event_id == ""
