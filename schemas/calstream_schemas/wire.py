"""Avro's binary encoding of what is written most (Avro 1.12, "Binary Encoding").

fastavro goes through a dictionary for each nested record and tries the branches of each union; for
the many small cells of a copy that takes several times as long as putting the bytes together here.
Tests compare what comes of it with what fastavro writes.
"""

from collections.abc import Sequence
from functools import lru_cache

END = b"\x00"
"""Ends an array or a map; alone it is an empty one."""
FALSE, TRUE = b"\x00", b"\x01"
NULL = b"\x00"
"""The first branch of a union with null, with its value, which takes no byte."""

_CACHED = 16_384


@lru_cache(_CACHED)  # counts, branches, and times that stand in a record several times
def long(number: int) -> bytes:
    """An int or a long: zigzag, seven bits a byte."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_LENGTHS = tuple(long(number) for number in range(64))


def blob(value: bytes) -> bytes:
    """Bytes with their length in front."""
    size = len(value)
    return (_LENGTHS[size] if size < 64 else long(size)) + value  # noqa: PLR2004 - see above


def text(value: str) -> bytes:
    """A string."""
    return blob(value.encode())


@lru_cache(_CACHED)
def word(value: str) -> bytes:
    """A string of which there are few: the name of a system, a group or a rule."""
    return text(value)


def items(encoded: Sequence[bytes]) -> bytes:
    """An array or a map of encoded items, as one block."""
    return b"".join((long(len(encoded)), *encoded, END)) if encoded else END
