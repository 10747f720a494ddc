"""The rules that are in force, as the resolver keeps them."""

from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_schemas.resolver_state import rules_key
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import RESOLVER_STATE, full_name


def rules_in_force(reader: LogReader, kafka: KafkaSettings, workspace: str) -> RuleSet:
    """The rule set by which the resolver folds a workspace; the default where none was sent.

    Raises:
        RecordError: it can't be read.
        UnavailableError: the broker does not answer.
    """
    wanted = rules_key(workspace).decode()
    partitions = [partition_of(workspace, kafka.partitions)]
    found = CALENDAR_TO_CRM
    for record in reader.read(reader.ranges([full_name(RESOLVER_STATE, kafka)], partitions)):
        if record.key == wanted and record.value is not None:
            found = RuleSet.decode(record.value)
    return found
