"""Stripe's official client drives the simulator, and checks the signatures of what it sends."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe
from stripe import StripeClient
from tests.contract.conftest import Receiver

KEY = "sk_test_sandbox"
SESSION: dict[str, Any] = {
    "mode": "payment",
    "success_url": "https://calendar.example/thanks?session={CHECKOUT_SESSION_ID}",
    "customer_email": "jo@example.com",
    "client_reference_id": "payment-1",
    "metadata": {"payment": "p1"},
    "payment_intent_data": {"metadata": {"payment": "p1"}},
    "line_items": [
        {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": 4900,
                "product_data": {"name": "Workshop"},
            },
        }
    ],
}


@pytest.fixture
def client(stripe_url: str) -> StripeClient:
    return StripeClient(KEY, base_addresses={"api": stripe_url}, max_network_retries=0)


def control(base: str, path: str, **body: Any) -> Any:
    reply = httpx.post(f"{base}/_control/{path}", json=body)
    reply.raise_for_status()
    return reply.json()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)  # webhooks arrive in another thread's time


def test_a_session_is_made_read_listed_and_expired(client: StripeClient) -> None:
    sessions = client.v1.checkout.sessions
    made = sessions.create(SESSION)  # type: ignore[arg-type]  # a plain dict, as callers have it
    assert (made.status, made.payment_status, made.amount_total) == ("open", "unpaid", 4900)
    assert made.url is not None
    assert made.url.startswith("https://checkout.stripe.com/")
    assert made.payment_intent is None
    assert made.expires_at - made.created == 24 * 3600
    read = sessions.retrieve(made.id)
    assert read.metadata is not None
    assert (read.id, read.metadata["payment"]) == (made.id, "p1")
    assert [each.id for each in sessions.list({"limit": 1}).data] == [made.id]
    assert [each.description for each in sessions.line_items.list(made.id).data] == ["Workshop"]
    assert sessions.expire(made.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        sessions.expire(made.id)


def test_a_payment_completes_the_session_and_its_events_arrive_signed(
    client: StripeClient, stripe_url: str, receiver: Receiver
) -> None:
    control(stripe_url, "endpoints", url=receiver.url, secret="whsec_test")
    made = client.v1.checkout.sessions.create(SESSION)  # type: ignore[arg-type]  # see above
    control(stripe_url, f"sessions/{made.id}/pay", email="jo@example.com", name="Jo Park")
    until(lambda: len(receiver.got) == 4)
    events = {}
    for headers, body in receiver.got:
        event = stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_test")
        events[event.type] = event
    assert set(events) == {
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    }
    session = events["checkout.session.completed"].data.object
    assert (session["id"], session["payment_status"]) == (made.id, "paid")
    read = client.v1.checkout.sessions.retrieve(
        made.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert (read.status, read.payment_status) == ("complete", "paid")
    intent = read.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.metadata["payment"]) == ("succeeded", "p1")
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.paid
    until(lambda: len(client.v1.events.list({"delivery_success": True}).data) == 4)
    only = client.v1.events.list({"types": ["charge.succeeded"]}).data
    assert [event.type for event in only] == ["charge.succeeded"]
    assert only[0].id in {event.id for event in events.values()}


def test_a_webhook_that_is_not_taken_comes_again_signed_anew(
    client: StripeClient, stripe_url: str, receiver: Receiver
) -> None:
    receiver.answers = [404]
    control(stripe_url, "endpoints", url=receiver.url, secret="whsec_test")
    client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    until(lambda: len(receiver.got) == 2)
    bodies = {body for _, body in receiver.got}
    assert len(bodies) == 1
    for headers, body in receiver.got:
        stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_test")


def test_a_delayed_payment_is_complete_and_unpaid_until_the_bank_speaks(
    client: StripeClient, stripe_url: str
) -> None:
    for succeeded, status, kind in (
        (True, "paid", "checkout.session.async_payment_succeeded"),
        (False, "unpaid", "checkout.session.async_payment_failed"),
    ):
        made = client.v1.checkout.sessions.create(SESSION)  # type: ignore[arg-type]  # see above
        paid = control(stripe_url, f"sessions/{made.id}/pay", outcome="processing")
        assert (paid["status"], paid["payment_status"]) == ("complete", "unpaid")
        control(stripe_url, f"sessions/{made.id}/settle", succeeded=succeeded)
        assert client.v1.checkout.sessions.retrieve(made.id).payment_status == status
        assert client.v1.events.list({"type": kind}).data[0].data.object["id"] == made.id


def test_a_declined_payment_leaves_the_session_open_for_another(
    client: StripeClient, stripe_url: str
) -> None:
    made = client.v1.checkout.sessions.create(SESSION)  # type: ignore[arg-type]  # see above
    tried = control(stripe_url, f"sessions/{made.id}/pay", outcome="declined")
    assert (tried["status"], tried["payment_status"]) == ("open", "unpaid")
    intent = client.v1.payment_intents.retrieve(tried["payment_intent"])
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == "card_declined"
    paid = control(stripe_url, f"sessions/{made.id}/pay")
    assert (paid["payment_intent"], paid["payment_status"]) == (intent.id, "paid")


def test_a_session_ends_when_its_time_is_up(client: StripeClient, stripe_url: str) -> None:
    made = client.v1.checkout.sessions.create(SESSION)  # type: ignore[arg-type]  # see above
    control(stripe_url, "advance", seconds=24 * 3600 + 1)
    assert client.v1.checkout.sessions.retrieve(made.id).status == "expired"
    assert client.v1.events.list({"type": "checkout.session.expired"}).data
    assert httpx.post(f"{stripe_url}/_control/sessions/{made.id}/pay").status_code == 400


def test_the_same_key_makes_one_session_and_another_body_is_an_error(
    client: StripeClient, stripe_url: str
) -> None:
    sessions = client.v1.checkout.sessions
    options: stripe.RequestOptions = {"idempotency_key": "payment-1/1"}
    first = sessions.create(SESSION, options)  # type: ignore[arg-type]  # see above
    again = sessions.create(SESSION, options)  # type: ignore[arg-type]  # see above
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    other = SESSION | {"client_reference_id": "payment-2"}
    with pytest.raises(stripe.IdempotencyError):
        sessions.create(other, options)  # type: ignore[arg-type]  # see above
    control(stripe_url, "advance", seconds=24 * 3600)
    assert sessions.create(other, options).id != first.id  # type: ignore[arg-type]  # see above


def test_cards_are_taken_and_declined(client: StripeClient) -> None:
    intents = client.v1.payment_intents
    good = intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    assert (good.status, good.amount_received) == ("succeeded", 500)
    bad = intents.create({"amount": 500, "currency": "usd"})
    with pytest.raises(stripe.CardError) as error:
        intents.confirm(bad.id, {"payment_method": "pm_card_chargeDeclined"})
    assert (error.value.code, error.value.http_status) == ("card_declined", 402)
    assert intents.cancel(bad.id, {"cancellation_reason": "abandoned"}).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as unexpected:
        intents.confirm(bad.id)
    assert unexpected.value.code == "payment_intent_unexpected_state"


def test_a_payment_is_refunded_in_parts_and_not_beyond(client: StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    refunds = client.v1.refunds
    part = refunds.create({"payment_intent": intent.id, "amount": 200, "metadata": {"a": "b"}})
    assert (part.amount, part.status) == (200, "succeeded")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        refunds.create({"payment_intent": intent.id, "amount": 301})
    rest = refunds.create({"payment_intent": intent.id})
    assert rest.amount == 300
    with pytest.raises(stripe.InvalidRequestError) as error:
        refunds.create({"payment_intent": intent.id})
    assert error.value.code == "charge_already_refunded"
    found = refunds.list({"payment_intent": intent.id}).data
    assert [each.id for each in found] == [rest.id, part.id]
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.refunded, charge.amount_refunded) == (True, 500)


def test_every_page_is_listed_once_newest_first(client: StripeClient) -> None:
    made = [
        client.v1.payment_intents.create({"amount": 500 + number, "currency": "eur"}).id
        for number in range(7)
    ]
    found = client.v1.payment_intents.list({"limit": 3})
    assert [each.id for each in found.auto_paging_iter()] == made[::-1]


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"nonsense": "1"}, "parameter_unknown", "nonsense"),
        ({"mode": "later"}, None, "mode"),
        ({"line_items": []}, "parameter_missing", "line_items"),
        ({"success_url": "nowhere"}, "url_invalid", "success_url"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
        ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata"),
        ({"shipping_options": [{"shipping_rate": "x"}]}, None, "shipping_options"),
        ({"line_items": [{"price": "price_1", "quantity": 1}]}, "resource_missing", None),
    ],
)
def test_what_stripe_refuses_is_refused_with_its_code(
    client: StripeClient, changes: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.checkout.sessions.create(SESSION | changes)  # type: ignore[arg-type]  # see above
    assert error.value.http_status == 400
    assert error.value.code == code
    assert error.value.request_id is not None
    if param is not None:
        assert error.value.param == param


def test_a_wrong_key_and_an_unknown_id_are_told_apart(
    client: StripeClient, stripe_url: str
) -> None:
    other = StripeClient("sk_test_other", base_addresses={"api": stripe_url})
    with pytest.raises(stripe.AuthenticationError):
        other.v1.events.list()
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.checkout.sessions.retrieve("cs_test_none")
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")


def test_the_rate_limit_is_an_error_of_its_own_and_a_bad_gateway_is_made_up_for(
    client: StripeClient, stripe_url: str
) -> None:
    control(stripe_url, "faults", status=429)
    with pytest.raises(stripe.RateLimitError) as error:
        client.v1.events.list()
    assert error.value.headers is not None
    assert error.value.headers["stripe-rate-limited-reason"] == "global-rate"
    control(stripe_url, "faults", applied=True, status=502)
    patient = StripeClient(KEY, base_addresses={"api": stripe_url}, max_network_retries=2)
    made = patient.v1.checkout.sessions.create(SESSION)  # type: ignore[arg-type]  # see above
    found = client.v1.checkout.sessions.list().data
    assert [each.id for each in found] == [made.id], "the client's own key made it one"


def test_a_dropped_answer_is_found_again_under_its_key(
    client: StripeClient, stripe_url: str
) -> None:
    sessions = client.v1.checkout.sessions
    options: stripe.RequestOptions = {"idempotency_key": "once"}
    control(stripe_url, "faults", applied_then_dropped=True)
    with pytest.raises(stripe.APIConnectionError):
        sessions.create(SESSION, options)  # type: ignore[arg-type]  # see above
    made = sessions.create(SESSION, options)  # type: ignore[arg-type]  # see above
    assert [each.id for each in sessions.list().data] == [made.id]
