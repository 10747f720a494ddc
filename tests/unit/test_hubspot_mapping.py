"""The mapping is complete, documented, and what is written reads back the same."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_core.clock import to_iso, to_microseconds
from calstream_schemas.entities import Copy, NaturalId, Register, Stamp, Value, kind_of
from calstream_sinks.hubspot import transforms
from calstream_sinks.hubspot.mapping import (
    BOOKING,
    CONTACT,
    DERIVED,
    PROPERTIES,
    ROWS,
    Direction,
    property_names,
)
from calstream_sinks.hubspot.snapshots import (
    held_of,
    snapshot_of,
    snapshot_of_write,
    statements_of,
    texts_of,
)

PAGE = Path(__file__).parents[2] / "docs" / "connect-hubspot.md"

TEXTS = st.none() | st.text(max_size=40)
INSTANTS = st.integers(31_536_000_000, 7_258_118_400_000).map(lambda ms: ms * 1000)  # 1971-2200
STATUSES = st.sampled_from(sorted(transforms.OUTCOME_BY_STATUS))
VALUES_OF = {
    CONTACT: st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                [field.name for group in kind_of(CONTACT).groups for field in group.fields], TEXTS
            ),
            "lead_score": st.none() | st.integers(-200_000, 200_000),
        },
    ),
    BOOKING: st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("uid", "title", "timezone", "wall_start"), TEXTS),
            "join_url": st.sampled_from([None, "https://zoom.us/j/1", " zoommtg://zoom.us/join "]),
            "start_at": INSTANTS,
            "end_at": INSTANTS,
            "status": STATUSES,
            "location_kind": st.sampled_from(["zoom", "phone", "in_person", "other"]),
        },
    ),
}


def test_every_field_of_the_mapping_is_in_the_catalogue_in_that_group() -> None:
    for row in ROWS:
        group = kind_of(row.kind).group_by_name[row.group]
        assert set(row.fields) <= {field.name for field in group.fields}


def test_the_table_of_properties_has_just_those_of_the_mapping() -> None:
    mapped = {(row.kind, name) for row in ROWS for name in row.properties}
    mapped |= {(item.kind, item.property_name) for item in DERIVED}
    listed = [(item.kind, item.name) for item in PROPERTIES]
    assert sorted(listed) == sorted(mapped)


def test_the_page_for_people_shows_the_mapping() -> None:
    shown = re.search(r"<!-- mapping.*?-->\n(.*?)<!-- end", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    lines = shown.group(1).splitlines()[2:]
    expected = []
    for kind in (CONTACT, BOOKING):
        for row in (r for r in ROWS if r.kind == kind):
            ours, theirs = _code(row.fields), _code(row.properties)
            summary = row.transform.summary
            expected.append(f"| {kind}: {ours} | {theirs} | {summary} | {row.direction} |")
        expected += [
            f"| {kind} | `{item.property_name}` | {item.summary} | {Direction.WRITE} |"
            for item in DERIVED
            if item.kind == kind
        ]
    assert lines == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1), max_size=6))
def test_a_name_that_was_split_joins_to_the_same_words(words: list[str]) -> None:
    written = transforms.NAME.write((" \t".join(words),))
    assert transforms.NAME.read(written) == (" ".join(words) or None,)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Jo Park", "Jo", "Park"),
        ("Ana María de la Cruz", "Ana", "María de la Cruz"),
        ("Dana", "Dana", None),
        ("   ", None, None),
        (None, None, None),
    ],
)
def test_the_first_word_is_the_first_name(
    name: str | None, first: str | None, last: str | None
) -> None:
    assert texts_of(CONTACT, {"full_name": name}) == {"firstname": first, "lastname": last}


@given(INSTANTS)
def test_an_instant_reads_back_to_the_millisecond(at: int) -> None:
    assert transforms.INSTANT.read(transforms.INSTANT.write((at,))) == (at,)
    assert transforms.parse_instant(str(at // 1000)) == at


@pytest.mark.parametrize(
    "text", ["2026-11-27T15:00:00Z", "2026-11-27T10:00:00-05:00", "1795791600000"]
)
def test_all_ways_in_which_hubspot_writes_a_time_are_one_time(text: str) -> None:
    assert transforms.canonical_instant(text) == "2026-11-27T15:00:00.000Z"


@pytest.mark.parametrize("text", ["soon", "99999999999999999999", "2026-13-45"])
def test_a_time_that_cannot_be_read_says_nothing(text: str) -> None:
    assert transforms.INSTANT.read((text,)) == ()
    assert transforms.canonical_instant(text) == text


@given(STATUSES)
def test_a_status_reads_back_as_itself_or_as_confirmed(status: str) -> None:
    read = transforms.OUTCOME.read(transforms.OUTCOME.write((status,)))
    assert read == ("confirmed" if status == "tentative" else status,)


def test_statuses_that_the_other_side_does_not_have_say_nothing() -> None:
    assert texts_of(BOOKING, {"status": "postponed"}) == {}
    assert statements_of(BOOKING, {"hs_meeting_outcome": "SNOWED_IN"}, ["hs_meeting_outcome"]) == {}


def test_a_phone_that_is_no_e164_keeps_its_digits_and_is_no_number() -> None:
    assert texts_of(CONTACT, {"phone": None, "phone_raw": "ext. 12"}) == {"phone": "ext. 12"}
    assert statements_of(CONTACT, {"phone": "ext. 12"}, ["phone"]) == {
        "phone": {"phone": None, "phone_raw": "ext. 12"}
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("https://zoom.us/j/1", {"join_url": "https://zoom.us/j/1"}),
        ("in_person", {"join_url": None, "location_kind": "in_person"}),
        ("Room 5", {"join_url": None, "location_kind": "other"}),
        (None, {"join_url": None, "location_kind": None}),
    ],
)
def test_a_location_is_a_link_or_a_kind(text: str | None, values: dict[str, Value]) -> None:
    statements = statements_of(BOOKING, {"hs_meeting_location": text}, ["hs_meeting_location"])
    assert statements == {"location": values}


@given(st.sampled_from([CONTACT, BOOKING]).flatmap(lambda k: st.tuples(st.just(k), VALUES_OF[k])))
def test_what_hubspot_echoes_of_a_write_calls_for_no_other_write(
    example: tuple[str, dict[str, Value]],
) -> None:
    kind, values = example
    written = texts_of(kind, values)
    statements = statements_of(kind, written, written)
    echoed = texts_of(kind, {name: v for group in statements.values() for name, v in group.items()})
    assert {name: written[name] for name in echoed} == echoed
    again = statements_of(kind, {**written, **echoed}, written)
    assert again == statements


def test_a_statement_has_the_whole_group_of_a_touched_property() -> None:
    fields = {"firstname": "Jo", "lastname": "Park", "phone": "+14155552671"}
    assert statements_of(CONTACT, fields, ["lastname"]) == {"name": {"full_name": "Jo Park"}}


def test_half_a_name_is_no_statement() -> None:
    assert statements_of(CONTACT, {"lastname": "Park"}, ["lastname"]) == {}


def test_a_snapshot_has_our_form_of_hubspots_values() -> None:
    start = datetime(2026, 11, 27, 15, tzinfo=UTC)
    found = {
        "id": 77,
        "updatedAt": "2026-11-20T09:15:02.114Z",
        "properties": {
            "hs_meeting_start_time": "2026-11-27T15:00:00Z",
            "hs_meeting_end_time": "2026-11-27T15:30:00Z",
            "hs_meeting_title": " Product trial ",
            "hs_meeting_location": "",
            "hs_object_id": "77",
        },
    }
    snapshot = snapshot_of(BOOKING, found)
    assert snapshot.external_id == "77"
    assert snapshot.modified_at == to_microseconds(
        datetime(2026, 11, 20, 9, 15, 2, 114_000, tzinfo=UTC)
    )
    assert snapshot.fields == {
        "hs_meeting_start_time": to_iso(to_microseconds(start)),
        "hs_meeting_end_time": to_iso(to_microseconds(start + timedelta(minutes=30))),
        "hs_meeting_title": "Product trial",
        "hs_meeting_location": None,
    }
    assert snapshot.statements["title"] == {"title": "Product trial"}


def test_an_empty_property_of_an_object_met_for_the_first_time_is_no_statement() -> None:
    found = {"id": "1", "properties": {"email": "jo.park@example.com", "company": None}}
    assert snapshot_of(CONTACT, found).statements == {"email": {"email": "jo.park@example.com"}}
    assert snapshot_of(CONTACT, found, tell_empty=True).statements["company"] == {"company": None}


def test_the_snapshot_of_a_write_fills_in_what_hubspot_left_out_but_does_not_state_it() -> None:
    wanted = {"email": "jo.park@example.com", "company": "Northwind", "phone": None}
    found = {"id": "1", "properties": {"company": "Northwind Ltd"}}
    snapshot = snapshot_of_write(CONTACT, found, wanted)
    assert snapshot.fields == {**wanted, "company": "Northwind Ltd"}
    assert snapshot.statements == {"company": {"company": "Northwind Ltd"}}


def test_a_copy_holds_what_its_registers_say_and_marks_what_others_wrote() -> None:
    copy = Copy(
        NaturalId("hubspot", CONTACT, "1"),
        "crm",
        {
            "name": Register({"full_name": "Jo Park"}, (Stamp(-1, 5, by_self=False),)),
            "company": Register({"company": "Northwind"}, (Stamp(-1, 5, by_self=True),)),
            "locale": Register({"locale": "en-US"}, (Stamp(-1, 5, by_self=True),)),
        },
    )
    held = held_of(CONTACT, copy)
    assert held.fields == {"firstname": "Jo", "lastname": "Park", "company": "Northwind"}
    assert held.edited == {"firstname", "lastname"}


def test_a_copy_that_is_gone_holds_nothing() -> None:
    register = Register({"company": "Northwind"}, (Stamp(-1, 5, by_self=True),))
    copy = Copy(NaturalId("hubspot", CONTACT, "1"), "crm", {"company": register}, gone_at=9)
    assert held_of(CONTACT, copy).fields == {}


def test_a_read_asks_for_every_property_of_the_kind() -> None:
    assert "calstream_id" in property_names(CONTACT)
    assert "external_id" in property_names(BOOKING)


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
