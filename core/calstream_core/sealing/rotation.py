"""Replaces the key-encryption key: wraps every data key anew, and leaves the log alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from calstream_core.sealing import key_table
from calstream_core.sealing.key_store import KeyStore

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        first: the fingerprint of the key that wraps from now on.
        rewrapped: how many data keys another one had wrapped.
    """

    first: str
    rewrapped: int


def rotate(store: KeyStore) -> Rotation:
    """Has one key-encryption key wrap everything. Processes that run go on meanwhile.

    Where the keys are in the state directory, that is a new one, and the old ones are taken out.
    Where the settings name them, it is the first of those. Safe to do again after a crash.

    Raises:
        ConfigError: a key-encryption key is missing or can't be written.
        UnavailableError: the database does not answer.
    """
    store.encryption()  # makes the first one where there is none
    with _alone(store):
        if store.source.is_file:
            store.source.add_first()
        encryption = store.read_encryption_again()
        with store.database.writing() as connection:
            key_table.retire_others(connection, encryption.first)
        rewrapped = 0
        while True:
            with store.database.writing() as connection:
                some = key_table.wrapped_by_others(connection, encryption.first, _AT_ONCE)
                key_table.rewrap(connection, some, encryption)
            if not some:
                break
            rewrapped += len(some)
        if store.source.is_file:
            store.database.clean()  # before the old key goes: no page wrapped by it is needed
            store.source.keep_first()
            store.read_encryption_again()
    return Rotation(encryption.first, rewrapped)


@contextmanager
def _alone(store: KeyStore) -> Iterator[None]:
    """Two rotations at once would take out each other's new key."""
    store.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (store.directory / "rotate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
