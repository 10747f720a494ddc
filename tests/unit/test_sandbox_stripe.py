"""Limits, keys in use, strictness and form encoding of the Stripe simulator, on a clock of ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from calstream_sandbox.stripe.account import Account
from calstream_sandbox.stripe.app import build_stripe
from calstream_sandbox.stripe.errors import StripeError
from calstream_sandbox.stripe.form import parameter, parse_form

SESSIONS = "/v1/checkout/sessions"
EVENTS = "/v1/events"
PRICE = "line_items[0][price_data]"
SESSION = {
    "mode": "payment",
    "success_url": "https://calendar.example/thanks",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "4900",
    "line_items[0][price_data][product_data][name]": "Workshop",
}


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_795_792_800.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stripe(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    account = Account(key="sk_test", now_seconds=clock)
    transport = httpx.ASGITransport(Starlette(routes=build_stripe(account)))
    headers = {"Authorization": "Bearer sk_test"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://stripe", headers=headers
    ) as client:
        yield client


async def test_each_call_and_the_account_have_a_limit_with_its_name_in_the_header(
    stripe: httpx.AsyncClient, clock: Clock
) -> None:
    limits = {"requests_per_second": 3, "endpoint_requests_per_second": 2}
    await stripe.post("/_control/settings", json=limits)
    replies = [await stripe.get(path) for path in (EVENTS, EVENTS, EVENTS, SESSIONS, SESSIONS)]
    assert [reply.status_code for reply in replies] == [200, 200, 429, 200, 429]
    reasons = [reply.headers.get("stripe-rate-limited-reason") for reply in replies]
    assert reasons == [None, None, "endpoint-rate", None, "global-rate"]
    error = replies[2].json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "rate_limit")
    clock.seconds += 1
    assert (await stripe.get(EVENTS)).status_code == 200


async def test_a_key_that_is_in_use_is_a_conflict(stripe: httpx.AsyncClient) -> None:
    await stripe.post("/_control/settings", json={"processing_seconds": 0.05})
    key = {"Idempotency-Key": "once"}
    replies = await asyncio.gather(
        *(stripe.post(SESSIONS, data=SESSION, headers=key) for _ in range(3))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409]
    conflict = next(reply for reply in replies if reply.status_code == 409)
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"
    again = await stripe.post(SESSIONS, data=SESSION, headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await stripe.get(SESSIONS)).json()["data"]) == 1


async def test_a_refusal_leaves_its_key_free_and_a_decline_is_kept(
    stripe: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "k"}
    refused = await stripe.post(SESSIONS, data=SESSION | {"mode": "x"}, headers=key)
    assert refused.status_code == 400
    assert (await stripe.post(SESSIONS, data=SESSION, headers=key)).status_code == 200
    declined = {
        "amount": "500",
        "currency": "usd",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": "true",
    }
    other = {"Idempotency-Key": "d"}
    first = await stripe.post("/v1/payment_intents", data=declined, headers=other)
    again = await stripe.post("/v1/payment_intents", data=declined, headers=other)
    assert first.status_code == again.status_code == 402
    assert again.content == first.content
    assert again.headers["original-request"] == first.headers["request-id"]


async def test_a_key_is_for_one_call_and_not_too_long(stripe: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    await stripe.post(SESSIONS, data=SESSION, headers=key)
    intent = {"amount": "500", "currency": "usd"}
    other = await stripe.post("/v1/payment_intents", data=intent, headers=key)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    long = await stripe.post(SESSIONS, data=SESSION, headers={"Idempotency-Key": "k" * 256})
    assert long.status_code == 400
    assert (await stripe.get(SESSIONS, headers=key)).status_code == 200


async def test_an_event_tells_the_request_that_caused_it(stripe: httpx.AsyncClient) -> None:
    intent = {"amount": "500", "currency": "usd"}
    made = await stripe.post(
        "/v1/payment_intents", data=intent, headers={"Idempotency-Key": "because"}
    )
    (event,) = (await stripe.get(EVENTS)).json()["data"]
    assert event["request"] == {"id": made.headers["request-id"], "idempotency_key": "because"}
    assert event["data"]["object"]["id"] == made.json()["id"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"line_items[0][nonsense]": "1"}, "line_items[0][nonsense]"),
        ({"payment_intent_data[nonsense]": "1"}, "payment_intent_data[nonsense]"),
        ({"line_items[0][quantity]": ""}, "line_items[0][quantity]"),
        ({"line_items[0][quantity]": "0"}, "line_items[0][quantity]"),
        ({f"{PRICE}[unit_amount]": "-1"}, f"{PRICE}[unit_amount]"),
        ({f"{PRICE}[unit_amount]": "49"}, "line_items"),
        ({"customer_email": ""}, "customer_email"),
        ({"expires_at": "1795794599"}, "expires_at"),
        ({"expires_at": "1795879201"}, "expires_at"),
        ({"mode": "setup"}, "mode setup"),
        ({"ui_mode": "elements"}, "ui_mode elements"),
        ({"expand[]": "nonsense"}, "expand"),
        ({"metadata[a][b]": "c"}, "metadata[a]"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name_and_makes_nothing(
    stripe: httpx.AsyncClient, changes: dict[str, str], param: str
) -> None:
    reply = await stripe.post(SESSIONS, data=SESSION | changes)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == param
    assert (await stripe.get(SESSIONS)).json()["data"] == []


@pytest.mark.parametrize("expires_at", ["1795794600", "1795879200"])
async def test_a_session_may_last_from_half_an_hour_to_a_day(
    stripe: httpx.AsyncClient, expires_at: str
) -> None:
    reply = await stripe.post(SESSIONS, data=SESSION | {"expires_at": expires_at})
    assert reply.json()["expires_at"] == int(expires_at)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nonsense", 404),
        ("DELETE", SESSIONS, 404),
        ("GET", f"{SESSIONS}/", 404),
        ("GET", f"{SESSIONS}/cs_none", 404),
        ("GET", f"{SESSIONS}?limit=101", 400),
        ("GET", f"{SESSIONS}?starting_after=cs_none", 400),
        ("POST", f"{SESSIONS}?mode=payment", 400),
        ("GET", f"{SESSIONS}?a[b=1", 400),
    ],
)
async def test_what_is_not_there_is_an_error_in_stripes_form(
    stripe: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await stripe.request(method, path)
    assert reply.status_code == status
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert reply.headers["request-id"].startswith("req_")


async def test_json_and_bad_versions_are_refused(stripe: httpx.AsyncClient) -> None:
    assert (await stripe.post(SESSIONS, json=SESSION)).status_code == 400
    for version, status in (("2026-10-28.endive", 200), ("2014", 400)):
        reply = await stripe.get(EVENTS, headers={"Stripe-Version": version})
        assert reply.status_code == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic c2tfdGVzdDo=", 200),
        ("Bearer sk_other", 401),
        ("Basic !", 401),
        ("", 401),
    ],
)
async def test_the_key_comes_as_bearer_or_basic(
    stripe: httpx.AsyncClient, header: str, status: int
) -> None:
    reply = await stripe.get(EVENTS, headers={"Authorization": header})
    assert reply.status_code == status


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.recursive(
            st.text(max_size=5),
            lambda inner: st.dictionaries(
                st.text("xyz01", min_size=1, max_size=2), inner, min_size=1, max_size=3
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_what_is_encoded_with_brackets_is_read_back(tree: dict[str, object]) -> None:
    fields: list[tuple[str, str]] = []

    def flatten(path: tuple[str, ...], node: object) -> None:
        if isinstance(node, dict):
            for name, inner in node.items():
                flatten((*path, name), inner)
        else:
            fields.append((parameter(path), str(node)))

    flatten((), tree)
    assert parse_form(urlencode(fields)) == tree


@given(st.text(max_size=60))
def test_no_form_raises_anything_but_an_error_of_stripes(text: str) -> None:
    with contextlib.suppress(StripeError):
        parse_form(text)
