"""The partition of a workspace: murmur2 as Kafka's Java client computes it.

Every produce names its partition, so that no client's own partitioner can disagree (librdkafka's
default is CRC-32, and any client hashes the whole key where we hash the workspace alone).
"""

from functools import lru_cache

from calstream_core.errors import Code, InvariantError

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

# from Kafka's own UtilsTest.testMurmur2
GOLDEN: dict[bytes, int] = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Hashes that every implementation must give, as signed 32-bit numbers."""


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash, unsigned."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if length > whole:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=100_000)
def partition_of(workspace: str, partitions: int) -> int:
    """The partition of every record of a workspace."""
    return (murmur2(workspace.encode()) & 0x7FFFFFFF) % partitions


def verify_partitioner() -> None:
    """Checks the hash against Kafka's own vectors; every process calls it when it starts.

    Raises:
        InvariantError: a hash differs; records would land on the wrong partition.
    """
    for data, signed in GOLDEN.items():
        if murmur2(data) != signed & _MASK:
            raise InvariantError(
                Code.INVARIANT_BROKEN, f"murmur2 of {data!r} is not what Kafka's Java client gives."
            )
