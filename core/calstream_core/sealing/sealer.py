"""Seals and opens the values of one workspace, and hashes them for matching.

Deterministic authenticated encryption (AES-SIV, RFC 5297), so that a replay gives the same bytes
and equal values under one key compare equal while sealed. The context (which field of what) is
authenticated: a sealed value moved to another field does not open. The key's id stands beside
every box.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from calstream_core.errors import Code, SecurityError
from calstream_core.sealing.names import KeyName


class Box(NamedTuple):
    """A sealed value and the id of the key that opens it."""

    key_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Erased:
    """What stands in place of a value whose key was destroyed: nobody can read it any more.

    It keeps the box, so that a record which holds it is written again with the same bytes.
    """

    box: Box

    def __str__(self) -> str:
        return "erased"


class Key(NamedTuple):
    """A data key that is ready for use."""

    id: str
    cipher: AESSIV


class Keys(Protocol):
    """The data keys of one workspace, as a sealer needs them."""

    def named(self, name: KeyName) -> Key:
        """The key of a name; made if there is none."""

    def known(self, key_id: str) -> AESSIV | None:
        """The key of an id; None if it was destroyed.

        Raises:
            SecurityError: there never was such a key here.
        """

    def leaf(self, name: KeyName, leaf: str) -> Key:
        """The key of one record below the key of a name; see `leaves`."""

    def known_leaf(self, key_id: str, leaf: str) -> AESSIV | None:
        """The key of one record below the key of an id; None if it was destroyed.

        Raises:
            SecurityError: there never was such a key here.
        """

    def make(self, names: Iterable[KeyName]) -> None:
        """Makes those that are missing and has all of them at hand, in one go."""

    def load(self, key_ids: Iterable[str]) -> None:
        """Has these at hand, in one go; those that are not there are left out."""

    def has(self, name: KeyName) -> bool:
        """Whether the key of a name is at hand and was not destroyed."""


class _Places(dict[str, list[bytes]]):
    """What a box is bound to, by its context; contexts are few."""

    def __init__(self, workspace: bytes) -> None:
        super().__init__()
        self.workspace = workspace

    def __missing__(self, context: str) -> list[bytes]:
        place = self[context] = [self.workspace, context.encode()]
        return place


class Seal:
    """Seals under one key, which is looked up, or made, when it is first needed."""

    __slots__ = ("_boxes", "_key", "_keys", "_leaf", "_name", "_places")

    def __init__(self, places: "_Places", keys: Keys, name: KeyName, leaf: str = "") -> None:
        self._places = places
        self._keys = keys
        self._name = name
        self._leaf = leaf
        self._key: Key | None = None
        self._boxes: dict[tuple[str, bytes], Box] = {}

    def seal(self, context: str, plain: bytes) -> Box:
        """Seals a value; the same value in the same context gives the same box.

        Raises:
            UnavailableError: the key is not at hand and the database does not answer.
        """
        # what a copy says stands in the truth once more as a rule
        box = self._boxes.get((context, plain))
        if box is None:
            box = self._boxes[context, plain] = self._sealed(context, plain)
        return box

    def _sealed(self, context: str, plain: bytes) -> Box:
        key = self._key
        if key is None:
            key = self._key = (
                self._keys.leaf(self._name, self._leaf)
                if self._leaf
                else self._keys.named(self._name)
            )
        # one byte in front: the cipher refuses an empty message
        return Box(key.id, key.cipher.encrypt(b"\x01" + plain, self._places[context]))


class Sealer:
    """Seals and opens the values of one workspace. Safe in any thread."""

    def __init__(self, workspace: str, keys: Keys, hash_key: bytes) -> None:
        self._places = _Places(workspace.encode())
        self._keys = keys
        self._hash_key = hash_key

    def under(self, name: KeyName, leaf: str = "") -> Seal:
        """What seals with the key of that name, or with the key of one record below it.

        Costs nothing until something is sealed.
        """
        return Seal(self._places, self._keys, name, leaf)

    def open(self, context: str, box: Box, leaf: str = "") -> bytes | Erased:
        """Opens a box; Erased if its key was destroyed.

        Args:
            context: as it was sealed.
            box: what was sealed.
            leaf: of the record, where it was sealed with a key of its own.

        Raises:
            SecurityError: the key is not ours, the context is another, or the bytes were changed.
            UnavailableError: the key is not at hand and the database does not answer.
        """
        key_id, data = box
        keys = self._keys
        cipher = keys.known_leaf(key_id, leaf) if leaf else keys.known(key_id)
        if cipher is None:
            return Erased(box)
        try:
            return cipher.decrypt(data, self._places[context])[1:]
        except (InvalidTag, ValueError) as error:
            raise SecurityError(
                Code.SEAL_BROKEN,
                f"A sealed value of {context} does not open: its bytes or its place were changed.",
            ) from error

    def make(self, names: Iterable[KeyName]) -> None:
        """Makes the keys that are missing of these, in one transaction for all.

        Whoever handles a batch calls it first, so that no single value waits for the database.

        Raises:
            UnavailableError: the database does not answer.
        """
        self._keys.make(names)

    def has(self, name: KeyName) -> bool:
        """Whether the key of a name is at hand and was not destroyed.

        Raises:
            UnavailableError: nobody could tell for too long.
        """
        return self._keys.has(name)

    def load(self, key_ids: Iterable[str]) -> None:
        """Has the keys of these ids at hand, with one query for all that are not.

        Raises:
            UnavailableError: the database does not answer.
        """
        self._keys.load(key_ids)

    def keyed_hash(self, context: str, value: bytes) -> bytes:
        """A 16-byte hash for comparing values without showing them."""
        message = context.encode() + b"\x00" + value
        return hmac.digest(self._hash_key, message, hashlib.sha256)[:16]
