"""Delivering webhooks: acknowledgement, retries, refusals and the log."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from calstream_sandbox.calendar_live.sender import CALENDAR_LIVE
from calstream_sandbox.calendar_live.signature import sign
from calstream_sandbox.delivery_log import DeliveryState
from calstream_sandbox.sender import Endpoint, WebhookSender

URL = "http://receiver.example/hooks"
BODY = b'{"id": "evt_1", "type": "event.created"}'
Answer = Callable[[int], int | Exception]


class Receiver(httpx.AsyncBaseTransport):
    """Answers the n-th request with a status, an error, or (0) not at all."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Answer = lambda _: 200

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answer(len(self.requests))
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            await asyncio.Event().wait()
        return httpx.Response(answer)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[WebhookSender]:
    sender = WebhookSender(
        CALENDAR_LIVE, retry_scale=1e-6, timeout_seconds=0.05, transport=receiver
    )
    sender.endpoints["acme"] = Endpoint(URL, "s3cret")
    yield sender
    await sender.close()


async def test_a_delivery_is_signed_and_logged(sender: WebhookSender, receiver: Receiver) -> None:
    delivery = sender.submit("acme", BODY, delivery_id="dlv_1")
    assert await sender.settle([delivery], timeout_seconds=5)
    (request,) = receiver.requests
    assert request.url == URL
    assert request.content == BODY
    assert request.headers["x-cl-signature"] == sign("s3cret", BODY)
    assert request.headers["x-cl-delivery-id"] == "dlv_1"
    assert request.headers["content-type"] == "application/json"
    entry = delivery.reply()
    assert (entry["id"], entry["event_id"], entry["type"]) == ("dlv_1", "evt_1", "event.created")
    assert (entry["status"], entry["next_attempt_at"]) == ("delivered", None)
    assert [attempt["status"] for attempt in entry["attempts"]] == [200]


async def test_server_errors_are_retried_with_the_same_delivery_id(
    sender: WebhookSender, receiver: Receiver
) -> None:
    receiver.answer = lambda number: 503 if number < 3 else 200
    delivery = sender.submit("acme", BODY)
    await sender.settle([delivery], timeout_seconds=5)
    assert [attempt.status for attempt in delivery.attempts] == [503, 503, 200]
    assert delivery.state is DeliveryState.DELIVERED
    assert {one.headers["x-cl-delivery-id"] for one in receiver.requests} == {delivery.id}


async def test_no_answer_and_a_broken_connection_are_retried(
    sender: WebhookSender, receiver: Receiver
) -> None:
    answers: list[int | Exception] = [0, httpx.ConnectError("refused"), 200]
    receiver.answer = lambda number: answers[number - 1]
    delivery = sender.submit("acme", BODY)
    await sender.settle([delivery], timeout_seconds=5)
    told = [(attempt.status, attempt.error) for attempt in delivery.attempts]
    assert told == [(None, "timeout"), (None, "ConnectError"), (200, None)]


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 404, 429])
async def test_any_other_answer_is_a_refusal_and_the_end(
    sender: WebhookSender, receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda _: status
    delivery = sender.submit("acme", BODY)
    await sender.settle([delivery], timeout_seconds=5)
    assert delivery.state is DeliveryState.REFUSED
    assert len(receiver.requests) == 1


async def test_after_eight_attempts_it_is_given_up(
    sender: WebhookSender, receiver: Receiver
) -> None:
    receiver.answer = lambda _: 500
    delivery = sender.submit("acme", BODY)
    assert await sender.settle([delivery], timeout_seconds=20)
    assert len(delivery.attempts) == 8
    assert delivery.state is DeliveryState.GIVEN_UP


async def test_the_waits_are_the_contracts(receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    sender = WebhookSender(CALENDAR_LIVE, transport=receiver)
    sender.endpoints["acme"] = Endpoint(URL, "s3cret")
    delivery = sender.submit("acme", BODY)
    assert not await sender.settle([delivery], timeout_seconds=0.2)
    (due,) = delivery.next_attempts.values()
    assert 4.9 < (due - delivery.attempts[0].at).total_seconds() < 5.2
    assert delivery.reply()["status"] == "pending"
    assert delivery.reply()["next_attempt_at"] is not None
    await sender.close()


async def test_copies_of_a_delivery_are_sent_side_by_side(
    sender: WebhookSender, receiver: Receiver
) -> None:
    delivery = sender.submit("acme", BODY, copies=3)
    await sender.settle([delivery], timeout_seconds=5)
    assert len(receiver.requests) == 3
    assert len({one.headers["x-cl-delivery-id"] for one in receiver.requests}) == 1
    assert len(delivery.attempts) == 3


async def test_a_wrong_secret_can_be_asked_for(sender: WebhookSender, receiver: Receiver) -> None:
    delivery = sender.submit("acme", BODY, secret="other")
    await sender.settle([delivery], timeout_seconds=5)
    assert receiver.requests[0].headers["x-cl-signature"] == sign("other", BODY)
    sender.redeliver(delivery)
    await sender.settle([delivery], timeout_seconds=5)
    assert receiver.requests[1].headers["x-cl-signature"] == sign("s3cret", BODY)
    assert receiver.requests[1].headers["x-cl-delivery-id"] == delivery.id


async def test_a_body_that_is_no_webhook_is_sent_as_it_is(
    sender: WebhookSender, receiver: Receiver
) -> None:
    for raw in (b"\xff\x00", b"[1]", b'{"id": 7}'):
        delivery = sender.submit("acme", raw)
        await sender.settle([delivery], timeout_seconds=5)
        assert receiver.requests[-1].content == raw
        assert delivery.reply()["event_id"] is None


async def test_the_log_selects_by_state_and_workspace(
    sender: WebhookSender, receiver: Receiver
) -> None:
    sender.endpoints["other"] = Endpoint(URL, "x")
    receiver.answer = lambda number: 200 if number == 1 else 400
    first = sender.submit("acme", BODY)
    await sender.settle([first], timeout_seconds=5)
    second = sender.submit("other", BODY)
    await sender.settle([second], timeout_seconds=5)
    assert sender.log.select(state=DeliveryState.REFUSED) == [second]
    assert sender.log.select(workspace="acme") == [first]
    assert sender.log.select(since=second.created_at) == [second]
    await sender.reset()
    assert sender.log.select() == []


async def test_closing_ends_what_is_under_way(sender: WebhookSender, receiver: Receiver) -> None:
    receiver.answer = lambda _: 0
    delivery = sender.submit("acme", BODY)
    await asyncio.sleep(0)
    await sender.close()
    assert delivery.state is DeliveryState.PENDING
    assert await sender.settle([delivery], timeout_seconds=0)
