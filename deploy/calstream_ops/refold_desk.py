"""Hands rule sets to the resolver, which folds the workspaces again, and waits until it is done."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from calstream_core.clock import now_microseconds
from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.rules_log import RulesLog
from calstream_schemas.observations import Observation, encode_observation, rules_changed
from calstream_schemas.refolds import Refold
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import OBSERVATIONS, full_name

_ASK_EVERY_SECONDS = 0.25

Watch = Callable[[dict[str, Refold]], object]
"""Told of the refolds under way, by workspace."""


class RefoldDesk:
    """Hands in rule sets.

    Args:
        bootstrap_servers: the broker.
        kafka: the topics' names and the number of partitions.
    """

    def __init__(self, bootstrap_servers: str, kafka: KafkaSettings) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._kafka = kafka

    def hand_in(
        self,
        wanted: Mapping[str, RuleSet],
        why: str,
        timeout_seconds: float,
        watch: Watch,
        *,
        again: bool = False,
    ) -> Sequence[str]:
        """Sends rule sets to workspaces; returns once all is folded by them. Blocks.

        Args:
            wanted: by workspace.
            why: names the occasion, in the observation's event.
            timeout_seconds: how long the resolver may stand still.
            watch: is told how far it is.
            again: also fold by rules that are in force already.

        Returns:
            The workspaces that got any.

        Raises:
            UnavailableError: the broker or the resolver does not answer. What was sent is done as
                soon as it runs.
        """
        with LogReader(self._bootstrap_servers) as reader:
            log = RulesLog(reader, self._kafka)
            log.read()
            now = now_microseconds()
            sent = [
                rules_changed(name, rules, f"{why}/{now}", now)
                for name, rules in wanted.items()
                if again or log.rules_of(name).id != rules.id
            ]
            asyncio.run(self._send(sent))
            self._wait(log, sent, timeout_seconds, watch)
        return [each.workspace for each in sent]

    async def _send(self, observations: Sequence[Observation]) -> None:
        producer = AsyncProducer(self._bootstrap_servers, "calstream-rules")
        topic = full_name(OBSERVATIONS, self._kafka)
        try:
            await producer.send_all(
                [
                    (
                        topic,
                        observation.workspace,
                        encode_observation(observation, None),
                        partition_of(observation.workspace, self._kafka.partitions),
                        [
                            ("ce_id", observation.id.encode()),
                            ("ce_type", b"rules.changed"),
                            ("ce_time", str(observation.received_at).encode()),
                        ],
                    )
                    for observation in observations
                ]
            )
        finally:
            await producer.close()

    def _wait(
        self, log: RulesLog, sent: Sequence[Observation], timeout_seconds: float, watch: Watch
    ) -> None:
        left, told = list(sent), ""
        give_up_at = time.monotonic() + timeout_seconds
        while left:
            log.read()
            left = [each for each in left if not log.is_done(each)]
            under_way = {
                each.workspace: refold
                for each in left
                if (refold := log.refold_of(each.workspace)) is not None
            }
            watch(under_way)
            now_told = f"{under_way}"
            if now_told != told:
                told, give_up_at = now_told, time.monotonic() + timeout_seconds
            elif left and time.monotonic() > give_up_at:
                names = ", ".join(each.workspace for each in left)
                raise UnavailableError(
                    Code.STACK_NOT_RUNNING,
                    f"The rules were sent, but the resolver is not done with those of {names}.",
                    hint="It goes on when it runs: `calstream up`, then `calstream rules plan`.",
                )
            if left:
                time.sleep(_ASK_EVERY_SECONDS)  # the log only tells on asking
