"""What the HubSpot simulator makes of property values."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_sandbox.hubspot.definitions import Definition, Option
from calstream_sandbox.hubspot.errors import Issue
from calstream_sandbox.hubspot.times import from_epoch_ms, property_time, record_time, to_epoch_ms
from calstream_sandbox.hubspot.values import canonical, instant_ms

FIRST_MS = to_epoch_ms(datetime.fromisoformat("0001-01-02T00:00:00+00:00"))
LAST_MS = to_epoch_ms(datetime.fromisoformat("9999-12-30T00:00:00+00:00"))
TYPES = ("string", "phone_number", "number", "datetime", "date", "enumeration", "bool")


def definition(value_type: str, *, name: str = "x", field_type: str = "text") -> Definition:
    options = (Option("a", "A"), Option("b", "B"))
    return Definition(name, "X", value_type, field_type, "g", options=options)


def kept(value_type: str, value: str, **more: str) -> str | None:
    """What is kept of a value; None if it is not taken."""
    result = canonical(definition(value_type, **more), value, owner_exists=lambda _: False)
    return None if isinstance(result, Issue) else result


@pytest.mark.parametrize(
    ("value_type", "value", "expected"),
    [
        ("string", " as it is ", " as it is "),
        ("string", "x" * 65_536, "x" * 65_536),
        ("string", "x" * 65_537, None),
        ("number", "5.0", "5.0"),
        ("number", "-1e3", "-1e3"),
        ("number", " 5", None),
        ("number", "NaN", None),
        ("number", "1_000", None),
        ("number", "five", None),
        ("datetime", "1795792800000", "2026-11-27T15:20:00Z"),
        ("datetime", "1795792800250", "2026-11-27T15:20:00.250Z"),
        ("datetime", "2026-11-27T10:20:00.250999-05:00", "2026-11-27T15:20:00.250Z"),
        ("datetime", "2026-11-27", "2026-11-27T00:00:00Z"),
        ("datetime", "2026-11-27T15:20:00", None),
        ("datetime", "2026-02-30T00:00:00Z", None),
        ("datetime", "999999999999999999", None),
        ("datetime", " 1795792800000", None),
        ("date", "2026-11-27", "2026-11-27"),
        ("date", "1795737600000", "2026-11-27"),
        ("date", "1795792800000", None),
        ("date", "2026-02-30", None),
        ("date", "2026-11-27T00:00:00Z", None),
        ("enumeration", "a", "a"),
        ("enumeration", "A", None),
        ("enumeration", "a;b", None),
        ("bool", "true", "true"),
        ("bool", "True", None),
    ],
)
def test_a_value_is_kept_as_its_type_wants_it(
    value_type: str, value: str, expected: str | None
) -> None:
    assert kept(value_type, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" Jo.Park@Example.COM ", "jo.park@example.com"),
        ("jo+tag@sub.example.co.uk", "jo+tag@sub.example.co.uk"),
        ("jo@example", None),
        ("jo example@example.com", None),
        ("@example.com", None),
        ("jo@-example.com", None),
        ("jo@@example.com", None),
    ],
)
def test_an_email_is_checked_and_normalised(value: str, expected: str | None) -> None:
    assert kept("string", value, name="email") == expected


def test_a_checkbox_takes_several_options() -> None:
    assert kept("enumeration", "a;b", field_type="checkbox") == "a;b"
    assert kept("enumeration", "a;c", field_type="checkbox") is None


@pytest.mark.parametrize("value_type", TYPES)
def test_an_empty_value_clears_any_type(value_type: str) -> None:
    assert kept(value_type, "") == ""


@given(st.sampled_from(TYPES), st.text(max_size=30))
def test_what_is_kept_is_kept_unchanged_when_it_is_written_again(
    value_type: str, value: str
) -> None:
    first = kept(value_type, value)
    assert first is None or kept(value_type, first) == first


@given(st.integers(FIRST_MS, LAST_MS))
def test_every_way_of_writing_a_time_names_the_same_millisecond(epoch_ms: int) -> None:
    assert instant_ms(property_time(epoch_ms)) == epoch_ms
    assert instant_ms(record_time(epoch_ms)) == epoch_ms
    assert instant_ms(str(epoch_ms)) == epoch_ms
    assert to_epoch_ms(from_epoch_ms(epoch_ms)) == epoch_ms
