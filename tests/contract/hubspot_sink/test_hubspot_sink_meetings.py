"""Bookings at the simulator: made exactly once, moved, cancelled, with the people who come."""

from dataclasses import replace
from typing import Any

import pytest
from tests.contract.hubspot_sink.conftest import (
    HALF_HOUR,
    START,
    KnownEntities,
    Recorder,
    Simulator,
    applied,
    associated,
    attendance,
    booking,
    changed,
    person,
    write,
)

from calstream_core.clock import from_microseconds, to_iso
from calstream_core.errors import Code
from calstream_sinks.api import Deferred, Projection
from calstream_sinks.hubspot import HubSpotSink

CREATE = "/crm/objects/2026-09/meetings/batch/create"


async def test_a_booking_becomes_a_meeting_with_its_people(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities([attendance(1, 1, payment_status="succeeded"), attendance(1, 2)])
    first, second = await write(sink, view, person(1), person(2))
    recorder.requests.clear()
    (snapshot,) = await write(sink, view, booking(1))
    assert recorder.calls() == ["meetings/batch/create"]
    (meeting,) = simulator.objects("meetings")
    assert associated(meeting) == {first.external_id, second.external_id}
    assert {
        "external_id": "Cal_1",
        "calendar_event_uid": "b1@calendar.live",
        "hs_meeting_title": "Product trial",
        "hs_meeting_outcome": "SCHEDULED",
        "hs_meeting_location": "zoom",
        "event_timezone": "America/New_York",
        "event_wall_start": "2026-11-27T10:00",
        "payment_status": "succeeded",
    }.items() <= meeting["properties"].items()
    assert snapshot.fields["hs_timestamp"] == to_iso(START)
    assert snapshot.statements["schedule"] == {
        "start_at": START,
        "end_at": START + HALF_HOUR,
        "timezone": "America/New_York",
        "wall_start": "2026-11-27T10:00",
    }


async def test_who_cancels_leaves_the_meeting_and_whom_people_added_stays(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1), attendance(1, 2)])
    stays, leaves, joins = await write(sink, view, person(1), person(2), person(3))
    (meeting,) = await write(sink, view, booking(1))
    guest = simulator.make("contacts", email="guest@example.com")
    simulator.associate(meeting.external_id, guest)
    view.entities = [attendance(1, 1), attendance(1, 2, status="cancelled"), attendance(1, 3)]
    await write(sink, view, booking(1, title="Moved"))
    (found,) = simulator.objects("meetings")
    assert found["properties"]["hs_meeting_title"] == "Moved"
    assert associated(found) == {stays.external_id, joins.external_id, guest}
    assert leaves.external_id not in associated(found)


async def test_whom_people_added_costs_no_call_to_remove(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    (meeting,) = await write(sink, view, booking(1))
    simulator.associate(meeting.external_id, simulator.make("contacts", email="guest@example.com"))
    recorder.requests.clear()
    await write(sink, view, booking(1, title="Moved"))
    assert recorder.calls() == [
        "meetings/batch/update",
        "meetings/contacts/batch/read",
        "contacts/batch/read",
    ]


async def test_a_cancelled_booking_keeps_its_people(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1)])
    (contact,) = await write(sink, view, person(1))
    await write(sink, view, booking(1))
    view.entities = [person(1)]
    await write(sink, view, booking(1, status="cancelled"))
    (meeting,) = simulator.objects("meetings")
    assert meeting["properties"]["hs_meeting_outcome"] == "CANCELED"
    assert associated(meeting) == {contact.external_id}


