"""What the door answers, writes and keeps, with a producer of the test's at the seam."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import Headers, partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import MAX_BODY_BYTES, IngestSettings, Settings
from calstream_ingest.addresses import load_addresses
from calstream_ingest.broker import BrokerHealth
from calstream_ingest.door import Door
from calstream_ingest.rejects import BURST_BYTES, BYTES_PER_SECOND, MAX_UNCONFIRMED, RejectLog
from calstream_ingest.room import REQUEST_BYTES
from calstream_ingest.webhook_log import WebhookLog
from calstream_schemas.webhooks import (
    ReceivedWebhook,
    RejectedWebhook,
    decode_received,
    decode_rejected,
)

PATH = "/v1/webhooks/acme/calendar_live"
SECRET = b"s3cret"
OLD_SECRET = b"older"
BODY = b'{"id": "evt_1", "workspace": "acme"}'
PERSONAL = "jo.park@example.com"
NOW = 1_790_000_000_000_000


@dataclass
class Producer:
    """A producer that confirms at once, never, or does not even take the record."""

    answer: str = "confirms"
    records: list[tuple[str, str, bytes, int, Headers]] = field(default_factory=list)
    pending: list[asyncio.Future[None]] = field(default_factory=list)

    def send(
        self,
        topic: str,
        key: str | bytes,
        value: bytes | None,
        *,
        partition: int,
        headers: Headers | None = None,
    ) -> asyncio.Future[None]:
        if self.answer == "is full":
            raise UnavailableError(Code.BROKER_UNAVAILABLE, "full")
        if self.answer == "breaks":
            raise RuntimeError(PERSONAL)
        assert isinstance(key, str)
        assert value is not None
        self.records.append((topic, key, value, partition, headers or []))
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.answer == "confirms":
            confirmed.set_result(None)
        elif self.answer == "fails":
            confirmed.set_exception(UnavailableError(Code.BROKER_UNAVAILABLE, "no"))
        else:
            self.pending.append(confirmed)
        return confirmed


class Scene:
    """A door with its surroundings."""

    def __init__(self, directory: Path, **limits: Any) -> None:
        self.now_seconds = 0.0
        for name, value in (("new", SECRET), ("old", OLD_SECRET)):
            (directory / name).write_bytes(value)
        secrets = [{"file": str(directory / name), "label": name} for name in ("new", "old")]
        settings = Settings.model_validate(
            {
                "workspaces": {
                    "acme": {"secrets": {"calendar_live": secrets}},
                    "quiet": {"secrets": {"calendar_live": []}},
                }
            }
        )
        self.keys = KeyStore(directory / "keys")
        self.producer = Producer()
        self.broker = BrokerHealth(lambda: None)
        ack_timeout_seconds = limits.pop("ack_timeout_seconds", 0.05)
        self.door = Door(
            load_addresses(settings, self.keys),
            WebhookLog(self.producer, "webhooks", self.broker, ack_timeout_seconds),
            RejectLog(self.producer, "webhooks.rejected", clock=lambda: self.now_seconds),
            IngestSettings(max_body_bytes=limits.pop("max_body_bytes", 2048)),
            health=self.broker.fault,
            clock=lambda: NOW,
            **limits,
        )

    async def post(
        self, content: Any, headers: Mapping[str, str] = {}, **more: Any
    ) -> httpx.Response:
        method = more.pop("method", "POST")
        path = more.pop("path", PATH)
        sent = {"content-type": "application/json"} | dict(headers)
        transport = httpx.ASGITransport(app=self.door)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return await client.request(
                method, path, content=content, headers={k: v for k, v in sent.items() if v}
            )

    async def post_signed(
        self, body: bytes, headers: Mapping[str, str] = {}, **more: Any
    ) -> httpx.Response:
        return await self.post(body, {"x-cl-signature": signature(body), **headers}, **more)

    def received(self) -> list[ReceivedWebhook]:
        found = []
        for topic, _, value, _, _ in self.producer.records:
            if topic == "webhooks":
                webhook = decode_received(value, self.keys.sealer)
                assert isinstance(webhook, ReceivedWebhook)
                found.append(webhook)
        return found

    def rejected(self) -> list[RejectedWebhook]:
        found = []
        for topic, _, value, _, _ in self.producer.records:
            if topic == "webhooks.rejected":
                webhook = decode_rejected(value, self.keys.sealer)
                assert isinstance(webhook, RejectedWebhook)
                found.append(webhook)
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def counted(source: str, outcome: str) -> float:
    labels = {"source": source, "outcome": outcome}
    return REGISTRY.get_sample_value("calstream_ingest_requests_total", labels) or 0


def rejects_counted(outcome: str) -> float:
    labels = {"stage": "ingest-rejects", "outcome": outcome}
    return REGISTRY.get_sample_value("calstream_stage_events_total", labels) or 0


async def test_a_signed_webhook_is_stored_as_it_came(scene: Scene) -> None:
    before = counted("calendar_live", "accepted")
    answer = await scene.post_signed(BODY, {"x-cl-delivery-id": "dlv_1"})
    assert answer.status_code == 200
    [webhook] = scene.received()
    assert answer.json() == {"status": "accepted", "id": webhook.id}
    assert answer.headers["content-length"] == str(len(answer.content))
    assert webhook == ReceivedWebhook(
        id=webhook.id,
        workspace="acme",
        source="calendar_live",
        received_at=NOW,
        delivery_id="dlv_1",
        scheme="hmac-sha256-body",
        secret_label="new",
        content_type="application/json",
        body=BODY,
    )
    assert counted("calendar_live", "accepted") == before + 1


async def test_a_record_names_its_workspace_partition_and_cloud_event(scene: Scene) -> None:
    identifier = (await scene.post_signed(BODY)).json()["id"]
    [(topic, key, value, partition, headers)] = scene.producer.records
    assert (topic, key, partition) == ("webhooks", "acme", partition_of("acme", 6))
    assert dict(headers) == {
        "ce_id": identifier.encode(),
        "ce_type": b"webhook.received",
        "ce_time": str(NOW).encode(),
    }
    assert b"evt_1" not in value, "the body must be sealed"


async def test_the_label_of_the_secret_that_fits_is_recorded(scene: Scene) -> None:
    await scene.post(BODY, {"x-cl-signature": signature(BODY, OLD_SECRET)})
    assert [webhook.secret_label for webhook in scene.received()] == ["old"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"workspace": "acme',
        b"\xff\xfe\x00",
        b'{"id": "\xc3"}',
        b"null",
        b'{"workspace": null}',
        b'[{"workspace": "other"}]',
        bytes(range(256)),
    ],
)
async def test_a_signed_body_that_is_no_good_json_is_stored_all_the_same(
    scene: Scene, body: bytes
) -> None:
    assert (await scene.post_signed(body)).status_code == 200
    assert [webhook.body for webhook in scene.received()] == [body]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=2048))
async def test_any_signed_bytes_are_stored_unchanged(scene: Scene, body: bytes) -> None:
    scene.producer.records.clear()
    assert (await scene.post_signed(body)).status_code == 200
    assert [webhook.body for webhook in scene.received()] == [body]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/vnd.calendar+json;v=1"],
)
async def test_every_kind_of_json_is_taken(scene: Scene, content_type: str) -> None:
    assert (await scene.post_signed(BODY, {"content-type": content_type})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "+json"},
        {"content-type": "application/jsonp"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
    ],
)
async def test_what_is_not_plain_json_is_refused_and_kept(
    scene: Scene, headers: dict[str, str]
) -> None:
    answer = await scene.post_signed(BODY, headers)
    assert answer.status_code == 415
    assert answer.json()["code"] == "content-type-unsupported"
    [webhook] = scene.rejected()
    assert (webhook.status, webhook.body) == (415, BODY)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature-missing"),
        ({"x-cl-signature": "0" * 64}, "signature-invalid"),
        ({"x-cl-signature": "junk"}, "signature-invalid"),
        ({"x-cl-signature": signature(BODY, b"wrong")}, "signature-invalid"),
        ({"x-cl-signature": signature(BODY + b" ")}, "signature-invalid"),
    ],
)
async def test_a_webhook_without_a_good_signature_is_refused_and_kept(
    scene: Scene, headers: dict[str, str], code: str
) -> None:
    before = counted("calendar_live", "bad_signature")
    answer = await scene.post(BODY, headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == code
    assert scene.received() == []
    [webhook] = scene.rejected()
    assert (webhook.status, webhook.error_code) == (401, code)
    assert (webhook.workspace, webhook.source) == ("acme", "calendar_live")
    assert (webhook.body, webhook.body_bytes) == (BODY, len(BODY))
    assert counted("calendar_live", "bad_signature") == before + 1


async def test_a_rejected_record_is_sealed_and_holds_no_credential(scene: Scene) -> None:
    headers = {
        "x-cl-signature": "0" * 64,
        "x-cl-delivery-id": "dlv_1",
        "user-agent": "calendar.live",
        "authorization": "Bearer very-secret",
        "cookie": "session=very-secret",
        "x-api-key": "very-secret",
        "x-forwarded-for": "192.0.2.7",
    }
    await scene.post(BODY, headers)
    [(_, _, value, _, _)] = scene.producer.records
    for hidden in (b"very-secret", b"192.0.2.7", b"evt_1"):
        assert hidden not in value
    [webhook] = scene.rejected()
    assert webhook.headers == {
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "user-agent": "calendar.live",
        "x-cl-signature": "0" * 64,
        "x-cl-delivery-id": "dlv_1",
    }


async def test_two_signature_headers_are_refused(scene: Scene) -> None:
    pairs = [
        ("content-type", "application/json"),
        ("x-cl-signature", signature(BODY)),
        ("x-cl-signature", signature(BODY)),
    ]
    transport = httpx.ASGITransport(app=scene.door)
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
        answer = await client.post(PATH, content=BODY, headers=pairs)
    assert answer.status_code == 401


async def test_a_signed_body_that_names_another_workspace_is_refused(scene: Scene) -> None:
    body = b'{"id": "evt_1", "workspace": "other"}'
    answer = await scene.post_signed(body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "workspace-mismatch"
    [webhook] = scene.rejected()
    assert (webhook.error_code, webhook.workspace) == ("workspace-mismatch", "acme")
    assert scene.received() == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/webhooks/nobody/calendar_live",
        "/v1/webhooks/acme/stripe",
        "/v1/webhooks/quiet/calendar_live",
        "/v1/webhooks/acme/calendar_live/",
        "/v1/webhooks/acme/calendar_live/more",
        "/v1/webhooks/acme",
        "//v1/webhooks/acme/calendar_live",
        "/v1/webhooks/../webhooks/acme/x",
        "/v1/webhooks/%2e%2e%2fetc/calendar_live",
        "/V1/webhooks/acme/calendar_live",
        "/",
    ],
)
async def test_an_unknown_address_is_not_found_and_leaves_nothing(
    scene: Scene, path: str, tmp_path: Path
) -> None:
    before = counted("unknown", "unknown")
    answer = await scene.post_signed(BODY, path=path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "address-unknown"
    assert scene.producer.records == []
    keys = sorted(file.name for file in (tmp_path / "keys").iterdir())
    assert keys == ["acme.json", "quiet.json"]
    assert counted("unknown", "unknown") == before + 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_refused_with_the_one_that_is_allowed(
    scene: Scene, method: str
) -> None:
    answer = await scene.post_signed(BODY, method=method)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not(scene: Scene) -> None:
    assert (await scene.post_signed(b"x" * 2048)).status_code == 200
    answer = await scene.post_signed(b"x" * 2049)
    assert answer.status_code == 413
    [webhook] = scene.rejected()
    assert (webhook.body, webhook.body_bytes, webhook.status) == (None, 2049, 413)


@pytest.mark.parametrize(("announced", "kept"), [("99999999", 99_999_999), (str(2**64), 2**63 - 1)])
async def test_a_body_of_announced_excess_is_not_read(
    scene: Scene, announced: str, kept: int
) -> None:
    async def body() -> AsyncIterator[bytes]:
        pytest.fail("was read")
        yield b""

    answer = await scene.post(body(), {"content-length": announced})
    assert answer.status_code == 413
    assert [webhook.body_bytes for webhook in scene.rejected()] == [kept]


async def test_a_body_of_no_announced_length_is_counted_and_left_at_the_limit(scene: Scene) -> None:
    given_bytes = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given_bytes
        for _ in range(1000):
            given_bytes += 1000
            yield b"x" * 1000

    answer = await scene.post(body())
    assert answer.status_code == 413
    assert given_bytes == 3000
    assert [webhook.body_bytes for webhook in scene.rejected()] == [3000]


async def test_a_body_in_many_pieces_is_put_together(scene: Scene) -> None:
    async def body() -> AsyncIterator[bytes]:
        for byte in BODY:
            yield bytes([byte])

    answer = await scene.post(body(), {"x-cl-signature": signature(BODY)})
    assert answer.status_code == 200
    assert [webhook.body for webhook in scene.received()] == [BODY]


@pytest.mark.parametrize("state", ["fails", "never confirms", "is full", "breaks"])
async def test_what_was_not_confirmed_is_never_acknowledged(scene: Scene, state: str) -> None:
    scene.producer.answer = state
    answer = await scene.post_signed(BODY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    for future in scene.producer.pending:
        future.set_exception(UnavailableError(Code.BROKER_UNAVAILABLE, "too late"))


async def test_an_unexpected_error_is_counted_and_logged_without_the_webhook(scene: Scene) -> None:
    scene.producer.answer = "breaks"
    before = counted("calendar_live", "failed")
    with capture_logs() as logs:
        await scene.post_signed(BODY)
    assert counted("calendar_live", "failed") == before + 1
    [line] = logs
    assert line["error"] == "RuntimeError"
    assert "webhook_log.py" in line["trace"]
    assert PERSONAL not in str(line)


async def test_a_success_is_not_logged(scene: Scene) -> None:
    with capture_logs() as logs:
        await scene.post_signed(BODY)
    assert logs == []


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
