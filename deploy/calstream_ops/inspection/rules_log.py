"""The rules that are in force and the refolds under way, as the resolver keeps them."""

from collections.abc import Sequence

from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader, Place, Range
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_schemas.observations import Observation
from calstream_schemas.refolds import Refold
from calstream_schemas.resolver_state import workspace_of_refold, workspace_of_rules
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import RESOLVER_STATE, full_name


class RulesLog:
    """What the resolver keeps of rules; asked again, it reads on.

    Args:
        reader: reads the log.
        kafka: the topics' names.
        partitions: which are read; by default all.
    """

    def __init__(
        self, reader: LogReader, kafka: KafkaSettings, partitions: Sequence[int] | None = None
    ) -> None:
        self._reader = reader
        self._topic = full_name(RESOLVER_STATE, kafka)
        self._partitions = partitions
        self._read_to: dict[Place, int] = {}
        self._rules: dict[str, RuleSet] = {}
        self._refolds: dict[str, Refold] = {}
        self._seen: set[str] = set()

    def read(self) -> None:
        """Reads to the end.

        Raises:
            RecordError: something can't be read.
            UnavailableError: the broker does not answer.
        """
        ranges = {
            place: Range(max(its.begin, self._read_to.get(place, 0)), its.end)
            for place, its in self._reader.ranges([self._topic], self._partitions).items()
        }
        for record in self._reader.read(ranges):
            self._read_to[record.topic, record.partition] = record.offset + 1
            key, value = record.key.encode(), record.value
            if (name := workspace_of_rules(key)) is not None:
                if value is not None:
                    self._rules[name] = RuleSet.decode(value)
            elif (name := workspace_of_refold(key)) is not None:
                self._refolds.pop(name, None)
                if value is not None:
                    self._refolds[name] = Refold.decode(value)
            elif value is not None:
                self._seen.add(record.key)

    def rules_of(self, workspace: str) -> RuleSet:
        """The rule set by which the resolver folds a workspace; the default where none was sent."""
        return self._rules.get(workspace, CALENDAR_TO_CRM)

    def refold_of(self, workspace: str) -> Refold | None:
        """The refold of a workspace that is under way."""
        return self._refolds.get(workspace)

    def is_done(self, observation: Observation) -> bool:
        """Whether the rules of an observation are in force, and all is folded by them."""
        if f"{observation.workspace}/{observation.id}" not in self._seen:
            return False
        refold = self._refolds.get(observation.workspace)
        return refold is None or refold.id != observation.id


def rules_in_force(reader: LogReader, kafka: KafkaSettings, workspace: str) -> RuleSet:
    """The rule set by which the resolver folds a workspace; the default where none was sent.

    Raises:
        RecordError: it can't be read.
        UnavailableError: the broker does not answer.
    """
    log = RulesLog(reader, kafka, [partition_of(workspace, kafka.partitions)])
    log.read()
    return log.rules_of(workspace)
