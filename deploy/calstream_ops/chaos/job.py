"""The job that forgives nothing: per key a count and a running hash of the ids of its records.

A record that is lost, handled twice or handled in another order gives another hash for all time.
Some records remove their key, so that removals are tried as well; some can't be handled.
"""

import hashlib
from typing import Final

from calstream_core.errors import Code, RecordError
from calstream_engine import Record

ID_HEADER: Final = "id"
"""The header of what a stage writes: the place of the source's record that led to it."""

FAILING_MARK: Final = b"?"
"""Begins the value of a record that the job can't handle: it raises."""

REJECTED_MARK: Final = b"!"
"""Begins the value of a record that the job rejects by itself."""

REMOVED: Final = b"removed"
"""What the output says of a key that was removed."""

_HASH_BYTES = 8
_REMOVES_EVERY = 97


def record_id(value: bytes | None) -> int:
    """The id of a record of the source.

    Raises:
        RecordError: it has none.
    """
    if value is None or not value.isdigit():
        raise RecordError(Code.RECORD_UNREADABLE, "A record without a number.")
    return int(value)


def place_id(record: Record) -> bytes:
    """The deterministic id of what a record leads to: its place in the source."""
    return b"%d-%d" % (record.partition() or 0, record.offset() or 0)


def folded(state: bytes | None, number: int) -> bytes | None:
    """A key's state after a record.

    Args:
        state: what `folded` gave for the key's last record; None if there was none.
        number: the record's id.

    Returns:
        Count and hash, or None where the record removes the key.
    """
    if number % _REMOVES_EVERY == 0:
        return None
    count, _, so_far = (state or b"0 ").partition(b" ")
    digest = hashlib.blake2b(so_far + b"/%d" % number, digest_size=_HASH_BYTES).hexdigest()
    return b"%d %s" % (int(count) + 1, digest.encode())
