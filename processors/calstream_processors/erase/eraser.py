"""Carries erasures out: waits for the sinks or the deadline, destroys the keys, tells the resolver.

It follows the records of `erasures`, which the resolver writes, and answers with a receipt. To do
it twice is safe, so whoever owns the partition does it, and after a crash does it again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from calstream_core.clock import now_microseconds
from calstream_core.errors import CalstreamError, Code, InvariantError
from calstream_core.metrics import ERASURES_OPEN
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_engine import (
    Batch,
    EngineSettings,
    FencedError,
    Mode,
    Slot,
    create_app,
    state_writer,
    view,
)
from calstream_engine.state.store import PartitionStore
from calstream_processors.erase.webhook_sweep import WebhookSweep
from calstream_schemas.codec import Poison
from calstream_schemas.entities import NaturalId
from calstream_schemas.erasure_facts import Done, Receipt
from calstream_schemas.erasures import SELF, Erasure, ErasureState, decode_erasure
from calstream_schemas.observations import Fact, Observation, encode_observation, observation_id
from calstream_schemas.topics import ERASURES, OBSERVATIONS, full_name

_LOOK_SECONDS = 1.0
"""How often deadlines are looked at, and how long what comes again is gathered before a sweep."""
_PAUSE_SECONDS = 5.0  # after something did not answer

_log = structlog.get_logger()


class Eraser:
    """Runs beside its `app`, in the same loop. It is the engine's `Viewer` of `erasures`."""

    def __init__(
        self,
        settings: Settings,
        bootstrap_servers: str,
        keys: KeyStore,
        slot: Slot,
        now: Callable[[], int] = now_microseconds,
    ) -> None:
        kafka = settings.kafka
        self._keys = keys
        self._now = now
        self._observations = full_name(OBSERVATIONS, kafka)
        self._sweep = WebhookSweep(settings, bootstrap_servers, keys)
        self._open: dict[str, tuple[int, Erasure]] = {}
        self._answered: dict[str, Erasure] = {}
        self.app = create_app(
            EngineSettings(
                app=f"{kafka.topic_prefix}calstream-erase",
                bootstrap_servers=bootstrap_servers,
                mode=Mode.TRANSACTIONAL,
                instance_id=slot.instance_id,
            )
        )
        self._writer = state_writer(self.app)
        view(self.app, ERASURES.name, full_name(ERASURES, kafka), self)

    async def run(self) -> None:
        """Carries out what is due, until it is cancelled."""
        pause = _LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)  # deadlines pass without anything that could wake us
            pause = _LOOK_SECONDS
            for workspace, due in self._due().items():
                try:
                    await self._carry_out(workspace, due)
                except FencedError:
                    continue  # another worker's now
                except CalstreamError as error:
                    _log.warning("erasure waits", workspace=workspace, error=str(error))
                    pause = _PAUSE_SECONDS

    def _due(self) -> dict[str, list[tuple[int, Erasure]]]:
        now = self._now()
        due = defaultdict(list)
        for key, (partition, erasure) in self._open.items():
            if self._answered.get(key) == erasure:
                continue  # the resolver has not taken the receipt in yet
            if (
                erasure.state is ErasureState.SWEEPING
                or not erasure.waits_for
                or erasure.deadline <= now
            ):
                due[erasure.workspace].append((partition, erasure))
        return due

    async def _carry_out(self, workspace: str, due: Iterable[tuple[int, Erasure]]) -> None:
        """Destroys the keys of these erasures, of one workspace, and says so."""
        listed = list(due)
        names = {name for _, erasure in listed for name in erasure.keys}
        count = await asyncio.to_thread(self._keys.destroy, workspace, names)
        erasures = [erasure for _, erasure in listed]
        webhooks = await asyncio.to_thread(self._sweep.sweep, workspace, erasures)
        for partition, erasure in listed:
            # one transaction each: what is answered and what is not must not be mixed up
            receipt = _receipt(erasure, self._now(), f"{count} keys, {webhooks} webhooks")
            work = self._writer.work(partition)
            work.send(
                self._observations,
                workspace.encode(),
                encode_observation(receipt, None),
                headers=[
                    ("ce_id", receipt.id.encode()),
                    ("ce_type", f"{SELF}.{receipt.fact}".encode()),
                    ("ce_time", str(receipt.received_at).encode()),
                ],
            )
            await self._writer.write(work)
            self._answered[erasure.key] = erasure
            _log.info("keys destroyed", key=erasure.key, keys=count, webhooks=webhooks)

    # what the engine tells

    def restored(self, partition: int, store: PartitionStore) -> None:
        """Takes a partition's erasures in."""
        for key, value in store.items():
            self._take(partition, key, value)
        self._count()

    def changed(self, partition: int, batch: Batch) -> None:
        """Takes new records in."""
        for record in batch:
            self._take(partition, record.key() or b"", record.value())
        self._count()

    def released(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        for key in [key for key, (its, _) in self._open.items() if its == partition]:
            del self._open[key]
            self._answered.pop(key, None)
        self._count()

    def _take(self, partition: int, key: bytes, value: bytes | None) -> None:
        erasure = decode_erasure(value or b"")
        if isinstance(erasure, Poison):
            raise InvariantError(
                Code.INVARIANT_BROKEN, f"The record {key!r} can't be read: {erasure.reason}."
            )
        if erasure.state is ErasureState.DONE:
            self._open.pop(erasure.key, None)
            self._answered.pop(erasure.key, None)
        else:
            self._open[erasure.key] = (partition, erasure)

    def _count(self) -> None:
        ERASURES_OPEN.set(len(self._open))


def _receipt(erasure: Erasure, now: int, detail: str) -> Observation:
    natural_id = NaturalId(SELF, "erasure", erasure.id)
    event = f"{erasure.asked_at}/{erasure.dropped}/{now}"
    fields: dict[str, Any] = {"role": "keys", "received_at": now, "occurred_at": now}
    return Observation(
        id=observation_id(SELF, event, Fact.ERASED, natural_id),
        workspace=erasure.workspace,
        fact=Fact.ERASED,
        kind="contact",
        natural_id=natural_id,
        about=erasure.id,
        erasure=Receipt(SELF, "", Done.KEYS_DESTROYED, now, detail, seen=erasure.dropped),
        **fields,
    )
