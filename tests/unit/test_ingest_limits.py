"""How the door behaves at its limits: health, room, floods, and requests of any shape."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.unit.ingest_scene import (
    BODY,
    PATH,
    Scene,
    counted,
    rejects_counted,
)

from calstream_core.errors import Code, UnavailableError
from calstream_core.settings import MAX_BODY_BYTES
from calstream_ingest.rejects import BURST_BYTES, BYTES_PER_SECOND, MAX_UNCONFIRMED
from calstream_ingest.room import REQUEST_BYTES


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_health_is_bad_from_a_failure_until_the_next_confirmation(scene: Scene) -> None:
    async def healthy() -> int:
        return (await scene.post(b"", method="GET", path="/healthz")).status_code

    assert await healthy() == 200
    scene.producer.answer = "fails"
    await scene.post_signed(BODY)
    assert scene.broker.fault() == "no"
    assert await healthy() == 503
    scene.producer.answer = "confirms"
    await scene.post_signed(BODY)
    assert scene.broker.fault() is None
    assert await healthy() == 200


async def test_metrics_are_not_shown_to_the_public(scene: Scene) -> None:
    assert (await scene.post(b"", method="GET", path="/metrics")).status_code == 404


async def test_records_that_the_producer_still_holds_take_up_room(tmp_path: Path) -> None:
    body = b"x" * 1000
    scene = Scene(tmp_path, room_bytes=3 * (REQUEST_BYTES + len(body)))
    scene.producer.answer = "never confirms"
    answers = [(await scene.post_signed(body)).json()["code"] for _ in range(5)]
    assert answers == ["broker-unavailable"] * 3 + ["ingest-busy"] * 2
    assert len(scene.producer.records) == 3
    for future in scene.producer.pending:
        future.set_exception(UnavailableError(Code.BROKER_UNAVAILABLE, "given up"))
    await asyncio.sleep(0)  # the callbacks run
    scene.producer.answer = "confirms"
    for _ in range(10):
        assert (await scene.post_signed(body)).status_code == 200


async def test_too_many_requests_at_once_are_sent_away(tmp_path: Path) -> None:
    scene = Scene(tmp_path, room_bytes=10 * (REQUEST_BYTES + len(BODY)))
    scene.producer.answer = "never confirms"
    answers = await asyncio.gather(*(scene.post_signed(BODY) for _ in range(50)))
    codes = [answer.json()["code"] for answer in answers]
    assert all(answer.status_code == 503 for answer in answers)
    assert codes.count("ingest-busy") == 40
    assert all("retry-after" in answer.headers for answer in answers)


async def test_a_body_that_does_not_fit_the_room_while_it_arrives_is_sent_away(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path, room_bytes=REQUEST_BYTES + 1500)

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        yield b"x" * 1000

    answer = await scene.post(body())
    assert (answer.status_code, answer.json()["code"]) == (503, "ingest-busy")
    assert (await scene.post_signed(b"x" * 1500)).status_code == 200


async def test_a_body_that_drips_is_given_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path, read_seconds=0.05)

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    answer = await scene.post(body())
    assert (answer.status_code, answer.json()["code"]) == (503, "body-incomplete")


async def test_a_sender_that_leaves_gets_no_answer_and_is_counted(scene: Scene) -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b"x", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    before = counted("calendar_live", "sender_left")
    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": []}
    await scene.door(scope, receive, send)
    assert sent == []
    assert counted("calendar_live", "sender_left") == before + 1


async def test_a_flood_of_bad_requests_queues_a_bounded_number(scene: Scene) -> None:
    scene.producer.answer = "never confirms"
    dropped = rejects_counted("dropped")
    for _ in range(1000):
        assert (await scene.post(BODY)).status_code == 401
    assert len(scene.producer.records) == MAX_UNCONFIRMED
    assert rejects_counted("dropped") == dropped + 1000 - MAX_UNCONFIRMED
    scene.producer.answer = "confirms"
    assert (await scene.post_signed(BODY)).status_code == 200


async def test_a_flood_of_bad_requests_writes_a_bounded_amount(tmp_path: Path) -> None:
    scene = Scene(tmp_path, max_body_bytes=MAX_BODY_BYTES)
    body = b"x" * MAX_BODY_BYTES
    for _ in range(20):
        assert (await scene.post(body)).status_code == 401
    kept = sum(webhook.body_bytes for webhook in scene.rejected())
    assert BURST_BYTES / 2 < kept <= BURST_BYTES
    scene.now_seconds += 2 * len(body) / BYTES_PER_SECOND
    before = len(scene.producer.records)
    await scene.post(body)
    assert len(scene.producer.records) == before + 1


@pytest.mark.parametrize("state", ["fails", "is full"])
async def test_an_answer_does_not_depend_on_keeping_the_reject(scene: Scene, state: str) -> None:
    failed = rejects_counted("failed")
    scene.producer.answer = state
    assert (await scene.post(BODY)).status_code == 401
    await asyncio.sleep(0)  # the callback runs
    assert rejects_counted("failed") == failed + 1


NAMES = st.sampled_from(
    ["x-cl-signature", "x-cl-delivery-id", "content-type", "content-length", "content-encoding"]
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scope=st.fixed_dictionaries(
        {
            "type": st.just("http"),
            "method": st.sampled_from(["POST", "GET", "FROB"]),
            "path": st.sampled_from([PATH, "/healthz", "/"]) | st.text(max_size=30),
            "query_string": st.binary(max_size=20),
            "headers": st.lists(
                st.tuples(NAMES.map(str.encode), st.binary(max_size=70)), max_size=6
            ),
        }
    ),
    body=st.binary(max_size=3000),
)
async def test_no_request_gives_a_500_or_a_redirect(
    scene: Scene, scope: dict[str, Any], body: bytes
) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as logs:
        await scene.door(scope, receive, send)
    assert logs == []
    assert sent[0]["status"] in {200, 401, 404, 405, 413, 415}
    if sent[0]["headers"][0] == (b"content-type", b"application/json"):
        orjson.loads(sent[1]["body"])


async def test_ids_are_uuids_and_differ(scene: Scene) -> None:
    ids = {uuid.UUID((await scene.post_signed(BODY)).json()["id"]) for _ in range(20)}
    assert len(ids) == 20