async def test_a_change_of_people_alone_is_noticed_and_needs_no_field(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities([attendance(1, 1)])
    contacts = await write(sink, view, person(1), person(2))
    await write(sink, view, booking(1))
    view.entities.append(attendance(1, 2))
    recorder.requests.clear()
    (outcome,) = await sink.deliver([replace(changed(sink, booking(1), view), fields={})])
    assert applied(outcome).fields["hs_meeting_title"] == "Product trial"
    assert "meetings/batch/update" not in recorder.calls()
    (meeting,) = simulator.objects("meetings")
    assert associated(meeting) == {contact.external_id for contact in contacts}


async def test_a_batch_of_meetings_takes_a_few_calls(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    numbers = range(100)
    view = KnownEntities([attendance(number, 1) for number in numbers])
    (jo,) = await write(sink, view, person(1))
    await write(sink, view, person(2))
    recorder.requests.clear()
    await write(sink, view, *(booking(number) for number in numbers))
    assert recorder.calls() == ["meetings/batch/create"]
    recorder.requests.clear()
    await write(sink, view, *(booking(number, title="Moved") for number in numbers))
    assert recorder.calls() == ["meetings/batch/update", "meetings/contacts/batch/read"]
    view.entities = [attendance(number, 2) for number in numbers]
    recorder.requests.clear()
    await write(sink, view, *(booking(number, title="Swapped") for number in numbers))
    assert recorder.calls() == [
        "meetings/batch/update",
        "meetings/contacts/batch/read",
        "contacts/batch/read",
        "meetings/contacts/batch/create",
        "meetings/contacts/batch/archive",
    ]
    assert all(jo.external_id not in associated(m) for m in simulator.objects("meetings"))


@pytest.mark.parametrize(
    "fault",
    [
        {"applied_then_dropped": True},
        {"malformed": True},
        {"html": True, "applied": True},
        {"status": 502, "applied": True},
        {"status": 502},
        {"html": True},
    ],
    ids="-".join,
)
async def test_a_lost_answer_to_a_new_meeting_ends_in_exactly_one_meeting(
    sink: HubSpotSink, simulator: Simulator, fault: dict[str, Any]
) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    simulator.fault(CREATE, **fault)
    first = changed(sink, booking(1), view)
    (lost,) = await sink.deliver([first])
    assert isinstance(lost, Deferred)
    assert (lost.code, lost.unknown) == (Code.OUTCOME_UNKNOWN, True)
    (outcome,) = await sink.deliver([replace(first, outcome_unknown=True)])
    (meeting,) = simulator.objects("meetings")
    assert applied(outcome).external_id == meeting["id"]
    assert len(associated(meeting)) == 1


async def test_when_people_of_an_update_cannot_be_set_the_outcome_is_unknown(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    (made,) = await write(sink, view, booking(1))
    simulator.fault("/crm/associations", status=503)
    moved = changed(sink, booking(1, title="Moved"), view)
    (outcome,) = await sink.deliver([moved])
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.unknown) == (Code.SINK_UNAVAILABLE, True)
    (again,) = await sink.deliver([replace(moved, outcome_unknown=True)])
    assert applied(again).external_id == made.external_id


async def test_a_meeting_that_names_a_deleted_contact_waits(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1), attendance(2, 2), attendance(3, 2)])
    gone, there, joins = await write(sink, view, person(1), person(2), person(3))
    await write(sink, view, booking(2), booking(3))
    simulator.archive("contacts", gone.external_id)
    view.entities += [attendance(2, 1), attendance(3, 3)]
    bookings = (booking(1), booking(2, title="Moved"), booking(3, title="Moved"))
    *waiting, well = await sink.deliver([changed(sink, of, view) for of in bookings])
    for outcome in waiting:
        assert isinstance(outcome, Deferred)
        assert outcome.code is Code.ENTITY_NOT_FOUND
    applied(well)
    second, third = simulator.objects("meetings")
    assert associated(second) == {there.external_id}
    assert associated(third) == {there.external_id, joins.external_id}


async def test_a_meeting_is_looked_up_in_our_form(sink: HubSpotSink) -> None:
    view = KnownEntities([attendance(1, 1)])
    await write(sink, view, person(1))
    of = booking(1)
    (made,) = await write(sink, view, of)
    found = (await sink.lookup("booking", [made.external_id]))[made.external_id]
    wanted = sink.project(of, view)
    assert isinstance(wanted, Projection)
    assert found is not None
    assert wanted.fields.items() <= found.fields.items()
    assert from_microseconds(found.modified_at).year >= 2026
