"""Records and entities as people see them: what is shown, and what stays closed."""

import base64
import json
from pathlib import Path

import pytest

from calstream_core.errors import ConfigError
from calstream_core.sealing import KeyStore, open_keys
from calstream_core.settings import Settings
from calstream_ops.inspection.entity_log import Version
from calstream_ops.inspection.entity_report import describe, describe_history
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogRecord
from calstream_ops.inspection.rendering import decoded, raw
from calstream_ops.inspection.webhook_lines import webhook_line
from calstream_schemas.entities import (
    Cause,
    Copy,
    Decision,
    Entity,
    NaturalId,
    Register,
    Stamp,
)
from calstream_schemas.entities.avro import encode_entity, entity_headers
from calstream_schemas.webhooks import (
    ReceivedWebhook,
    RejectedWebhook,
    encode_received,
    encode_rejected,
)

NINE = 1_795_166_102_000_000  # 2026-11-20T09:15:02Z
ATTENDEE = NaturalId("calendar_live", "attendee", "att_55")
PERSON = NaturalId("hubspot", "contact", "501")
BODY = b'{"id": "evt_1", "type": "event.created"}'


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return open_keys(settings_at(tmp_path))


def settings_at(state: Path) -> Settings:
    return Settings.model_validate({"state": {"directory": state}})


def a_contact(*, version: int = 1, name: str = "Jo Park", in_crm: str | None = None) -> Entity:
    stamp = (Stamp(0, NINE, by_self=False),)
    copies = {
        ATTENDEE: Copy(
            ATTENDEE,
            "calendar",
            {
                "email": Register({"email": "jo.park@example.com"}, stamp),
                "name": Register({"full_name": name}, stamp),
            },
        )
    }
    if in_crm is not None:
        by_us = (Stamp(-1, NINE, by_self=True),)
        copies[PERSON] = Copy(PERSON, "crm", {"name": Register({"full_name": in_crm}, by_us)})
    return Entity(
        workspace="acme",
        kind="contact",
        id="6f1b5c1e-0d5e-5d0e-9c55-2b7a3f5b1a11",
        version=version,
        created_at=NINE,
        cause=Cause("o1", NINE, NINE),
        copies=copies,
        values={"email": "jo.park@example.com", "full_name": name},
        decisions={"email": Decision(ATTENDEE, "owner"), "name": Decision(ATTENDEE, "only")},
    )


