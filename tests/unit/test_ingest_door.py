"""What the door answers, writes and keeps, with a producer of the test's at the seam."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.unit.ingest_scene import BODY, NOW, OLD_SECRET, PATH, PERSONAL, Scene, counted, signature

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import partition_of
from calstream_core.sealing import key_table
from calstream_schemas.webhooks import (
    ReceivedWebhook,
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


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
async def test_an_unknown_address_is_not_found_and_leaves_nothing(scene: Scene, path: str) -> None:
    before = counted("unknown", "unknown")
    answer = await scene.post_signed(BODY, path=path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "address-unknown"
    assert scene.producer.records == []
    with scene.keys.database.reading() as connection:
        counts = key_table.counts(connection)
    assert {(count.workspace, count.scope) for count in counts} == {
        ("acme", "hash"),
        ("quiet", "hash"),
    }
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
