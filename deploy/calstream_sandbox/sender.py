"""The delivery engine: sends webhooks and retries them as each vendor does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

import httpx

from calstream_sandbox.delivery_log import Attempt, Delivery, DeliveryLog, DeliveryState
from calstream_sandbox.ids import Clock, IdSource, utc_now

MAX_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a workspace's webhooks go, and the secret that signs them."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Practice:
    """How a vendor delivers.

    Attributes:
        delays_seconds: the waits between attempts; after the last the delivery is given up.
        timeout_seconds: how long an answer may take.
        headers: of these bytes of a delivery, to this address, now; each attempt is signed anew.
        acknowledges: whether a status ends a delivery well.
        retries: whether another attempt follows a status that does not; else it is a refusal.
        body: what the next attempt sends, where it is not the same every time.
    """

    delays_seconds: Sequence[float]
    timeout_seconds: float
    headers: Callable[[Delivery, bytes, str, datetime], dict[str, str]]
    acknowledges: Callable[[int], bool]
    retries: Callable[[int], bool]
    body: Callable[[Delivery], bytes] = lambda delivery: delivery.raw_body


class WebhookSender:
    """Sends deliveries in the background, within one event loop.

    Args:
        practice: the vendor's.
        retry_scale: shortens the waits between attempts, so that hours pass in a demo.
        timeout_seconds: in place of the vendor's.
        transport: how requests travel; a test's own can answer without a network.
    """

    def __init__(
        self,
        practice: Practice,
        *,
        retry_scale: float = 1.0,
        timeout_seconds: float | None = None,
        now: Clock = utc_now,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.log = DeliveryLog()
        self.endpoints: dict[str, Endpoint] = {}
        self._practice = practice
        self._delays = [timedelta(seconds=each * retry_scale) for each in practice.delays_seconds]
        self._timeout_seconds = timeout_seconds or practice.timeout_seconds
        self._now = now
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._ids = IdSource()
        self._run_numbers = count(1)
        self._runs: dict[asyncio.Task[None], Delivery] = {}

    def submit(
        self,
        workspace: str,
        raw_body: bytes,
        *,
        delivery_id: str | None = None,
        copies: int = 1,
        secret: str | None = None,
    ) -> Delivery:
        """Starts sending to the workspace's endpoint and returns at once.

        A `delivery_id` given again makes another delivery with the same id. `copies` of one
        delivery are sent side by side. `secret` signs instead of the endpoint's.

        Raises:
            KeyError: the workspace has no endpoint.
        """
        endpoint = self.endpoints[workspace]
        delivery = Delivery(
            id=delivery_id or self._ids.next("dlv"),
            workspace=workspace,
            raw_body=raw_body,
            secret=endpoint.secret if secret is None else secret,
            created_at=self._now(),
        )
        self.log.add(delivery)
        for _ in range(copies):
            self._start(delivery)
        return delivery

    def redeliver(self, delivery: Delivery) -> None:
        """Sends again with the same delivery id and body, signed as the endpoint wants it now."""
        delivery.secret = self.endpoints[delivery.workspace].secret
        self._start(delivery)

    async def settle(self, deliveries: Sequence[Delivery], *, timeout_seconds: float) -> bool:
        """Waits until none of them is pending; False when the time is up first."""
        runs = [run for run, delivery in self._runs.items() if delivery in deliveries]
        if not runs:
            return True
        _, unfinished = await asyncio.wait(runs, timeout=timeout_seconds)
        return not unfinished

    async def reset(self) -> None:
        """Ends every run and forgets the log and the endpoints."""
        await self._end_runs()
        self.log.clear()
        self.endpoints.clear()

    def stop(self) -> None:
        """Ends every run, without waiting for their end. Pending deliveries stay pending."""
        for run in self._runs:
            run.cancel()

    async def close(self) -> None:
        """Ends every run and closes the connections."""
        await self._end_runs()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _end_runs(self) -> None:
        self.stop()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _start(self, delivery: Delivery) -> None:
        delivery.open_runs += 1
        delivery.state = DeliveryState.PENDING
        run = asyncio.create_task(self._run(delivery, next(self._run_numbers)))
        self._runs[run] = delivery
        run.add_done_callback(self._runs.pop)

    async def _run(self, delivery: Delivery, number: int) -> None:
        """One copy of a delivery, from its first attempt to its end."""
        for delay in (*self._delays, None):
            attempt = await self._attempt(delivery)
            delivery.attempts.append(attempt)
            if not self._is_retried(attempt) or delay is None:
                break
            delivery.next_attempts[number] = self._now() + delay
            await asyncio.sleep(delay.total_seconds())  # the vendor's schedule
            del delivery.next_attempts[number]
        delivery.open_runs -= 1
        if not delivery.open_runs:
            delivery.state = self._outcome(delivery.attempts)

    async def _attempt(self, delivery: Delivery) -> Attempt:
        endpoint = self.endpoints[delivery.workspace]
        async with self._slots:
            raw = self._practice.body(delivery)
            headers = self._practice.headers(delivery, raw, endpoint.url, self._now())
            at, started = self._now(), time.monotonic()
            status, error = None, None
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    reply = await self._open_client().post(
                        endpoint.url, content=raw, headers=headers
                    )
                status = reply.status_code
            except TimeoutError:
                error = "timeout"
            except httpx.RequestError as failure:
                error = type(failure).__name__
        return Attempt(at, status, error, time.monotonic() - started)

    def _is_retried(self, attempt: Attempt) -> bool:
        status, practice = attempt.status, self._practice
        return status is None or (not practice.acknowledges(status) and practice.retries(status))

    def _outcome(self, attempts: Sequence[Attempt]) -> DeliveryState:
        statuses = [attempt.status for attempt in attempts if attempt.status is not None]
        if any(self._practice.acknowledges(status) for status in statuses):
            return DeliveryState.DELIVERED
        return DeliveryState.GIVEN_UP if self._is_retried(attempts[-1]) else DeliveryState.REFUSED

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=None,  # noqa: S113 - asyncio.timeout bounds the whole attempt
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=MAX_IN_FLIGHT),
            )
        return self._client
