"""Writes verified webhooks to the log and waits until the broker has them."""

import asyncio
from time import perf_counter
from typing import Protocol

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import Headers
from calstream_core.metrics import INGEST_PUBLISH_SECONDS
from calstream_ingest.addresses import Address
from calstream_ingest.broker import BrokerHealth
from calstream_ingest.room import Hold
from calstream_schemas.webhooks import ReceivedWebhook, encode_received


class RecordLog(Protocol):
    """What ingest needs of a producer; `calstream_core.kafka.AsyncProducer` has it."""

    def send(
        self,
        topic: str,
        key: str | bytes,
        value: bytes | None,
        *,
        partition: int,
        headers: Headers | None = None,
    ) -> asyncio.Future[None]:
        """Queues a record without blocking; the future tells when it is confirmed.

        Raises:
            UnavailableError: the queue is full.
        """


class WebhookLog:
    """The topic `webhooks`.

    Args:
        log: takes the records.
        topic: its name at the broker.
        broker: is told what became of each record.
        ack_timeout_seconds: how long the broker may take to confirm one.
    """

    def __init__(
        self, log: RecordLog, topic: str, broker: BrokerHealth, ack_timeout_seconds: float
    ) -> None:
        self._log = log
        self._topic = topic
        self._broker = broker
        self._ack_timeout_seconds = ack_timeout_seconds

    async def write(self, address: Address, webhook: ReceivedWebhook, hold: Hold) -> None:
        """Returns when the broker has confirmed the webhook.

        Args:
            address: where it was sent to.
            webhook: what is written, its body sealed.
            hold: lasts as long as the producer has the record, which may be longer than this.

        Raises:
            UnavailableError: the broker has not confirmed it in time. It may be written still.
        """
        sealed = encode_received(webhook, address.sealer)
        began = perf_counter()
        try:
            confirmed = self._log.send(
                self._topic,
                webhook.workspace,
                sealed,
                partition=address.partition,
                headers=[
                    ("ce_id", webhook.id.encode()),
                    ("ce_type", b"webhook.received"),
                    ("ce_time", str(webhook.received_at).encode()),
                ],
            )
            del sealed  # the producer has its own copy; this one would stay for all the waiting
            hold.keep_until(confirmed)
            await self._confirmation(confirmed)
        except UnavailableError as error:
            self._broker.failed(error.message)
            raise
        INGEST_PUBLISH_SECONDS.observe(perf_counter() - began)
        self._broker.confirmed()

    async def _confirmation(self, confirmed: asyncio.Future[None]) -> None:
        seconds = self._ack_timeout_seconds
        await asyncio.wait((confirmed,), timeout=seconds)
        if confirmed.done():
            confirmed.result()
            return
        confirmed.add_done_callback(_forget)
        raise UnavailableError(
            Code.BROKER_UNAVAILABLE, f"The broker has not confirmed within {seconds:g} s."
        )


def _forget(confirmed: asyncio.Future[None]) -> None:
    """Takes note of an outcome that comes too late, so that asyncio does not report it."""
    if not confirmed.cancelled():
        confirmed.exception()
