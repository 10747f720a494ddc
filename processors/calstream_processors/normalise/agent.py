"""The stage that turns webhooks into observations: no state, so plain mode.

After a crash the last webhooks are normalised again. That gives the same observations with the same
ids, which the resolver knows as repeats.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import faust

from calstream_core.errors import CalstreamError, Code, RecordError, UnavailableError
from calstream_core.kafka import partition_of
from calstream_core.metrics import KEPT_RAW
from calstream_core.sealing import KeyName, KeyStore
from calstream_core.settings import Settings, WorkspaceSettings
from calstream_engine import (
    Batch,
    EngineSettings,
    Mode,
    Record,
    Slot,
    Work,
    batch_agent,
    create_app,
)
from calstream_processors.handover import Handover
from calstream_processors.normalise.normaliser import Normalised, normalise
from calstream_schemas.codec import Poison
from calstream_schemas.observations import encode_observation, sealed_with
from calstream_schemas.topics import OBSERVATIONS, PROCESSORS_DEAD, WEBHOOKS, full_name
from calstream_schemas.webhooks import decode_received

STAGE = "normalise"
_BATCH = 500
"""Webhooks in a batch: they make about as many observations as the resolver takes at a time, so
that in one process neither stage gets far ahead of the other."""


def normalise_app(
    settings: Settings,
    bootstrap_servers: str,
    keys: KeyStore,
    slot: Slot,
    handover: Handover | None = None,
) -> faust.App:
    """The app that reads `webhooks` and writes `observations`.

    Args:
        settings: the installation's.
        bootstrap_servers: the broker.
        keys: the key store.
        slot: this worker's.
        handover: takes what is written, for a resolver in the same process.
    """
    app = create_app(
        EngineSettings(
            # consumer groups are named as topics are, so that installations can share a broker
            app=f"{settings.kafka.topic_prefix}calstream-normalise",
            bootstrap_servers=bootstrap_servers,
            mode=Mode.PLAIN,
            dead_topic=full_name(PROCESSORS_DEAD, settings.kafka),
            instance_id=slot.instance_id,
            max_batch_records=_BATCH,
        )
    )
    stage = NormaliseStage(settings, keys, handover)
    batch_agent(app, full_name(WEBHOOKS, settings.kafka), name=STAGE)(stage.handle)
    return app


class NormaliseStage:
    """Normalises batches of webhooks."""

    def __init__(
        self, settings: Settings, keys: KeyStore, handover: Handover | None = None
    ) -> None:
        self._workspaces: Mapping[str, WorkspaceSettings] = settings.workspaces
        self._partitions = settings.kafka.partitions
        self._topic = full_name(OBSERVATIONS, settings.kafka)
        self._keys = keys
        self._handover = handover

    def handle(self, batch: Batch, work: Work) -> None:
        """See `calstream_engine.stage.Handle`."""
        done = []
        for record in batch:
            try:
                done.append((record, self._normalise(record)))
            except UnavailableError:
                raise
            except CalstreamError as error:
                work.reject(record, error)
        self._make_keys(result for _record, result in done)
        for record, result in done:
            self._send(record, result, work)

    def _normalise(self, record: Record) -> Normalised:
        webhook = decode_received(record.value() or b"", self._keys.sealer)
        if isinstance(webhook, Poison):
            raise RecordError(webhook.code, webhook.reason)
        workspace = self._workspaces.get(webhook.workspace)
        if workspace is None:
            raise RecordError(Code.WORKSPACE_UNKNOWN, f"{webhook.workspace} is not configured.")
        return normalise(webhook, workspace.default_country)

    def _make_keys(self, results: Iterable[Normalised]) -> None:
        """Makes what keys are missing in one go, so that no single record waits for the disk."""
        wanted: defaultdict[str, list[KeyName]] = defaultdict(list)
        for result in results:
            for observation in result.observations:
                key = sealed_with(observation)
                if key is not None:
                    wanted[observation.workspace].append(key)
        for workspace, names in wanted.items():
            self._keys.sealer(workspace).make(names)

    def _send(self, record: Record, result: Normalised, work: Work) -> None:
        if result.observations:
            # they are of one webhook: what they have in common is made once
            first = result.observations[0]
            key, sealer = first.workspace.encode(), self._keys.sealer(first.workspace)
            partition = partition_of(first.workspace, self._partitions)
            event = ("ce_type", (first.event_type or "").encode())
            at = ("ce_time", b"%d" % first.received_at)
            for observation in result.observations:
                value = encode_observation(observation, sealer)
                if self._handover is not None:
                    self._handover.leave(value, observation)
                work.send(
                    self._topic,
                    key,
                    value,
                    partition=partition,
                    headers=[("ce_id", observation.id.encode()), event, at],
                )
        for note in result.kept_raw:
            KEPT_RAW.labels(STAGE, note.code).inc()
        if result.problems:
            # what could be used is on its way; the webhook itself is kept for the rest
            problem = result.problems[0]
            fields = ", ".join(each.field for each in result.problems)
            error = RecordError(problem.code, problem.message, field=fields)
            work.reject(record, error, outcome="partly")
        else:
            work.count(result.outcome)
