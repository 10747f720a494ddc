"""calendar.live's webhooks become observations, and bad input becomes a coded outcome."""

import copy
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.clock import to_microseconds
from calstream_core.errors import Code, RecordError
from calstream_processors.normalise import Normalised, normalise
from calstream_processors.normalise.instant import clamp, parse_instant, wall_clock
from calstream_processors.normalise.name import normalise_name
from calstream_processors.normalise.phone import normalise_phone
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.entities import KINDS
from calstream_schemas.observations import Fact, Observation
from calstream_schemas.webhooks import ReceivedWebhook

NOW = datetime(2026, 11, 20, 9, 15, 3, tzinfo=UTC)
RECEIVED_AT = to_microseconds(NOW)
HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")


def _calendar() -> Calendar:
    return Calendar("acme", seed="test", now=lambda: NOW - timedelta(seconds=1))


def _paid() -> dict[str, Any]:
    calendar = _calendar()
    person = calendar.add_attendee(
        " Jo.Park@Example.COM ",
        "Jo Park",
        phone="(415) 555-2671",
        company="Northwind",
        timezone="America/Los_Angeles",
    )
    start = datetime(2026, 11, 27, 15, tzinfo=UTC)
    booking = Booking(
        HOST,
        EventType("workshop", "Workshop", paid=True, price_minor=4900),
        start,
        start + timedelta(minutes=30),
        "America/New_York",
        answers=(("team_size", "51-200"),),
    )
    _event, webhooks = calendar.book(booking, person)
    return dict(webhooks[0].body)


BODY = _paid()


def _webhook(body: object, **changes: Any) -> ReceivedWebhook:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "id": str(uuid.UUID(int=1)),
        "workspace": "acme",
        "source": "calendar_live",
        "received_at": RECEIVED_AT,
        "delivery_id": "dlv_1",
        "scheme": "hmac-sha256",
        "secret_label": "default",
        "content_type": "application/json",
        "body": raw,
    }
    return ReceivedWebhook(**{**fields, **changes})


def _normalise(body: object, **changes: Any) -> Normalised:
    return normalise(_webhook(body, **changes), "US")


def _with(path: str, value: object) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    place = body
    *parents, last = path.split(".")
    for parent in parents:
        place = place[parent]
    place[last] = value
    return body


def _values(result: Normalised, kind: str) -> dict[str, Any]:
    return {
        name: value
        for observation in result.observations
        if observation.kind == kind
        for statement in observation.statements
        for name, value in statement.values.items()
    }


def test_an_event_gives_the_person_first_and_then_what_refers_to_them() -> None:
    result = _normalise(BODY)
    kinds = [observation.kind for observation in result.observations]
    assert kinds == ["contact", "booking", "attendance", "payment"]
    assert result.problems == ()
    assert len({observation.id for observation in result.observations}) == 4


def test_values_are_normalised() -> None:
    result = _normalise(BODY)
    contact = _values(result, "contact")
    assert contact["email"] == "jo.park@example.com"
    assert contact["phone"] == "+14155552671"
    assert contact["phone_raw"] == "(415) 555-2671"
    booking = _values(result, "booking")
    assert booking["start_at"] == to_microseconds(datetime(2026, 11, 27, 15, tzinfo=UTC))
    assert booking["wall_start"] == "2026-11-27T10:00:00"
    attendance = _values(result, "attendance")
    assert attendance["answers"] == '{"team_size":"51-200"}'
    payment = _values(result, "payment")
    assert (payment["status"], payment["amount_minor"]) == ("pending", 4900)


def test_everything_said_has_a_place_in_the_catalogue() -> None:
    for observation in _normalise(BODY).observations:
        kind = KINDS[observation.kind]
        for statement in observation.statements:
            known = {field.name for field in kind.group_by_name[statement.group].fields}
            assert statement.values.keys() <= known


def test_every_delivery_of_an_event_gives_the_same_observation_ids() -> None:
    first = _normalise(BODY)
    again = _normalise(BODY, delivery_id="dlv_2", received_at=RECEIVED_AT + 7, id="x")
    assert [o.id for o in first.observations] == [o.id for o in again.observations]


