"""People at the simulator, deleted for ever: by id, by our id, twice, and while HubSpot fails."""

from tests.contract.hubspot_sink.conftest import (
    KnownEntities,
    Recorder,
    Simulator,
    attendance,
    booking,
    person,
    write,
)

from calstream_core.errors import Code
from calstream_schemas.entities import Entity
from calstream_schemas.erasure_facts import Done
from calstream_sinks.api import Deferred, Erased, Going
from calstream_sinks.hubspot import HubSpotSink

DELETE = "/crm/objects/2026-09/contacts/gdpr-delete"


def going(of: Entity, *ids: str) -> Going:
    return Going(of, ids)


async def test_a_contact_is_deleted_for_ever(sink: HubSpotSink, simulator: Simulator) -> None:
    jo, kim = await write(sink, KnownEntities(), person(1), person(2))
    (outcome,) = await sink.erase("contact", [going(person(1), jo.external_id)])
    assert outcome == Erased(Done.DELETED, f"ids {jo.external_id}")
    (left,) = simulator.objects("contacts")
    assert left["id"] == kim.external_id
    # again, for an answer that was lost
    (again,) = await sink.erase("contact", [going(person(1), jo.external_id)])
    assert again == Erased(Done.NOTHING)


async def test_a_contact_whose_id_was_never_learned_is_found_by_ours(
    sink: HubSpotSink, simulator: Simulator, recorder: Recorder
) -> None:
    await write(sink, KnownEntities(), person(1), person(2))
    recorder.requests.clear()
    outcomes = await sink.erase("contact", [going(person(1)), going(person(3))])
    assert [one.done for one in outcomes if isinstance(one, Erased)] == [Done.DELETED, Done.NOTHING]
    assert recorder.calls() == ["contacts/batch/read", "contacts/gdpr-delete"]
    assert len(simulator.objects("contacts")) == 1


async def test_an_archived_contact_is_deleted_too(sink: HubSpotSink, simulator: Simulator) -> None:
    (jo,) = await write(sink, KnownEntities(), person(1))
    simulator.archive("contacts", jo.external_id)
    (outcome,) = await sink.erase("contact", [going(person(1), jo.external_id)])
    assert isinstance(outcome, Erased)
    assert outcome.done is Done.DELETED


async def test_meetings_that_had_nobody_else_are_archived(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    view = KnownEntities([attendance(1, 1), attendance(2, 1)])
    (jo,) = await write(sink, view, person(1))
    view.ids[person(1).key] = jo.external_id
    one, _ = await write(sink, view, booking(1), booking(2))
    known, sought, never = going(booking(1), one.external_id), going(booking(2)), going(booking(3))
    outcomes = await sink.erase("booking", [known, sought, never])
    assert [outcome.done for outcome in outcomes if isinstance(outcome, Erased)] == [
        Done.DELETED,
        Done.DELETED,
        Done.NOTHING,
    ]
    assert simulator.objects("meetings") == []


async def test_what_hubspot_can_t_do_now_is_done_later(
    sink: HubSpotSink, simulator: Simulator
) -> None:
    (jo,) = await write(sink, KnownEntities(), person(1))
    simulator.fault(DELETE, status=503)
    (outcome,) = await sink.erase("contact", [going(person(1), jo.external_id)])
    assert isinstance(outcome, Deferred)
    assert outcome.code is Code.SINK_UNAVAILABLE
    (outcome,) = await sink.erase("contact", [going(person(1), jo.external_id)])
    assert isinstance(outcome, Erased)
    assert outcome.done is Done.DELETED


async def test_who_was_deleted_can_come_again(sink: HubSpotSink, simulator: Simulator) -> None:
    (jo,) = await write(sink, KnownEntities(), person(1))
    await sink.erase("contact", [going(person(1), jo.external_id)])
    (again,) = await write(sink, KnownEntities(), person(1))
    assert again.external_id != jo.external_id
    assert len(simulator.objects("contacts")) == 1
