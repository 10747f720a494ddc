"""Reads conflicts from the log: those that stand, and what became of the others."""

from calstream_core.errors import RecordError
from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogReader
from calstream_schemas.codec import Poison
from calstream_schemas.conflicts import Conflict, decode_conflict
from calstream_schemas.topics import CONFLICTS, full_name


def conflicts_under(
    reader: LogReader, kafka: KafkaSettings, sealer_of: SealerOf, prefix: str
) -> list[Conflict]:
    """The newest record of each conflict whose key begins so, the oldest first.

    Args:
        reader: of the log.
        kafka: the topic's name and number of partitions.
        sealer_of: opens what is sealed.
        prefix: `WORKSPACE/`, or an entity's key and `/`.

    Raises:
        RecordError: one can't be read.
        UnavailableError: the broker does not answer.
    """
    topic = full_name(CONFLICTS, kafka)
    partition = partition_of(prefix.split("/", 1)[0], kafka.partitions)
    newest: dict[str, bytes] = {}
    for record in reader.read(reader.ranges([topic], [partition])):
        if record.key.startswith(prefix):
            newest.pop(record.key, None)
            if record.value is not None:
                newest[record.key] = record.value
    found = []
    for key, value in newest.items():
        conflict = decode_conflict(value, sealer_of)
        if isinstance(conflict, Poison):
            raise RecordError(conflict.code, f"The record {key} can't be read: {conflict.reason}.")
        found.append(conflict)
    return sorted(found, key=lambda conflict: (conflict.received_at, conflict.key))
