"""The newest records of one workspace on a compacted topic."""

from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader
from calstream_schemas.topics import Topic, full_name


def newest_values(
    reader: LogReader, kafka: KafkaSettings, topic: Topic, workspace: str
) -> dict[str, bytes]:
    """The values by key, those that were deleted left out.

    Raises:
        UnavailableError: the broker does not answer.
    """
    partition = partition_of(workspace, kafka.partitions)
    newest: dict[str, bytes] = {}
    for record in reader.read(reader.ranges([full_name(topic, kafka)], [partition])):
        if not record.key.startswith(f"{workspace}/"):
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = record.value
    return newest
