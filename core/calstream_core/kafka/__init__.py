"""Kafka clients: the partition of a workspace, a producer for asyncio, administration."""

from calstream_core.kafka.partition import partition_of, verify_partitioner
from calstream_core.kafka.producer import AsyncProducer, Headers

__all__ = ["AsyncProducer", "Headers", "partition_of", "verify_partitioner"]
