"""Flow B: an attendance shows how its payment stands, whichever of them is heard of first."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.automation_scene import NOON, WORKSHOP, Truth, booking, calendar, crm_says

from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Calendar
from calstream_sandbox.calendar_live.model import Attendee, Event
from calstream_schemas.entities import NaturalId, Values

STRIPE = NaturalId("stripe", "payment", "cs_1")


def _paid() -> tuple[Calendar, Event, Attendee, list[Webhook]]:
    scene = calendar()
    person = scene.add_attendee("jo@example.com", "Jo")
    event, told = scene.book(booking(WORKSHOP), person)
    return scene, event, person, told


def _without_payment(webhook: Webhook) -> Webhook:
    data = {**webhook.body["data"], "payment": None}
    return Webhook(webhook.id, webhook.type, {**webhook.body, "data": data})


def test_a_paid_booking_asks_for_a_payment_until_there_is_one() -> None:
    _, _, _, (told,) = _paid()
    truth = Truth().receive([_without_payment(told)])
    attendance = truth.only("attendance")
    assert attendance.values["payment_status"] == "required"
    assert str(attendance.decisions["payment"].id) == f"rules/attendance/{attendance.id}"
    again = replace(told, body={**told.body, "id": "evt_2"})
    assert truth.receive([again]).only("attendance").values["payment_status"] == "pending"


def test_a_booking_that_costs_nothing_says_nothing_of_payments() -> None:
    scene = calendar()
    told = scene.book(booking(), scene.add_attendee("jo@example.com", "Jo"))[1]
    truth = Truth().receive(told)
    assert "payment" not in truth.only("attendance").decisions
    assert truth.drawn == []


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "refunded"])
def test_the_attendance_follows_its_payment_in_every_order(outcome: str) -> None:
    scene, event, person, told = _paid()
    if outcome == "failed":
        told += scene.fail_payment(event, person, "card_declined")
    else:
        told += scene.pay(event, person)
    if outcome == "refunded":
        told += scene.refund(event, person)
    for order in itertools.permutations(told):
        attendance = Truth().receive(order).only("attendance")
        assert attendance.values["payment_status"] == outcome
        failure = "card_declined" if outcome == "failed" else None
        assert attendance.values["payment_failure"] == failure


def test_a_provider_s_word_goes_before_the_calendar_s_and_reaches_the_attendance() -> None:
    _, _, _, told = _paid()
    truth = Truth().receive(told)
    payment = truth.only("payment")
    status: Values = {"status": "expired", "failure_code": None}
    at = NOON + timedelta(days=1)
    said = crm_says(STRIPE, "payment", at, {"status": status}, about=payment.id)
    truth.observe(replace(said, role="payments"))
    assert truth.only("attendance").values["payment_status"] == "expired"


def test_a_price_that_is_dropped_takes_the_demand_away() -> None:
    scene, event, _, (told,) = _paid()
    truth = Truth().receive([_without_payment(told)])
    event.event_type = replace(event.event_type, paid=False)
    (update,) = scene.update(event, title="For free")
    truth.receive([_without_payment(update)])
    assert truth.only("attendance").values["payment_status"] is None


def test_whoever_cancels_before_paying_owes_nothing() -> None:
    scene, event, person, (told,) = _paid()
    cancelled = scene.cancel(event, person, reason="ill", by="attendee")
    for order in itertools.permutations([told, *cancelled]):
        truth = Truth().receive(map(_without_payment, order))
        assert truth.only("attendance").values.get("payment_status") is None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_many_attendees_of_one_event_each_have_their_own_payment_in_any_order(
    data: st.DataObject,
) -> None:
    scene = calendar()
    people = [scene.add_attendee(f"p{n}@example.com", f"P{n}") for n in range(4)]
    event, told = scene.book(booking(WORKSHOP), *people)
    told += scene.pay(event, people[0])
    told += scene.fail_payment(event, people[1], "card_declined")
    told += scene.cancel(event, people[2], reason="ill", by="attendee")
    truth = Truth().receive(data.draw(st.permutations(told + told[::2])))
    found = {
        str(contact.values["email"])[:2]: attendance.values["payment_status"]
        for contact in truth.of("contact")
        for attendance in truth.of("attendance")
        if attendance.references["contact_ref"] == contact.id
    }
    assert found == {"p0": "succeeded", "p1": "failed", "p2": "pending", "p3": "pending"}
    versions = truth.versions
    assert truth.receive(told).versions == versions
