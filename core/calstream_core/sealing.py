"""Seals personal values before they are written, and hashes them for matching.

Deterministic authenticated encryption (AES-SIV, RFC 5297), so that a replay gives the same bytes
and equal values compare equal while sealed. The context (which field of what) is authenticated:
a sealed value moved to another field does not open. One key per workspace for now; the key's id
stands beside every box, so that finer keys need no new format.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from calstream_core.errors import Code, ConfigError, SecurityError

_KEY_BYTES = 64
_HASH_KEY_BYTES = 32
_KEY_ID = "1"
_SAFE_NAME = re.compile(r"^[a-z0-9_-]+$")


class Box(NamedTuple):
    """A sealed value and the id of the key that opens it."""

    key_id: str
    data: bytes


class Sealer:
    """Seals and opens the values of one workspace. Holds no state; safe in any thread."""

    def __init__(self, workspace: str, key: bytes, hash_key: bytes) -> None:
        self._workspace = workspace.encode()
        self._cipher = AESSIV(key)
        self._hash_key = hash_key

    def seal(self, context: str, plain: bytes) -> Box:
        """Seals a value; the same value in the same context gives the same box."""
        # one byte in front: the cipher refuses an empty message
        return Box(
            _KEY_ID, self._cipher.encrypt(b"\x01" + plain, [self._workspace, context.encode()])
        )

    def open(self, context: str, box: Box) -> bytes:
        """Opens a box.

        Raises:
            SecurityError: the key is not ours, the context is another, or the bytes were changed.
        """
        reason: Exception | None = None
        if box.key_id == _KEY_ID:
            try:
                return self._cipher.decrypt(box.data, [self._workspace, context.encode()])[1:]
            except (InvalidTag, ValueError) as error:
                reason = error
        raise SecurityError(
            Code.SEAL_BROKEN,
            f"A sealed value of {context} does not open with this workspace's key.",
            hint="Is this the state directory in which the workspace was added?",
        ) from reason

    def keyed_hash(self, context: str, value: bytes) -> bytes:
        """A 16-byte hash for comparing values without showing them."""
        message = context.encode() + b"\x00" + value
        return hmac.digest(self._hash_key, message, hashlib.sha256)[:16]


class KeyStore:
    """The workspaces' keys, one file each, readable by the owner alone.

    Every process of an installation uses the same directory. A key is created once and never
    replaced: what it sealed could not be opened any more.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sealers: dict[str, Sealer] = {}

    def sealer(self, workspace: str) -> Sealer:
        """The sealer of a workspace; creates its key at the first call, atomically.

        Raises:
            ConfigError: the directory can't be written, or the file is not a key.
        """
        known = self._sealers.get(workspace)
        if known is None:
            known = self._sealers[workspace] = self._load(workspace)
        return known

    def _load(self, workspace: str) -> Sealer:
        if not _SAFE_NAME.match(workspace):
            raise ConfigError(Code.WORKSPACE_UNKNOWN, f"{workspace!r} is no name of a workspace.")
        file = self._directory / f"{workspace}.json"
        try:
            if not file.exists():
                self._create(file)
            keys = orjson.loads(file.read_bytes())
            return Sealer(workspace, base64.b64decode(keys["seal"]), base64.b64decode(keys["hash"]))
        except (OSError, orjson.JSONDecodeError, KeyError, ValueError) as error:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"The key of workspace {workspace} can't be used: {file}: {error}.",
                hint="Restore the file from your backup; without it sealed data stays closed.",
            ) from error

    def _create(self, file: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = {
            "seal": base64.b64encode(os.urandom(_KEY_BYTES)).decode(),
            "hash": base64.b64encode(os.urandom(_HASH_KEY_BYTES)).decode(),
        }
        # a name of its own even where every process has the same id, as in containers
        draft = file.with_suffix(f".{secrets.token_hex(8)}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(fresh))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)  # fails if another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