def test_a_payment_tells_how_it_stands_and_for_which_attendance() -> None:
    body = {
        **BODY,
        "type": "payment.failed",
        "data": {
            "event": {"id": "cal_1", "uid": "u"},
            "attendee": {"id": "att_1"},
            "payment": {
                **BODY["data"]["payment"],
                "status": "failed",
                "failure_code": "card_declined",
            },
        },
    }
    result = _normalise(body)
    assert [observation.kind for observation in result.observations] == ["payment"]
    payment = _values(result, "payment")
    assert (payment["status"], payment["failure_code"]) == ("failed", "card_declined")
    assert payment["booking_ref"] == "calendar_live/event/cal_1"
    assert payment["attendance_ref"] == "calendar_live/attendance/cal_1/att_1"


def test_a_deleted_attendee_is_gone_and_nothing_more() -> None:
    attendee = {"id": "att_1", "last_modified": "2026-11-20T09:15:00Z"}
    result = _normalise({**BODY, "type": "attendee.deleted", "data": {"attendee": attendee}})
    assert [(o.fact, o.statements) for o in result.observations] == [(Fact.GONE, ())]


def test_an_unknown_type_is_counted_and_never_fails() -> None:
    result = _normalise({**BODY, "type": "event.teleported"})
    assert (result.outcome, result.observations) == ("unknown", ())


def test_unknown_fields_are_no_problem() -> None:
    result = _normalise(_with("data.event.mood", {"deep": ["well"]}))
    assert result.problems == ()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", Code.JSON_INVALID),
        (b'{"id": "evt_1", "type": "event.crea', Code.JSON_INVALID),
        (b'{"type": "\xff\xfe"}', Code.JSON_INVALID),
        (b'{"type": "\\ud800"}', Code.JSON_INVALID),
        (b"[" * 100_000, Code.JSON_INVALID),
        (b"[]", Code.BODY_INVALID),
        (b"null", Code.BODY_INVALID),
        ({}, Code.BODY_INVALID),
        ({**BODY, "type": 7}, Code.BODY_INVALID),
        ({**BODY, "data": None}, Code.BODY_INVALID),
        ({**BODY, "data": "text"}, Code.BODY_INVALID),
        ({**BODY, "workspace": "other"}, Code.WORKSPACE_MISMATCH),
        ({**BODY, "created_at": "yesterday"}, Code.TIME_INVALID),
        (_with("data.event.id", ""), Code.BODY_INVALID),
        (_with("data.event.last_modified", "2026-11-20T09:15:01"), Code.TIME_INVALID),
        (_with("data.attendee.id", {"a": 1}), Code.BODY_INVALID),
    ],
)
def test_a_body_of_which_nothing_can_be_used_has_a_code(body: object, code: Code) -> None:
    with pytest.raises(RecordError) as caught:
        _normalise(body)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("path", "value", "kind", "missing"),
    [
        ("data.attendee.email", "jo@@example.com", "contact", "email"),
        ("data.attendee.email", 5, "contact", "email"),
        ("data.attendee.full_name", ["Jo"], "contact", "full_name"),
        ("data.event.start", "2026-02-30T10:00:00Z", "booking", "start_at"),
        ("data.event.start", "2026-11-27T15:00:00", "booking", "start_at"),
        ("data.event.start", "9999-12-31T23:59:59-12:00", "booking", "start_at"),
        ("data.event.end", "2020-01-01T00:00:00Z", "booking", "start_at"),
        ("data.event.status", "maybe", "booking", "status"),
        ("data.event.host", {"email": "none"}, "booking", "host_email"),
        ("data.payment.amount_minor", -5, "payment", "amount_minor"),
        ("data.payment.amount_minor", 2**70, "payment", "amount_minor"),
        ("data.payment.amount_minor", True, "payment", "amount_minor"),
    ],
)
def test_a_group_that_can_t_be_read_is_refused_and_the_rest_is_used(
    path: str, value: object, kind: str, missing: str
) -> None:
    result = _normalise(_with(path, value))
    assert result.problems
    assert all(problem.field.startswith("data.") for problem in result.problems)
    assert missing not in _values(result, kind)
    assert [o.kind for o in result.observations][:3] == ["contact", "booking", "attendance"]


