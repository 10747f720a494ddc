"""All data keys in one encrypted file, for back-ups and for moving an installation.

The first line says in clear how the file's own key is derived from the passphrase (scrypt). Each
further line is sealed (AES-SIV) and bound to that line and to its place: up to 1,000 keys; the last
one has their number, so that a file that was cut is noticed.
"""

import base64
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import Connection

from calstream_core.errors import Code, ConfigError
from calstream_core.sealing import key_table
from calstream_core.sealing.encryption_keys import EncryptionKeys
from calstream_core.sealing.key_store import KeyStore
from calstream_core.sealing.names import KeyName, Scope

_FORMAT = "calstream-keys"
_VERSION = 1
_KEYS_IN_A_LINE = 1000
_SCRYPT_COST = 2**15  # 32 MB and a tenth of a second
_SCRYPT_BLOCK = 8
_SALT_BYTES = 16


class _Row(NamedTuple):
    workspace: str
    id: str
    scope: str
    name: str
    key: str | None  # base64; None if it was destroyed


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        keys: how many keys the bundle has.
        added: how many of them were not here.
        destroyed: how many were here, and had been destroyed where the bundle comes from.
    """

    keys: int
    added: int
    destroyed: int


def export_keys(store: KeyStore, file: Path, passphrase: bytes) -> int:
    """Writes every key into a new file; tells how many.

    Raises:
        ConfigError: the file is there already or can't be written, or a key does not unwrap.
        UnavailableError: the database does not answer.
    """
    encryption = store.encryption()
    with store.database.reading() as connection:
        rows = [_row(stored, encryption) for stored in key_table.everything(connection)]
    salt = os.urandom(_SALT_BYTES)
    header = orjson.dumps(
        {"format": _FORMAT, "version": _VERSION, "salt": base64.b64encode(salt).decode()}
    )
    cipher = _cipher(passphrase, salt)
    lines = [rows[i : i + _KEYS_IN_A_LINE] for i in range(0, len(rows), _KEYS_IN_A_LINE)]
    bodies = [
        *(orjson.dumps([list(row) for row in line]) for line in lines),
        orjson.dumps({"keys": len(rows)}),
    ]
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(header + b"\n")
            for number, body in enumerate(bodies):
                sealed = cipher.encrypt(body, [header, str(number).encode()])
                stream.write(base64.b64encode(sealed) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"{file} can't be written: {error.strerror}."
        ) from error
    return len(rows)


def import_keys(store: KeyStore, file: Path, passphrase: bytes) -> Imported:
    """Takes the keys of a bundle in, all or none.

    What was destroyed on either side is destroyed afterwards: a back-up brings nobody back.

    Raises:
        ConfigError: the file is no bundle, was cut or changed, the passphrase is another, or there
            are other keys here for the same names: the log here was written with those.
        UnavailableError: the database does not answer.
    """
    rows = list(_read(file, passphrase))
    encryption = store.encryption()
    with store.database.writing() as connection:
        here = {(k.workspace, k.id): k for k in key_table.everything(connection)}
        _check(rows, here, encryption, file)
        key_table.use(connection, encryption.first)
        added = [row for row in rows if (row.workspace, row.id) not in here]
        key_table.insert(connection, [_to_insert(row, encryption) for row in added])
        destroyed = _destroy(connection, rows, here)
    if destroyed:
        store.database.clean()
    return Imported(len(rows), len(added), destroyed)


def _row(stored: key_table.StoredKey, encryption: EncryptionKeys) -> _Row:
    key = stored.unwrap(encryption)
    text = None if key is None else base64.b64encode(key).decode()
    return _Row(stored.workspace, stored.id, stored.name.scope.value, stored.name.name, text)


def _to_insert(row: _Row, encryption: EncryptionKeys) -> dict[str, Any]:
    name = KeyName(Scope(row.scope), row.name)
    key = b"" if row.key is None else base64.b64decode(row.key)
    values = key_table.fresh_row(row.workspace, name, key, encryption, row.id)
    if row.key is None:
        values |= {"wrapped": None, "wrapped_by": None, "destroyed_at": values["created_at"]}
    return values


def _check(
    rows: list[_Row],
    here: dict[tuple[str, str], key_table.StoredKey],
    encryption: EncryptionKeys,
    file: Path,
) -> None:
    """Refuses what would leave two keys for one name, or other bytes under one id."""
    alive = {(k.workspace, k.name): k.id for k in here.values() if k.wrapped is not None}
    for row in rows:
        known = here.get((row.workspace, row.id))
        mine = known.unwrap(encryption) if known is not None else None
        differs = mine is not None and row.key not in {None, base64.b64encode(mine).decode()}
        name = KeyName(Scope(row.scope), row.name)
        taken = known is None and row.key is not None and (row.workspace, name) in alive
        if differs or taken:
            raise ConfigError(
                Code.CONFIG_INVALID,
                f"There are other keys of the workspace {row.workspace} here than in {file}.",
                hint="Import into an empty key store, or into the one that the bundle comes from.",
            )


def _destroy(
    connection: Connection,
    rows: list[_Row],
    here: dict[tuple[str, str], key_table.StoredKey],
) -> int:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        known = here.get((row.workspace, row.id))
        if row.key is None and known is not None and known.wrapped is not None:
            ids[row.workspace].append(row.id)
    return sum(key_table.destroy(connection, workspace, of_it) for workspace, of_it in ids.items())


def _read(file: Path, passphrase: bytes) -> Iterator[_Row]:
    try:
        header, *lines = file.read_bytes().splitlines()
        told = orjson.loads(header)
        if told["format"] != _FORMAT or told["version"] != _VERSION:
            raise _unusable(file)
        cipher = _cipher(passphrase, base64.b64decode(told["salt"]))
        bodies = [
            orjson.loads(cipher.decrypt(base64.b64decode(line), [header, str(number).encode()]))
            for number, line in enumerate(lines)
        ]
        rows = [_Row(*row) for body in bodies[:-1] for row in body]
        if bodies[-1] != {"keys": len(rows)}:
            raise _unusable(file)
    except OSError as error:
        raise ConfigError(
            Code.CONFIG_NOT_FOUND, f"{file} can't be read: {error.strerror}."
        ) from error
    except InvalidTag as error:
        raise ConfigError(
            Code.SECRET_MISSING, f"{file} does not open: the passphrase is another, or it changed."
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _unusable(file) from error
    yield from rows


def _unusable(file: Path) -> ConfigError:
    return ConfigError(Code.CONFIG_INVALID, f"{file} is no complete bundle of keys.")


def _cipher(passphrase: bytes, salt: bytes) -> AESSIV:
    derived = Scrypt(salt=salt, length=64, n=_SCRYPT_COST, r=_SCRYPT_BLOCK, p=1)
    return AESSIV(derived.derive(passphrase))
