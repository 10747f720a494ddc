"""Keeps what was refused in `webhooks.rejected`, as far as a flood leaves room for it.

A person can see there why a webhook was refused and accept it after, say, a secret was mended.
It is best effort, beside the answer: a stranger who knows an address can make us refuse as often
as he likes, and that must cost neither memory nor the broker's disk.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping

from calstream_core.errors import UnavailableError
from calstream_core.metrics import STAGE_EVENTS
from calstream_ingest.addresses import Address
from calstream_ingest.answers import Answer
from calstream_ingest.sources import Request
from calstream_ingest.webhook_log import RecordLog
from calstream_schemas.webhooks import RejectedWebhook, encode_rejected

MAX_UNCONFIRMED = 64
"""Records that may wait for the broker at once."""
BURST_BYTES = 8 * 1024 * 1024
"""What a workspace may have kept of refused webhooks at once."""
BYTES_PER_SECOND = 64 * 1024
"""What it may have kept in the long run: at most 39 GB in the topic's 7 days."""

_RECORD_BYTES = 1024  # what a record takes besides the body, roughly
_STAGE = "ingest-rejects"
_KEPT_HEADERS = frozenset(
    {"content-type", "content-length", "content-encoding", "transfer-encoding", "user-agent"}
)
_MAX_HEADER_CHARACTERS = 512


def redacted(headers: Mapping[str, str], of_source: frozenset[str]) -> dict[str, str]:
    """The headers that may be kept in clear: those for telling what was wrong, and no other.

    A list of what is kept, not of what is dropped: nobody knows every header that carries a
    credential or an address of a person.
    """
    return {
        name: value[:_MAX_HEADER_CHARACTERS]
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name in of_source
    }


class RejectLog:
    """Writes refused webhooks, within limits.

    Args:
        log: takes the records.
        topic: its name at the broker.
        clock: seconds that never go back.
    """

    def __init__(
        self, log: RecordLog, topic: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._topic = topic
        self._clock = clock
        self._allowances: dict[str, _Allowance] = {}
        self._unconfirmed = 0

    def write(
        self,
        address: Address,
        request: Request,
        answer: Answer,
        body: bytes | None,
        *,
        body_bytes: int,
    ) -> None:
        """Queues a record, or drops and counts it where the limits are reached. Never raises.

        Args:
            address: where the request was sent to.
            request: what was refused.
            answer: what its sender is told.
            body: what is kept of the body, sealed; None where it was not read to its end.
            body_bytes: the body's size, as far as it is known.
        """
        size_bytes = _RECORD_BYTES + len(body or b"")
        if self._unconfirmed >= MAX_UNCONFIRMED or not self._allowed(address, size_bytes):
            self._count("dropped")
            return
        webhook = RejectedWebhook(
            id=str(uuid.uuid4()),
            workspace=address.workspace,
            source=address.source.name,
            received_at=request.received_at,
            status=answer.status,
            error_code=answer.code or "",
            reason=answer.message,
            headers=redacted(request.headers, address.source.headers),
            body_bytes=body_bytes,
            body=body,
        )
        try:
            confirmed = self._send(address, webhook)
        except UnavailableError:
            self._count("failed")
            return
        self._unconfirmed += 1
        confirmed.add_done_callback(self._settle)

    def _allowed(self, address: Address, size_bytes: int) -> bool:
        # one for each workspace, so that a flood at one drowns no other's
        allowance = self._allowances.get(address.workspace)
        if allowance is None:
            allowance = self._allowances[address.workspace] = _Allowance(self._clock())
        return allowance.spend(size_bytes, self._clock())

    def _send(self, address: Address, webhook: RejectedWebhook) -> asyncio.Future[None]:
        return self._log.send(
            self._topic,
            address.workspace,
            encode_rejected(webhook, address.sealer),
            partition=address.partition,
            headers=[
                ("ce_id", webhook.id.encode()),
                ("ce_type", b"webhook.rejected"),
                ("ce_time", str(webhook.received_at).encode()),
            ],
        )

    def _settle(self, confirmed: asyncio.Future[None]) -> None:
        self._unconfirmed -= 1
        lost = confirmed.cancelled() or confirmed.exception() is not None
        self._count("failed" if lost else "kept")

    @staticmethod
    def _count(outcome: str) -> None:
        STAGE_EVENTS.labels(_STAGE, outcome).inc()


class _Allowance:
    """A bucket of bytes that fills slowly."""

    def __init__(self, now_seconds: float) -> None:
        self._left_bytes = float(BURST_BYTES)
        self._at_seconds = now_seconds

    def spend(self, count_bytes: int, now_seconds: float) -> bool:
        """Takes bytes out; False, and takes none, where there are too few."""
        gained = (now_seconds - self._at_seconds) * BYTES_PER_SECOND
        self._left_bytes = min(BURST_BYTES, self._left_bytes + gained)
        self._at_seconds = now_seconds
        if count_bytes > self._left_bytes:
            return False
        self._left_bytes -= count_bytes
        return True
