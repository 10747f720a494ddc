"""Takes in the keys that earlier versions kept as one JSON file for each workspace."""

import base64
from pathlib import Path

import orjson
import structlog

from calstream_core.errors import Code, ConfigError
from calstream_core.sealing import key_table
from calstream_core.sealing.encryption_keys import EncryptionKeys
from calstream_core.sealing.names import HASH, KeyName, Scope
from calstream_core.store import Database

SEALED_EVERYTHING = "1"
"""The id that stands beside what those keys sealed."""

_log = structlog.get_logger()


def import_key_files(directory: Path, database: Database, encryption: EncryptionKeys) -> None:
    """Puts the keys of such files into the database, then removes the files.

    What they sealed still opens; nothing new is sealed with them.

    Raises:
        ConfigError: a file is no key.
        UnavailableError: the database does not answer.
    """
    for file in sorted(directory.glob("*.json")):
        try:
            keys = orjson.loads(file.read_bytes())
            seal, hash_ = base64.b64decode(keys["seal"]), base64.b64decode(keys["hash"])
        except FileNotFoundError:
            continue  # another process was quicker
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"The key file {file} can't be used: {error}.",
                hint="Restore it from your backup; without it sealed data stays closed.",
            ) from error
        workspace = file.stem
        whole = KeyName(Scope.WORKSPACE, "")
        with database.writing() as connection:
            key_table.use(connection, encryption.first)
            key_table.insert(
                connection,
                [
                    key_table.fresh_row(workspace, whole, seal, encryption, SEALED_EVERYTHING),
                    key_table.fresh_row(workspace, HASH, hash_, encryption),
                ],
            )
            kept = {
                stored.name: stored.unwrap(encryption)
                for stored in key_table.with_names(connection, workspace, [whole, HASH])
            }
        if kept != {whole: seal, HASH: hash_}:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"{file} and the key store have different keys for the workspace {workspace}.",
                hint="Keep the one with which the log was written, and move the other away.",
            )
        file.unlink(missing_ok=True)
        _log.info("key file imported", workspace=workspace)
