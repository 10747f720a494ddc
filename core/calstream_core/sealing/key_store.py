"""The workspaces' data keys: rows in SQL, wrapped, with a cache that forgets what is destroyed.

Every process of an installation uses the same database and the same key-encryption keys. A key is
made once: of several processes that make the same one at once, one wins and all use it.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from sqlalchemy import Connection

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import Code, ConfigError, SecurityError, UnavailableError
from calstream_core.sealing import key_table
from calstream_core.sealing.encryption_keys import EncryptionKeys, EncryptionKeySource
from calstream_core.sealing.key_cache import KeyCache
from calstream_core.sealing.key_files import import_key_files
from calstream_core.sealing.key_table import RetiredKeyError, StoredKey
from calstream_core.sealing.leaves import DEPTH, descend, digits_of, node_name
from calstream_core.sealing.names import HASH, KeyName
from calstream_core.sealing.sealer import Key, Sealer
from calstream_core.settings import Settings
from calstream_core.store import Database, open_database, sqlite_database

T = TypeVar("T")

REFRESH_SECONDS = 5.0
"""How soon every process stops opening with a key that another one destroyed."""

_STALE_SECONDS = 60.0  # how long a process may go on while the database does not answer
_CLOCKS_DIFFER_MICROSECONDS = 600 * MICROSECONDS_PER_SECOND
_SAFE_NAME = re.compile(r"^[a-z0-9_-]+$")


class KeyStore:
    """The keys of an installation. Does nothing before the first sealer is asked for.

    Args:
        directory: where the key-encryption keys are unless `source` tells otherwise, and where
            earlier versions kept keys; those are taken into the database once.
        database: where the data keys are; by default a file in the directory.
        source: where the key-encryption keys are.
        may_create: False for those who only read: nothing is made, not even an empty database.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        directory: Path,
        database: Database | None = None,
        source: EncryptionKeySource | None = None,
        *,
        may_create: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self.database = database or sqlite_database(directory / "calstream.db")
        self.source = source or EncryptionKeySource(directory)
        self._may_create = may_create
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._encryption: EncryptionKeys | None = None
        self._sealers: dict[str, Sealer] = {}
        self._caches: dict[str, KeyCache] = {}
        self._refreshed_at = monotonic()
        self._next_refresh = self._refreshed_at + REFRESH_SECONDS
        self._known_until = now_microseconds() - _CLOCKS_DIFFER_MICROSECONDS

    def sealer(self, workspace: str) -> Sealer:
        """The sealer of a workspace; makes its key for hashes at the first call.

        Raises:
            ConfigError: a key-encryption key is missing or is no key; or, for those who only
                read, the workspace has no keys here.
            UnavailableError: the database does not answer.
        """
        known = self._sealers.get(workspace)
        if known is None:
            with self._lock:
                known = self._sealers[workspace] = self._sealer(workspace)
        return known

    def encryption(self) -> EncryptionKeys:
        """The key-encryption keys; made where there is nothing yet that needs them.

        Raises:
            ConfigError: they are missing.
        """
        with self._lock:
            if self._encryption is None:
                self._encryption = self._open_encryption()
                import_key_files(self.directory, self.database, self._encryption)
            return self._encryption

    def destroy(self, workspace: str, names: Iterable[KeyName]) -> int:
        """Destroys keys for ever; tells how many there were.

        Other processes stop opening with them within `REFRESH_SECONDS`.

        Raises:
            UnavailableError: the database does not answer.
        """
        wanted = set(names)
        with self.database.writing() as connection:
            found = [stored.id for stored in key_table.with_names(connection, workspace, wanted)]
            count = key_table.destroy(connection, workspace, found)
        self.database.clean()
        self._refresh()
        return count

    def destroy_days_before(self, workspace: str, day: KeyName) -> int:
        """Destroys the keys of the days before a day; tells how many there were.

        Raises:
            UnavailableError: the database does not answer.
        """
        with self.database.writing() as connection:
            count = key_table.destroy_days_before(connection, workspace, day)
        if count:
            self.database.clean()
            self._refresh()
        return count

    def destroy_leaves(self, workspace: str, leaves: Iterable[tuple[str, str]]) -> int:
        """Destroys the keys of single records for ever; tells how many there were.

        Args:
            workspace: whose.
            leaves: the id of the key that a record's box names, and the record's leaf.

        Raises:
            UnavailableError: the database does not answer.
        """
        wanted = sorted(set(leaves))
        if not wanted:
            return 0
        count = self._wrapping(
            lambda connection, encryption: sum(
                key_table.destroy_leaf(connection, workspace, key_id, leaf, encryption)
                for key_id, leaf in wanted
            )
        )
        self.database.clean()
        self._refresh()
        return count

    def read_encryption_again(self) -> EncryptionKeys:
        """The key-encryption keys as they are now, after somebody replaced one.

        Raises:
            ConfigError: they are missing.
        """
        with self._lock:
            self._encryption = self.source.read() or self._encryption
        return self.encryption()

    # what the caches ask for

    def fetch(
        self, find: Callable[[Connection], Iterator[StoredKey]]
    ) -> list[tuple[StoredKey, bytes | None]]:
        """Keys out of the database, unwrapped."""
        with self.database.reading() as connection:
            stored = list(find(connection))
        return [(each, self._unwrap(each)) for each in stored]

    def make(self, workspace: str, names: list[KeyName]) -> list[tuple[StoredKey, bytes | None]]:
        """The keys of these names, made where they are missing, in one transaction."""
        if not self._may_create:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"A key of the workspace {workspace!r} is not here, and reading makes none.",
            )
        return self._wrapping(
            lambda connection, encryption: key_table.make(connection, workspace, names, encryption)
        )

    def _wrapping(self, work: Callable[[Connection, EncryptionKeys], T]) -> T:
        """Does what wraps keys, again if the key-encryption key is replaced meanwhile."""
        while True:
            encryption = self.encryption()
            try:
                with self.database.writing() as connection:
                    return work(connection, encryption)
            except RetiredKeyError:
                if self.read_encryption_again().first == encryption.first:
                    raise ConfigError(
                        Code.SECRET_MISSING,
                        f"The key-encryption key {encryption.first} was replaced, but still comes"
                        " first.",
                        hint="Name the newer one first in keys.encryption, and restart.",
                    ) from None

    def look_for_destroyed(self) -> None:
        """Forgets what others destroyed, if it is time to look. Costs nothing in between.

        Raises:
            UnavailableError: nobody could tell for too long.
        """
        if self._monotonic() < self._next_refresh:
            return
        try:
            self._refresh()
        except UnavailableError:
            self._next_refresh = self._monotonic() + REFRESH_SECONDS
            if self._monotonic() - self._refreshed_at > _STALE_SECONDS:
                raise

    def _refresh(self) -> None:
        began = self._monotonic()
        until = now_microseconds() - _CLOCKS_DIFFER_MICROSECONDS
        with self.database.reading() as connection:
            destroyed = key_table.destroyed_since(connection, self._known_until)
        for workspace, id_ in destroyed:
            cache = self._caches.get(workspace)
            if cache is not None:
                cache.forget(id_)
        self._known_until = until
        self._refreshed_at = began
        self._next_refresh = began + REFRESH_SECONDS

    def _sealer(self, workspace: str) -> Sealer:
        if not _SAFE_NAME.match(workspace):
            raise ConfigError(Code.WORKSPACE_UNKNOWN, f"{workspace!r} is no name of a workspace.")
        if not self._may_create and not self.database.exists:
            raise self._no_keys(workspace)
        self.encryption()
        keys = WorkspaceKeys(self, workspace)
        found = self.fetch(lambda c: key_table.with_names(c, workspace, [HASH]))
        if not found:
            if not self._may_create:
                raise self._no_keys(workspace)
            found = self.make(workspace, [HASH])
        hash_key = found[0][1]
        assert hash_key is not None  # `destroy` leaves it alone
        self._caches[workspace] = keys.cache
        return Sealer(workspace, keys, hash_key)

    def _no_keys(self, workspace: str) -> ConfigError:
        return ConfigError(
            Code.SECRET_MISSING,
            f"There is no key of the workspace {workspace!r} in the key store.",
            hint="Are these the state directory and database of the installation that wrote it?",
        )

    def _unwrap(self, stored: StoredKey) -> bytes | None:
        if stored.wrapped is not None and stored.wrapped_by not in self.encryption():
            self.read_encryption_again()  # replaced while we run
        return stored.unwrap(self.encryption())

    def _open_encryption(self) -> EncryptionKeys:
        found = self.source.read()
        if found is not None:
            return found
        with self.database.reading() as connection:
            in_use = key_table.any_encryption_key(connection)
        found = self.source.read()
        if found is not None:  # another process was quicker, and had wrapped something already
            return found
        if in_use or not self._may_create:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"The key-encryption key is not there: {self.source.file}.",
                hint="Restore the file from your backup; without it sealed data stays closed.",
            )
        self.source.create()
        made = self.source.read()
        assert made is not None
        return made


