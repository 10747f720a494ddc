"""The door on a stage of its own: settings, keys, and a producer of the test's at the seam."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import REGISTRY

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import Headers
from calstream_core.sealing import KeyStore
from calstream_core.settings import IngestSettings, Settings
from calstream_ingest.addresses import load_addresses
from calstream_ingest.broker import BrokerHealth
from calstream_ingest.door import Door
from calstream_ingest.rejects import RejectLog
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
        sources = limits.pop("sources", ("calendar_live",))
        for name, value in (("new", SECRET), ("old", OLD_SECRET)):
            (directory / name).write_bytes(value)
        secrets = [{"file": str(directory / name), "label": name} for name in ("new", "old")]
        settings = Settings.model_validate(
            {
                "workspaces": {
                    "acme": {"secrets": dict.fromkeys(sources, secrets)},
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
            IngestSettings(
                max_body_bytes=limits.pop("max_body_bytes", 2048),
                public_url=limits.pop("public_url", ""),
            ),
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


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def counted(source: str, outcome: str) -> float:
    labels = {"source": source, "outcome": outcome}
    return REGISTRY.get_sample_value("calstream_ingest_requests_total", labels) or 0


def rejects_counted(outcome: str) -> float:
    labels = {"stage": "ingest-rejects", "outcome": outcome}
    return REGISTRY.get_sample_value("calstream_stage_events_total", labels) or 0
