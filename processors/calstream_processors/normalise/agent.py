"""The stage that turns webhooks into observations."""

from collections.abc import Mapping

import faust

from calstream_core.errors import Code, RecordError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings, WorkspaceSettings
from calstream_processors.host.stage import Record, Stage
from calstream_processors.normalise.normaliser import normalise
from calstream_schemas.codec import Poison
from calstream_schemas.observations import encode_observation
from calstream_schemas.topics import OBSERVATIONS, PROCESSORS_DEAD, WEBHOOKS, full_name
from calstream_schemas.webhooks import decode_received

STAGE = "normalise"


class NormaliseStage:
    """Reads `webhooks`, writes `observations`."""

    def __init__(
        self, app: faust.App, settings: Settings, producer: AsyncProducer, keys: KeyStore
    ) -> None:
        self._workspaces: Mapping[str, WorkspaceSettings] = settings.workspaces
        self._partitions = settings.kafka.partitions
        self._topic = full_name(OBSERVATIONS, settings.kafka)
        self._producer = producer
        self._keys = keys
        self._stage = Stage(
            STAGE, self._handle, producer, full_name(PROCESSORS_DEAD, settings.kafka)
        )
        source = app.topic(
            full_name(WEBHOOKS, settings.kafka), key_type=bytes, value_type=bytes, internal=False
        )

        async def agent(stream: faust.StreamT[bytes]) -> None:
            await self._stage.consume(app, stream)

        app.agent(source, name=STAGE)(agent)

    async def _handle(self, record: Record) -> str:
        webhook = decode_received(record.value or b"", self._keys.sealer)
        if isinstance(webhook, Poison):
            raise RecordError(webhook.code, webhook.reason)
        workspace = self._workspaces.get(webhook.workspace)
        if workspace is None:
            raise RecordError(Code.WORKSPACE_UNKNOWN, f"{webhook.workspace} is not configured.")
        result = normalise(webhook, workspace.default_country)
        sealer = self._keys.sealer(webhook.workspace)
        partition = partition_of(webhook.workspace, self._partitions)
        sent = [
            self._producer.send(
                self._topic,
                webhook.workspace,
                encode_observation(observation, sealer),
                partition=partition,
                headers=[
                    ("ce_id", observation.id.encode()),
                    ("ce_type", (observation.event_type or "").encode()),
                    ("ce_time", str(observation.received_at).encode()),
                ],
            )
            for observation in result.observations
        ]
        for future in sent:
            await future
        if result.problems:
            # what could be used is on its way; the webhook itself is kept for the rest
            first = result.problems[0]
            fields = ", ".join(problem.field for problem in result.problems)
            await self._stage.bury(record, RecordError(first.code, first.message), fields)
            return "partly"
        return result.outcome