class WorkspaceKeys:
    """One workspace's keys. Fulfils `Keys`."""

    def __init__(self, store: KeyStore, workspace: str) -> None:
        self._store = store
        self._workspace = workspace
        self.cache = KeyCache()

    def named(self, name: KeyName) -> Key:
        """See `Keys`."""
        found = self.cache.named(name)
        if found is None:
            self.make([name])
            found = self.cache.named(name)
            assert found is not None
        return found

    def known(self, key_id: str) -> AESSIV | None:
        """See `Keys`."""
        self._store.look_for_destroyed()
        ready = self.cache.ready(key_id)
        if ready is not None:
            return ready
        if key_id not in self.cache:
            self.load([key_id])
        if key_id not in self.cache:
            raise SecurityError(
                Code.SEAL_BROKEN,
                f"The key {key_id[:32]!r} of the workspace {self._workspace} never was here.",
                hint="Is this the installation that wrote the record?",
            )
        return self.cache.cipher(key_id)

    def leaf(self, name: KeyName, leaf: str) -> Key:
        """See `Keys`."""
        found = self.cache.id_of(name)
        if found is None:
            self.make([name])
            found = self.cache.id_of(name)
        known = self.cache.bytes_of(found or "")
        if found is None or known is None or known[1] is None:
            return self.leaf(name, leaf)  # destroyed just now: there is a new one
        return Key(found, AESSIV(descend(known[1], leaf)))

    def known_leaf(self, key_id: str, leaf: str) -> AESSIV | None:
        """See `Keys`."""
        if self.known(key_id) is not None:
            _, root = self.cache.bytes_of(key_id) or (HASH, None)
            return None if root is None else AESSIV(descend(root, leaf))
        name, _ = self.cache.bytes_of(key_id) or (HASH, None)
        nodes = [node_name(name, key_id, leaf[:depth]) for depth in range(1, DEPTH + 1)]
        found = self._node(nodes)
        if found is None:
            self._take(
                self._store.fetch(
                    lambda connection: key_table.with_names(connection, self._workspace, nodes)
                )
            )
            found = self._node(nodes)
        return None if found is None else AESSIV(descend(found[1], leaf[len(found[0]) :]))

    def _node(self, nodes: Iterable[KeyName]) -> tuple[str, bytes] | None:
        """The digits of the node among these that is at hand, and the node."""
        for name in nodes:
            _, node = self.cache.bytes_of(self.cache.id_of(name) or "") or (HASH, None)
            if node is not None:
                return digits_of(name), node
        return None

    def make(self, names: Iterable[KeyName]) -> None:
        """See `Keys`."""
        missing = {name for name in names if not self.cache.has(name)}
        if not missing:
            return
        found = self._store.fetch(
            lambda connection: key_table.with_names(connection, self._workspace, missing)
        )
        self._take(found)
        rest = sorted(missing - {stored.name for stored, _ in found})
        if rest:
            self._take(self._store.make(self._workspace, rest))

    def has(self, name: KeyName) -> bool:
        """See `Keys`."""
        self._store.look_for_destroyed()
        return self.cache.has(name)

    def load(self, key_ids: Iterable[str]) -> None:
        """See `Keys`."""
        missing = sorted({key_id for key_id in key_ids if key_id not in self.cache})
        if missing:
            self._take(
                self._store.fetch(
                    lambda connection: key_table.with_ids(connection, self._workspace, missing)
                )
            )

    def _take(self, found: Iterable[tuple[StoredKey, bytes | None]]) -> None:
        for stored, key in found:
            self.cache.put(stored.id, stored.name, key)


def open_keys(settings: Settings, *, may_create: bool = True) -> KeyStore:
    """The key store of the settings.

    Args:
        settings: name the database and what wraps its keys.
        may_create: False for those who only read.
    """
    directory = settings.state.directory / "keys"
    source = EncryptionKeySource(directory, settings.keys.encryption)
    return KeyStore(directory, open_database(settings), source, may_create=may_create)
