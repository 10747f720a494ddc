"""The key-encryption keys: they wrap the data keys, and are the one secret to keep safe.

They are in a file of the state directory, or in files and variables that the settings name. The
first one wraps; the others only open what they wrapped before.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from calstream_core.errors import Code, ConfigError, SecurityError, UnavailableError
from calstream_core.settings import SecretReference, read_secret

KEY_BYTES = 64
FILE_NAME = "encryption.keys"

_FINGERPRINT_BYTES = 8


def fingerprint(key: bytes) -> str:
    """What a key is called in the database: tells keys apart and nothing else of them."""
    return hashlib.sha256(b"calstream key-encryption key\0" + key).hexdigest()[
        : 2 * _FINGERPRINT_BYTES
    ]


class EncryptionKeys:
    """One or more key-encryption keys. Never changes."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {fingerprint(key): AESSIV(key) for key in keys}
        self.first = fingerprint(keys[0])

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._ciphers

    def wrap(self, key: bytes, place: list[bytes]) -> bytes:
        """A data key, wrapped by the first key so that it opens at this place alone."""
        return self._ciphers[self.first].encrypt(key, place)

    def unwrap(self, key_id: str, wrapped: bytes, place: list[bytes]) -> bytes:
        """The inverse, by whichever key wrapped it.

        Raises:
            SecurityError: the row was changed, or is another's.
            UnavailableError: that key is not among these.
        """
        cipher = self._ciphers.get(key_id)
        try:
            if cipher is not None:
                return cipher.decrypt(wrapped, place)
        except InvalidTag as error:
            raise SecurityError(
                Code.SEAL_BROKEN, "A row of the key store was changed: it does not open."
            ) from error
        raise UnavailableError(
            Code.SECRET_MISSING,
            f"The key-encryption key {key_id} is not here, and data keys are wrapped by it.",
            hint="Restore it from your backup; without it sealed data stays closed.",
        )


class EncryptionKeySource:
    """Where the key-encryption keys are.

    Args:
        directory: holds their file, where the settings name nothing.
        references: what the settings name.
    """

    def __init__(self, directory: Path, references: Sequence[SecretReference] = ()) -> None:
        self.file = directory / FILE_NAME
        self._references = tuple(references)

    @property
    def is_file(self) -> bool:
        """Whether they are in the state directory, where `calstream key rotate` may change them."""
        return not self._references

    def read(self) -> EncryptionKeys | None:
        """The keys; None where they belong into a file that is not there.

        Raises:
            ConfigError: one can't be read, or is no key.
        """
        texts = self._texts()
        return EncryptionKeys([_parsed(text) for text in texts]) if texts else None

    def create(self) -> None:
        """Makes the file with a first key, readable by the owner alone.

        Where another process is quicker, its key counts.

        Raises:
            ConfigError: it can't be written.
        """
        self._write([_fresh()], only_new=True)

    def add_first(self) -> None:
        """Puts a new key before the others; from now on it wraps."""
        self._write([_fresh(), *self._texts()])

    def keep_first(self) -> None:
        """Takes out every key but the first."""
        self._write(self._texts()[:1])

    def _texts(self) -> list[bytes]:
        if self._references:
            return [read_secret(each, "the key-encryption key") for each in self._references]
        try:
            return self.file.read_bytes().split()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(
                Code.SECRET_MISSING, f"{self.file} can't be read: {error.strerror}."
            ) from error

    def _write(self, texts: list[bytes], *, only_new: bool = False) -> None:
        # a name of its own even where every process has the same id, as in containers
        draft = self.file.with_suffix(f".{secrets.token_hex(8)}.draft")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(b"".join(text + b"\n" for text in texts))
                stream.flush()
                os.fsync(stream.fileno())
            if not only_new:
                draft.replace(self.file)
                return
            try:
                os.link(draft, self.file)  # fails if another process was first
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        except OSError as error:
            raise ConfigError(
                Code.SECRET_MISSING, f"{self.file} can't be written: {error.strerror}."
            ) from error


def _fresh() -> bytes:
    return base64.b64encode(os.urandom(KEY_BYTES))


def _parsed(text: bytes) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            Code.SECRET_MISSING,
            f"A key-encryption key is not {KEY_BYTES} bytes in base64.",
            hint="`openssl rand -base64 64 | tr -d '\\n'` makes one.",
        )
    return key
