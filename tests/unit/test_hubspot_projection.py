"""How people and bookings should look at HubSpot."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Value
from calstream_sinks.api import Link, NotWanted, Projection, Waiting
from calstream_sinks.hubspot import HubSpotConfig, HubSpotSink
from calstream_sinks.hubspot.projection import project_booking, project_contact, worst_payment
from calstream_sinks.runner.context import RunnerContext

START = 1_795_791_600_000_000  # 2026-11-27T15:00:00Z
HALF_HOUR = 1_800_000_000


@dataclass
class KnownEntities:
    """A view made by hand."""

    entities: list[Entity] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    def entity(self, key: str) -> Entity | None:
        return next((e for e in self.entities if e.key == key), None)

    def referring(self, kind: str, field: str, entity_id: str) -> Iterable[Entity]:
        return [e for e in self.entities if e.kind == kind and e.references.get(field) == entity_id]

    def external_id(self, key: str) -> str | None:
        return self.ids.get(key)


def entity(
    kind: str,
    id_: str,
    values: dict[str, Value],
    *,
    copies: tuple[str, ...] = (),
    references: dict[str, str] | None = None,
) -> Entity:
    natural_ids = [NaturalId.parse(text) for text in copies]
    return Entity(
        workspace="acme",
        kind=kind,
        id=id_,
        version=1,
        created_at=0,
        cause=Cause("o", 0, 0),
        copies={natural_id: Copy(natural_id, "calendar") for natural_id in natural_ids},
        values=values,
        references=references or {},
    )


def booking(**values: Value) -> Entity:
    given = {"title": "Product trial", "start_at": START, "end_at": START + HALF_HOUR, **values}
    return entity("booking", "b1", given, copies=("calendar_live/event/cal_7f3a",))


def attendance(number: int, **values: Value) -> Entity:
    references = {"booking_ref": "b1", "contact_ref": f"c{number}"}
    return entity("attendance", f"a{number}", dict(values), references=references)


def person(number: int) -> Entity:
    return entity("contact", f"c{number}", {"email": f"p{number}@example.com"})


def known(*attendances: Entity, written: Iterable[str] = ("c1", "c2")) -> KnownEntities:
    ids = {f"acme/contact/{id_}": f"10{id_[1:]}" for id_ in written}
    return KnownEntities([*attendances, person(1), person(2)], ids)


def projection(of: Entity, view: KnownEntities) -> Projection:
    projected = project_booking(of, view)
    assert isinstance(projected, Projection)
    return projected


def linked(of: Entity, view: KnownEntities) -> set[str]:
    return {link.external_id for link in projection(of, view).links}


def test_a_person_carries_our_id_and_always_the_same_attendee_id() -> None:
    both = ("calendar_live/attendee/att_9", "calendar_live/attendee/att_12", "hubspot/contact/5")
    of = entity("contact", "c1", {"email": "jo.park@example.com"}, copies=both)
    projected = project_contact(of)
    assert projected == Projection(
        {"email": "jo.park@example.com", "calstream_id": "c1", "external_source_id": "att_12"}
    )


@pytest.mark.parametrize("field_name", ["email", "phone", "phone_raw", "full_name"])
def test_a_person_with_one_means_of_recognition_is_wanted(field_name: str) -> None:
    assert isinstance(project_contact(entity("contact", "c1", {field_name: "x"})), Projection)


def test_a_person_without_any_is_not_wanted() -> None:
    projected = project_contact(entity("contact", "c1", {"email": None, "company": "Northwind"}))
    assert isinstance(projected, NotWanted)


def test_a_booking_becomes_a_meeting_on_the_timelines_of_its_people() -> None:
    of = booking(
        status="confirmed",
        uid="b1d5@calendar.live",
        timezone="America/New_York",
        wall_start="2026-11-27T10:00",
        join_url=None,
        location_kind="zoom",
    )
    assert projection(of, known(attendance(1), attendance(2))) == Projection(
        {
            "external_id": "cal_7f3a",
            "calendar_event_uid": "b1d5@calendar.live",
            "hs_meeting_title": "Product trial",
            "hs_timestamp": "2026-11-27T15:00:00.000Z",
            "hs_meeting_start_time": "2026-11-27T15:00:00.000Z",
            "hs_meeting_end_time": "2026-11-27T15:30:00.000Z",
            "event_timezone": "America/New_York",
            "event_wall_start": "2026-11-27T10:00",
            "hs_meeting_outcome": "SCHEDULED",
            "hs_meeting_location": "zoom",
        },
        frozenset({Link("contacts", "101"), Link("contacts", "102")}),
    )


@pytest.mark.parametrize("missing", [{"title": None}, {"title": ""}, {"start_at": None}])
def test_a_booking_without_a_title_or_schedule_is_not_wanted_yet(missing: dict[str, Value]) -> None:
    assert isinstance(project_booking(booking(**missing), known(attendance(1))), NotWanted)


def test_a_booking_that_calendar_live_does_not_have_is_not_wanted_yet() -> None:
    values: dict[str, Value] = {"title": "x", "start_at": START}
    held = entity("booking", "b1", values, copies=("calendar_live/hold/h1",))
    assert isinstance(project_booking(held, known(attendance(1))), NotWanted)


def test_a_booking_without_an_attendee_is_not_wanted_yet() -> None:
    assert isinstance(project_booking(booking(), known()), NotWanted)


def test_a_booking_waits_for_a_contact_that_has_no_id_yet() -> None:
    view = known(attendance(1), attendance(2), written=("c1",))
    assert project_booking(booking(), view) == Waiting("acme/contact/c2")


def test_a_booking_waits_for_a_contact_that_is_not_known_at_all_yet() -> None:
    view = KnownEntities([attendance(1)])
    assert project_booking(booking(), view) == Waiting("acme/contact/c1")


def test_a_booking_does_not_wait_for_a_person_who_will_never_be_a_contact() -> None:
    nobody = entity("contact", "c3", {"company": "Northwind"})
    view = known(attendance(1), attendance(3))
    view.entities.append(nobody)
    assert linked(booking(), view) == {"101"}


def test_who_cancels_is_taken_off() -> None:
    view = known(attendance(1, status="registered"), attendance(2, status="cancelled"))
    assert linked(booking(status="confirmed", event_kind="group"), view) == {"101"}


def test_a_cancelled_booking_keeps_its_people() -> None:
    view = known(attendance(1, status="cancelled"))
    of = booking(status="cancelled", event_kind="group")
    assert linked(of, view) == {"101"}
    assert projection(of, view).fields["hs_meeting_outcome"] == "CANCELED"


def test_a_one_to_one_event_keeps_its_person_until_it_is_cancelled_itself() -> None:
    view = known(attendance(1, status="cancelled"))
    assert linked(booking(status="confirmed", event_kind="one_to_one"), view) == {"101"}


def test_a_group_event_that_everybody_left_is_on_nobodys_timeline_if_hubspot_has_it() -> None:
    view = known(attendance(1, status="cancelled"))
    of = booking(status="confirmed", event_kind="group")
    assert isinstance(project_booking(of, view), NotWanted)
    view.ids[of.key] = "900"
    assert linked(of, view) == set()


def test_a_meeting_that_hubspot_has_hears_of_its_cancellation_without_attendees() -> None:
    view = known()
    view.ids["acme/booking/b1"] = "900"
    assert linked(booking(status="cancelled"), view) == set()
    assert isinstance(project_booking(booking(status="confirmed"), view), NotWanted)


def test_a_meeting_shows_the_payment_that_somebody_must_look_at() -> None:
    view = known(attendance(1, payment_status="succeeded"), attendance(2, payment_status="pending"))
    assert projection(booking(), view).fields["payment_status"] == "pending"


def test_a_refund_shows_after_the_cancellation() -> None:
    view = known(attendance(1, status="cancelled", payment_status="refunded"))
    fields = projection(booking(status="cancelled"), view).fields
    assert fields["payment_status"] == "refunded"


def test_a_free_meeting_says_nothing_of_payments() -> None:
    assert "payment_status" not in projection(booking(), known(attendance(1))).fields


def test_the_worst_payment_is_failed_then_pending_then_refunded_then_succeeded() -> None:
    order = ["failed", "pending", "refunded", "succeeded"]
    for place, status in enumerate(order):
        assert worst_payment([*order[place:], None]) == status
    assert worst_payment([None]) is None


def test_an_attendance_moves_its_booking_and_a_payment_moves_nothing() -> None:
    config = HubSpotConfig.model_validate({"token": {"env": "HUBSPOT_TOKEN"}})
    sink = HubSpotSink(config, RunnerContext("hubspot"))
    assert list(sink.affected(attendance(1))) == ["acme/booking/b1"]
    assert list(sink.affected(entity("attendance", "a9", {}))) == []
    assert list(sink.affected(entity("payment", "p1", {}))) == []
    assert list(sink.affected(booking())) == ["acme/booking/b1"]
    assert list(sink.affected(person(1))) == ["acme/contact/c1"]
    assert isinstance(sink.project(entity("payment", "p1", {}), known()), NotWanted)