def record_of(entity: Entity, keys: KeyStore, topic: str = "entities") -> LogRecord:
    sealer = keys.sealer(entity.workspace)
    headers = {name: value.decode() for name, value in entity_headers(entity, sealer)}
    return LogRecord(topic, 0, 7, NINE // 1000, entity.key, encode_entity(entity, sealer), headers)


def test_personal_values_are_closed_and_the_rest_is_readable(keys: KeyStore) -> None:
    shown = decoded(record_of(a_contact(), keys))
    assert shown["record"] == "Contact"
    assert shown["timestamp"] == "2026-11-20T09:15:02.000Z"
    assert shown["headers"]["version"] == "1"
    value = shown["value"]
    assert value["email"] == value["full_name"] == "sealed"
    assert value["created_at"] == value["cause"]["received_at"] == "2026-11-20T09:15:02.000Z"
    register = value["copies"][0]["registers"][0]
    assert register["cells"] == [{"field": "email", "value": "sealed"}]
    assert register["stamps"][0]["modified_at"] == "2026-11-20T09:15:02.000Z"
    assert "jo.park" not in json.dumps(shown)


def test_the_key_opens_every_personal_value(keys: KeyStore, tmp_path: Path) -> None:
    record = record_of(a_contact(), keys)
    value = decoded(record, existing_keys(settings_at(tmp_path)))["value"]
    assert value["email"] == "jo.park@example.com"
    assert value["copies"][0]["registers"][0]["cells"][0]["value"] == "jo.park@example.com"


def test_without_the_key_it_stays_closed_and_no_key_is_made(keys: KeyStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shown = decoded(record_of(a_contact(), keys), existing_keys(settings_at(elsewhere)))
    assert shown["value"]["email"] == "sealed"
    assert not elsewhere.exists()


def test_reading_makes_no_key_whatever_the_workspace_is_called(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    for name in ("acme", "../acme", ""):
        with pytest.raises(ConfigError):
            existing_keys(settings_at(tmp_path))(name)
    assert not list((tmp_path / "keys").iterdir())


def test_what_can_not_be_decoded_is_shown_as_it_is() -> None:
    shown = decoded(LogRecord("observations", 0, 0, 0, "acme", b"\x00other"))
    assert shown["unreadable"]
    assert base64.b64decode(shown["value_base64"]) == b"\x00other"


def test_a_deletion_has_no_value() -> None:
    record = LogRecord("entities", 0, 0, 0, "acme/contact/1", None)
    assert decoded(record)["value"] is None
    assert raw(record)["value_base64"] is None


def test_a_seen_observation_is_a_time() -> None:
    record = LogRecord("eu.resolver.state", 0, 0, 0, "acme/o1", str(NINE).encode())
    assert decoded(record)["value"] == "2026-11-20T09:15:02.000Z"


def a_webhook(body: bytes) -> ReceivedWebhook:
    return ReceivedWebhook(
        "55f82269-3ea4-40bd-9572-d1be32c6d2dc",
        "acme",
        "calendar_live",
        NINE,
        "dlv_1",
        "hmac-sha256-body",
        "default",
        "application/json",
        body,
    )


def test_a_webhook_s_body_is_closed_until_it_is_opened(keys: KeyStore, tmp_path: Path) -> None:
    value = encode_received(a_webhook(BODY), keys.sealer("acme"))
    record = LogRecord("webhooks", 0, 0, 0, "acme", value)
    assert decoded(record)["value"]["body"] == "sealed"
    opened = decoded(record, existing_keys(settings_at(tmp_path)))["value"]
    assert opened["body"] == {"id": "evt_1", "type": "event.created"}
    assert opened["received_at"] == "2026-11-20T09:15:02.000Z"


def test_webhooks_are_lines_with_what_became_of_them(keys: KeyStore) -> None:
    sealer = keys.sealer("acme")
    taken = LogRecord("webhooks", 0, 0, 0, "acme", encode_received(a_webhook(BODY), sealer))
    line = webhook_line(taken, keys.sealer)
    assert (line.event_type, line.event_id, line.outcome) == ("event.created", "evt_1", "accepted")
    refused = RejectedWebhook(
        "55f82269-3ea4-40bd-9572-d1be32c6d2dc",
        "acme",
        "calendar_live",
        NINE,
        401,
        "signature-invalid",
        "no",
        {},
        4,
        b"[1]\n",
    )
    record = LogRecord("eu.webhooks.rejected", 0, 0, 0, "acme", encode_rejected(refused, sealer))
    line = webhook_line(record, keys.sealer)
    assert (line.event_type, line.outcome) == ("", "401 signature-invalid")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            b'{"event": "meeting.created", "event_ts": 1626230691572}',
            ("meeting.created", "1626230691572"),
        ),
        (
            b'[{"subscriptionType": "contact.creation", "eventId": 7}, {}]',
            ("contact.creation", "7"),
        ),
        (b"[]", ("", "")),
        (b"[[]]", ("", "")),
    ],
)
def test_each_vendor_s_webhooks_tell_their_type_and_id(
    keys: KeyStore, body: bytes, shown: tuple[str, str]
) -> None:
    value = encode_received(a_webhook(body), keys.sealer("acme"))
    line = webhook_line(LogRecord("webhooks", 0, 0, 0, "acme", value), keys.sealer)
    assert (line.event_type, line.event_id) == shown


def test_a_webhook_that_can_not_be_read_is_a_line_too(keys: KeyStore) -> None:
    line = webhook_line(LogRecord("webhooks", 0, 0, 0, "acme", b"?"), keys.sealer)
    assert line.workspace == "acme"
    assert line.outcome.startswith("record-unreadable")


def test_each_field_tells_who_decided_it_when_and_by_which_rule() -> None:
    found = describe(a_contact())
    assert found["fields"]["full_name"] == {
        "value": "Jo Park",
        "group": "name",
        "source": {"system": "calendar_live", "type": "attendee", "id": "att_55"},
        "said_at": "2026-11-20T09:15:02.000Z",
        "rule": "only",
    }
    assert "phone" not in found["fields"]


def test_a_copy_tells_where_it_differs_from_the_truth() -> None:
    copies = {copy["system"]: copy for copy in describe(a_contact(in_crm="Jo P."))["copies"]}
    assert copies["hubspot"]["differs"] == {"full_name": "Jo P."}
    assert copies["hubspot"]["groups"]["name"]["by_calstream"]
    assert copies["calendar_live"]["differs"] == {}


def test_a_history_tells_what_each_version_changed(keys: KeyStore) -> None:
    entities = [
        a_contact(),
        a_contact(version=2, in_crm="Jo Park"),
        a_contact(version=3, name="Jo Parker", in_crm="Jo Park"),
    ]
    versions = [Version(record_of(entity, keys), entity) for entity in entities]
    gone = Version(LogRecord("entities", 0, 9, 0, entities[0].key, None), None)
    first, second, third, last = describe_history([*versions, gone])
    assert {change["field"] for change in first["changes"]} == {"email", "full_name"}
    assert second["changes"] == []
    assert [(copy["system"], copy["change"]) for copy in second["copies"]] == [("hubspot", "new")]
    assert [(c["field"], c["before"], c["after"]) for c in third["changes"]] == [
        ("full_name", "Jo Park", "Jo Parker")
    ]
    assert [copy["system"] for copy in third["copies"]] == ["calendar_live"]
    assert last["deleted"]