@pytest.mark.parametrize(
    ("given_phone", "expected"),
    [
        ("(415) 555-2671", "+14155552671"),
        ("+44 20 7946 0018", "+442079460018"),
        ("0049 30 123456", None),
        ("415-555-2671 ext. 12", "+14155552671"),
        ("911", None),
        ("call me", None),
        ("", None),
        ("\u0661\u0662\u0663", None),
        ("1" * 400, None),
        ("+0", None),
    ],
)
def test_phones_become_e164_or_nothing(given_phone: str, expected: str | None) -> None:
    assert normalise_phone(given_phone, "US") == expected


@given(st.text(max_size=60))
def test_no_text_breaks_the_phone_reader(text: str) -> None:
    number = normalise_phone(text, "US")
    assert number is None or (number.startswith("+") and number[1:].isdigit())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Jo  Park", "Jo Park"),
        ("\u00a0Ana\tMari\u0301a ", "Ana Mar\u00eda"),
        ("McDonald-van der Berg", "McDonald-van der Berg"),
        ("\u674e\u96f7", "\u674e\u96f7"),
    ],
)
def test_names_keep_their_spelling(written: str, expected: str) -> None:
    assert normalise_name(written) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/New_York", "2026-11-27T10:00:00"),
        ("Asia/Kathmandu", "2026-11-27T20:45:00"),
        ("Mars/Olympus", None),
        ("../../etc/passwd", None),
        ("", None),
    ],
)
def test_the_wall_clock_is_that_of_the_zone(zone: str, expected: str | None) -> None:
    start = to_microseconds(datetime(2026, 11, 27, 15, tzinfo=UTC))
    assert wall_clock(start, zone) == expected


def test_an_offset_is_the_same_instant_as_utc() -> None:
    assert parse_instant("2026-11-27T10:00:00-05:00", "start") == parse_instant(
        "2026-11-27T15:00:00Z", "start"
    )


def test_a_clock_that_is_far_ahead_is_not_believed() -> None:
    minute = 60_000_000
    assert clamp(RECEIVED_AT + 4 * minute, RECEIVED_AT) == RECEIVED_AT + 4 * minute
    assert clamp(RECEIVED_AT + 6 * minute, RECEIVED_AT) == RECEIVED_AT


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        f"{parent}.{name}"
        for parent, names in (
            ("data", BODY["data"]),
            ("data.event", BODY["data"]["event"]),
            ("data.attendee", BODY["data"]["attendee"]),
            ("data.payment", BODY["data"]["payment"]),
        )
        for name in names
    ]
)


@settings(max_examples=400)
@given(path=paths, value=json_values)
def test_whatever_stands_in_a_field_the_outcome_is_observations_or_a_code(
    path: str, value: object
) -> None:
    try:
        observations = _normalise(_with(path, value)).observations
    except RecordError:  # any other exception fails the test
        observations = ()
    assert all(isinstance(observation, Observation) for observation in observations)


def test_an_address_with_two_at_signs_is_refused_with_a_code_and_the_rest_is_used() -> None:
    found = _normalise(_with("data.attendee.email", "jo@home@example.com"))
    assert [(each.code, each.field) for each in found.problems] == [
        (Code.EMAIL_INVALID, "data.attendee.email")
    ]
    contact = next(each for each in found.observations if each.kind == "contact")
    assert {each.group for each in contact.statements} >= {"name", "phone"}
    assert "email" not in {each.group for each in contact.statements}


@pytest.mark.parametrize("phone", ["911", "+999 1234567", "reception"])
def test_a_phone_of_no_country_is_kept_as_it_was_given(phone: str) -> None:
    found = _normalise(_with("data.attendee.phone", phone))
    assert not found.problems
    contact = next(each for each in found.observations if each.kind == "contact")
    (said,) = (each.values for each in contact.statements if each.group == "phone")
    assert said == {"phone": None, "phone_raw": phone}


@pytest.mark.parametrize("source", ["stripe", "zoom", "hubspot"])
@pytest.mark.parametrize("body", [b'{"id": "evt_1"}', b'[{"eventId": 1}]', b"no json"])
def test_a_webhook_of_a_source_that_is_not_read_yet_is_counted_and_no_dead_letter(
    source: str, body: bytes
) -> None:
    found = normalise(_webhook(body, source=source), "US")
    assert (found.observations, found.problems, found.outcome) == ((), (), "no_normaliser")
