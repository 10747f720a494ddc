"""The partition of a workspace is the one that Kafka's own client computes."""

import pytest

from calstream_core.kafka import partition_of, verify_partitioner
from calstream_core.kafka.partition import GOLDEN, murmur2


@pytest.mark.parametrize(("data", "signed"), GOLDEN.items())
def test_murmur2_gives_what_kafka_gives(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


def test_the_self_test_passes() -> None:
    verify_partitioner()


def test_aiokafka_hashes_the_same() -> None:
    from aiokafka.partitioner import murmur2 as theirs  # noqa: PLC0415 - only to compare with

    for name in ("acme", "a", "ab", "abc", "abcd", "workspace-1", "x" * 63):
        assert murmur2(name.encode()) & 0x7FFFFFFF == theirs(name.encode()) & 0x7FFFFFFF


def test_all_records_of_a_workspace_share_a_partition_in_range() -> None:
    assert {partition_of("acme", 6) for _ in range(3)} == {partition_of("acme", 6)}
    assert {partition_of(f"w{n}", 6) for n in range(500)} == set(range(6))
