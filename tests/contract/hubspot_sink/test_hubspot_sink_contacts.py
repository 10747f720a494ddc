"""People at the simulator: made, changed, adopted, refused, lost and found again."""

from dataclasses import replace

import pytest
from tests.contract.hubspot_sink.conftest import (
    KnownEntities,
    Recorder,
    Simulator,
    applied,
    associated,
    attendance,
    booking,
    changed,
    config_for,
    person,
    write,
)

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_sinks.api import Applied, Change, Deferred, Found, Missing, Projection, Refused
from calstream_sinks.hubspot import HubSpotSink

UPSERT = "/crm/objects/2026-09/contacts/batch/upsert"


async def test_a_new_person_becomes_a_contact(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities()
    (snapshot,) = await write(sink, view, person(1, phone="+14155552671", company="Northwind"))
    (contact,) = simulator.objects("contacts")
    assert contact["id"] == snapshot.external_id
    expected = {
        "email": "jo.park1@example.com",
        "firstname": "Jo",
        "lastname": "Park",
        "phone": "+14155552671",
        "company": "Northwind",
        "calstream_id": "c1",
        "external_source_id": "att_1",
    }
    assert expected.items() <= contact["properties"].items()
    assert expected.items() <= snapshot.fields.items()
    assert snapshot.statements["name"] == {"full_name": "Jo Park"}


async def test_a_batch_of_new_people_takes_two_calls(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    await write(sink, KnownEntities(), *(person(number) for number in range(100)))
    assert recorder.calls() == ["contacts/batch/read", "contacts/batch/upsert"]
    assert len(simulator.objects("contacts")) == 100


async def test_a_change_writes_only_its_fields_and_empties_with_none(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    view = KnownEntities()
    await write(sink, view, person(1, phone="+14155552671"))
    recorder.requests.clear()
    update = changed(sink, person(1, phone=None), view)
    (outcome,) = await sink.deliver([replace(update, fields={"phone": None})])
    assert applied(outcome).fields["phone"] is None
    assert recorder.calls() == ["contacts/batch/update"]
    (contact,) = simulator.objects("contacts")
    assert "phone" not in contact["properties"]
    assert contact["properties"]["firstname"] == "Jo"


async def test_a_person_whom_hubspot_has_is_found_and_nothing_is_written(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    id_ = simulator.make("contacts", email="Jo.Park1@example.com", company="Northwind Ltd")
    (outcome,) = await sink.deliver([changed(sink, person(1), KnownEntities())])
    assert isinstance(outcome, Found)
    assert outcome.snapshot.external_id == id_
    assert outcome.snapshot.statements == {
        "email": {"email": "jo.park1@example.com"},
        "company": {"company": "Northwind Ltd"},
    }
    (contact,) = simulator.objects("contacts")
    assert "calstream_id" not in contact["properties"]


async def test_two_people_with_one_address_in_one_batch_are_one_contact(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    same = [person(1, email="jo@example.com"), person(2, email="jo@example.com"), person(3)]
    outcomes = await sink.deliver([changed(sink, of, KnownEntities()) for of in same])
    assert isinstance(outcomes[1], Found)
    assert outcomes[1].snapshot.external_id == applied(outcomes[0]).external_id
    assert isinstance(outcomes[2], Applied)
    assert len(simulator.objects("contacts")) == 2


async def test_delivering_a_new_person_twice_makes_one_contact(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    first = changed(sink, person(1), KnownEntities())
    (once,) = await sink.deliver([first])
    (twice,) = await sink.deliver([first])
    assert applied(once).external_id == applied(twice).external_id
    assert len(simulator.objects("contacts")) == 1


async def test_a_value_that_is_refused_does_not_fail_the_others(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    people = [person(1), person(2, email="not an address"), person(3)]
    outcomes = await sink.deliver([changed(sink, of, KnownEntities()) for of in people])
    assert isinstance(outcomes[1], Refused)
    assert (outcomes[1].code, outcomes[1].field) == (Code.VENDOR_REFUSED, "email")
    assert "not an address" not in outcomes[1].message
    assert [type(outcomes[0]), type(outcomes[2])] == [Applied, Applied]
    assert len(simulator.objects("contacts")) == 2


async def test_a_missing_property_refuses_with_its_name(sink: HubSpotSink) -> None:
    (outcome,) = await sink.deliver([_with_field(sink, "favourite_colour")])
    assert isinstance(outcome, Refused)
    assert outcome.field == "favourite_colour"


def _with_field(sink: HubSpotSink, name: str) -> Change:
    made = changed(sink, person(1), KnownEntities())
    fields = {**made.projection.fields, name: "blue"}
    return replace(made, projection=Projection(fields), fields=fields)


async def test_an_account_that_was_not_set_up_makes_no_contact(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    with pytest.raises(ConfigError) as raised:
        await bare.deliver([changed(bare, person(1), KnownEntities())])
    assert "not unique" in raised.value.message
    assert simulator.objects("contacts") == []


async def test_an_upsert_whose_answer_is_lost_is_repeated_safely(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    simulator.fault(UPSERT, applied_then_dropped=True)
    first = changed(sink, person(1), KnownEntities())
    (lost,) = await sink.deliver([first])
    assert isinstance(lost, Deferred)
    assert lost.unknown
    (outcome,) = await sink.deliver([replace(first, outcome_unknown=True)])
    (contact,) = simulator.objects("contacts")
    assert applied(outcome).external_id == contact["id"]


async def test_contacts_that_are_gone_are_missing(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities()
    gone, there = await write(sink, view, person(1), person(2))
    simulator.archive("contacts", gone.external_id)
    people = (person(1, company="x"), person(2, company="x"))
    outcomes = await sink.deliver([changed(sink, of, view) for of in people])
    assert [type(outcome) for outcome in outcomes] == [Missing, Applied]
    found = await sink.lookup("contact", [gone.external_id, there.external_id])
    assert found[gone.external_id] is None
    looked_up = found[there.external_id]
    assert looked_up is not None
    assert looked_up.fields["company"] == "x"
    assert looked_up.statements["phone"] == {"phone": None}


async def test_a_wiped_account_is_written_again(sink: HubSpotSink, simulator: Simulator) -> None:
    view = KnownEntities([attendance(1, 1)])
    (contact,) = await write(sink, view, person(1))
    (meeting,) = await write(sink, view, booking(1))
    simulator.control("wipe")
    assert await sink.lookup("booking", [meeting.external_id]) == {meeting.external_id: None}
    for of in (person(1), booking(1)):
        assert await sink.deliver([changed(sink, of, view)]) == [Missing()]
    view.ids.clear()
    (again,) = await write(sink, view, person(1))
    await write(sink, view, booking(1))
    assert again.external_id != contact.external_id
    (made,) = simulator.objects("meetings")
    assert associated(made) == {again.external_id}


async def test_a_rate_limit_says_how_long_to_wait(sink: HubSpotSink, simulator: Simulator) -> None:
    simulator.fault("/crm", status=429, retry_after_seconds=3)
    with pytest.raises(UnavailableError) as raised:
        await sink.deliver([changed(sink, person(1), KnownEntities())])
    assert (raised.value.code, raised.value.retry_after_seconds) == (Code.RATE_LIMITED, 3)
    simulator.control("settings", {"requests_per_10_seconds": 0})
    with pytest.raises(UnavailableError) as raised:
        await sink.lookup("contact", ["1"])
    assert raised.value.retry_after_seconds == 10


async def test_a_vendor_that_hangs_is_given_up_on(
    simulator: Simulator, recorder: Recorder, sink: HubSpotSink
) -> None:
    hasty = HubSpotSink(config_for(simulator, timeout_seconds=0.2), recorder)
    await hasty.open()
    simulator.fault(UPSERT, hang_seconds=30)
    (outcome,) = await hasty.deliver([changed(sink, person(1), KnownEntities())])
    assert isinstance(outcome, Deferred)
    assert outcome.unknown
    simulator.clear_faults()
