"""What the cases act on: calendar.live and the CRM of the sandbox, and the running pipeline."""

import asyncio
import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from calstream_core.errors import Code, UnavailableError
from calstream_ops.demo.crm import Crm
from calstream_ops.demo.installation import SANDBOX_TOKEN, WORKSPACE
from calstream_ops.demo.log import TopicLog
from calstream_ops.demo.truth import Truth
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Calendar

_DEADLINE_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the processes of the stack are reached."""

    ingest: str
    sandbox: str
    processors_health: str
    sinks_health: str


@dataclass
class World:
    """The sandbox and the pipeline, as the cases use them."""

    addresses: Addresses
    secret: str
    log: TopicLog
    truth: Truth
    calendar: Calendar = field(default_factory=lambda: Calendar(WORKSPACE, live_mode=False))
    http: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=30, trust_env=False)
    )

    async def open(self) -> None:
        """Tells the sandbox where to send the workspace's webhooks."""
        await self._post(
            "/calendar_live/_control/endpoint",
            {
                "workspace": WORKSPACE,
                "url": f"{self.addresses.ingest}/v1/webhooks/{WORKSPACE}/calendar_live",
                "secret": self.secret,
            },
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.aclose()

    async def send(
        self, webhooks: Sequence[Webhook], *, copies: int = 1, secret: str | None = None
    ) -> list[int]:
        """Has the sandbox deliver webhooks, one after the other.

        Returns:
            The HTTP status of every attempt, in order.
        """
        statuses = []
        for webhook in webhooks:
            answer = await self._post(
                "/calendar_live/_control/deliveries",
                {
                    "workspace": WORKSPACE,
                    "body": base64.b64encode(webhook.raw).decode(),
                    "copies": copies,
                    "secret": secret,
                    "wait": True,
                },
            )
            statuses += [a["status"] for one in answer["data"] for a in one["attempts"]]
        return statuses

    async def add_person(self, properties: dict[str, str]) -> str:
        """Creates a contact in the CRM as its users do; returns its id."""
        answer = await self.http.post(
            f"{self.addresses.sandbox}/hubspot/crm/objects/2026-09/contacts",
            json={"properties": properties, "associations": []},
            headers={"Authorization": f"Bearer {SANDBOX_TOKEN}"},
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def edit(self, kind: str, id_: str, properties: dict[str, str]) -> None:
        """Edits an object of the CRM as its users do."""
        answer = await self.http.patch(
            f"{self.addresses.sandbox}/hubspot/crm/objects/2026-09/{kind}/{id_}",
            json={"properties": properties},
            headers={"Authorization": f"Bearer {SANDBOX_TOKEN}"},
        )
        answer.raise_for_status()

    async def crm(self) -> Crm:
        """What is in the CRM now."""
        answer = await self.http.get(f"{self.addresses.sandbox}/hubspot/_control/dump")
        answer.raise_for_status()
        return Crm.parse(answer.json())

    async def wipe_crm(self) -> None:
        """Deletes every object in the CRM."""
        await self._post("/hubspot/_control/wipe", {})

    async def quiet(self) -> Crm:
        """Waits until everything that was sent has had its effect; returns the CRM's content.

        Everything: each stage has handled all records of its topic, the sink has read all of
        `entities` and has nothing left to do, and all that still holds when asked again.

        Raises:
            UnavailableError: it does not come to rest before the deadline.
        """
        deadline = time.monotonic() + _DEADLINE_SECONDS
        before: dict[str, int] | None = None
        while time.monotonic() < deadline:
            now = await self._rest()
            if now is not None and now == before:
                return await self.crm()
            before = now
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        health = self.addresses.sinks_health
        left = {
            sink: one["pending"] for sink, one in (await self._act(health, "/v1/sinks")).items()
        }
        raise UnavailableError(
            Code.PROCESS_FAILED, f"The pipeline does not come to rest; still to do: {left}."
        )

    async def duplicates_dropped(self) -> int:
        """Observations that were dropped because they had been seen."""
        return int((await self._stage_events())[("resolve", "duplicate")])

    async def rejected(self) -> int:
        """Webhooks that are kept as rejected."""
        return (await asyncio.to_thread(self.log.ends))["webhooks.rejected"]

    async def until_rejected(self, count: int) -> int:
        """Waits until so many are; they are written after the sender got its answer."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            found = await self.rejected()
            if found >= count or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def resync(self, sink: str, mode: str) -> dict[str, Any]:
        """Starts a resync of a sink, as `calstream sink resync` does, and waits for its checks."""
        health = self.addresses.sinks_health
        answer = await self._act(health, "/v1/sinks/resync", {"sink": sink, "mode": mode})
        while answer["running"]:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            answer = (await self._act(health, "/v1/sinks"))[sink]["resync"]
        return answer

    async def _rest(self) -> dict[str, int] | None:
        """The ends of all topics if nothing is on its way between them, else None."""
        ends = await asyncio.to_thread(self.log.ends)
        done = await self._act(self.addresses.processors_health, "/v1/positions")
        sinks = await self._act(self.addresses.sinks_health, "/v1/sinks")
        at_rest = all(
            sum(done[topic].values()) == ends[topic] for topic in ("webhooks", "observations")
        ) and all(
            sum(one["positions"].values()) == ends["entities"] and not _busy(one["pending"])
            for one in sinks.values()
        )
        return ends if at_rest else None

    async def _stage_events(self) -> dict[tuple[str, str], float]:
        answer = await self.http.get(f"{self.addresses.processors_health}/metrics")
        answer.raise_for_status()
        counts: dict[tuple[str, str], float] = {("resolve", "duplicate"): 0}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == "calstream_stage_events_total":
                    counts[sample.labels["stage"], sample.labels["outcome"]] = sample.value
        return counts

    async def _act(
        self, health: str, path: str, request: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = await self.http.post(
            f"{health}{path}", json=request or {}, headers={"X-Calstream-Action": "1"}
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(f"{self.addresses.sandbox}{path}", json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


def _busy(pending: dict[str, int]) -> bool:
    return any(pending[state] for state in ("ready", "intent", "retry", "waiting"))
