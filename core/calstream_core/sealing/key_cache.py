"""The keys of one workspace that a process has at hand: bounded, the oldest are given up first."""

import threading

from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from calstream_core.sealing.names import KeyName
from calstream_core.sealing.sealer import Key

KEYS = 500_000
"""Keys that are kept, about 300 bytes each."""
CIPHERS = 5_000
"""Keys that are kept ready for use: 4 kB each, and 5 microseconds to make one anew."""


class KeyCache:
    """Keys by id and by name. Finding one takes no lock; safe in any thread."""

    def __init__(self, limit: int = KEYS, ciphers: int = CIPHERS) -> None:
        self.limit = limit
        self._cipher_limit = ciphers
        self._lock = threading.Lock()  # for what changes the order, by which keys are given up
        self._by_id: dict[str, tuple[KeyName, bytes | None]] = {}
        self._id_by_name: dict[KeyName, str] = {}
        self._ciphers: dict[str, AESSIV] = {}
        self.ready = self._ciphers.get
        """The key of an id, if it is ready for use."""

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._by_id

    def put(self, key_id: str, name: KeyName, key: bytes | None) -> None:
        """Takes a key in; None for one that was destroyed."""
        with self._lock:
            if len(self._by_id) >= self.limit and key_id not in self._by_id:
                self._evict(next(iter(self._by_id)))
            self._by_id[key_id] = (name, key)
            if key is not None:
                self._id_by_name[name] = key_id

    def has(self, name: KeyName) -> bool:
        """Whether the key of a name is at hand."""
        return name in self._id_by_name

    def named(self, name: KeyName) -> Key | None:
        """The key of a name, if it is at hand."""
        key_id = self._id_by_name.get(name)
        cipher = None if key_id is None else self.cipher(key_id)
        return None if key_id is None or cipher is None else Key(key_id, cipher)

    def cipher(self, key_id: str) -> AESSIV | None:
        """The key of an id that is at hand; None if it was destroyed."""
        ready = self._ciphers.get(key_id)
        if ready is not None:
            return ready
        _name, key = self._by_id.get(key_id, (None, None))
        if key is None:
            return None
        made = AESSIV(key)
        with self._lock:
            if self._by_id.get(key_id, (None, None))[1] is not None:  # not forgotten meanwhile
                if len(self._ciphers) >= self._cipher_limit:
                    del self._ciphers[next(iter(self._ciphers))]
                self._ciphers[key_id] = made
        return made

    def bytes_of(self, key_id: str) -> tuple[KeyName, bytes | None] | None:
        """The name of a key that is at hand, and itself unless it was destroyed."""
        return self._by_id.get(key_id)

    def id_of(self, name: KeyName) -> str | None:
        """The id of the key of a name, if it is at hand."""
        return self._id_by_name.get(name)

    def forget(self, key_id: str) -> None:
        """Notes that a key was destroyed."""
        with self._lock:
            known = self._by_id.get(key_id)
            if known is not None:
                self._evict(key_id)
                self._by_id[key_id] = (known[0], None)

    def _evict(self, key_id: str) -> None:
        name, _ = self._by_id.pop(key_id, (None, None))
        self._ciphers.pop(key_id, None)
        if name is not None and self._id_by_name.get(name) == key_id:
            del self._id_by_name[name]
