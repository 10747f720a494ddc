"""`calstream key`: count the data keys, replace what wraps them, back them up."""

from pathlib import Path
from typing import Annotated

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.sealing import KeyStore, key_table, open_keys
from calstream_core.sealing.bundle import export_keys, import_keys
from calstream_core.sealing.rotation import rotate as rotate_keys
from calstream_core.settings import SecretReference, read_secret
from calstream_ops.cli.secret_reference import reference
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.terminal import table

_MINIMUM_CHARACTERS = 16

Bundle = Annotated[Path, typer.Argument(help="The bundle.", metavar="FILE")]
Passphrase = Annotated[
    str,
    typer.Option(
        metavar="env:VAR|file:PATH",
        help=f"Where the bundle's passphrase is, of {_MINIMUM_CHARACTERS} characters or more.",
    ),
]

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def key() -> None:
    """Count, rotate, export and import the keys of sealed data."""


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Count the data keys by workspace and scope; show which key-encryption key is in use.

    calstream key list
    """
    session = session_of(ctx)
    store = _existing(session)
    with store.database.reading() as connection:
        counts = key_table.counts(connection)
    first = store.encryption().first
    session.terminal.answer(
        {"key_encryption_key": first, "data_keys": [count._asdict() for count in counts]},
        table(("workspace", "scope", "keys", "destroyed"), counts),
    )
    session.terminal.say(f"New keys are wrapped by the key-encryption key {first}.")


@app.command()
def rotate(ctx: typer.Context) -> None:
    """Wrap every data key anew with a new key-encryption key; the log stays as it is.

    calstream key rotate

    Processes that run go on. Where `keys.encryption` names the keys, put the new one first and
    restart, then rotate, then take the old one out.
    """
    session = session_of(ctx)
    done = rotate_keys(_existing(session))
    session.terminal.answer(
        {"key_encryption_key": done.first, "rewrapped": done.rewrapped},
        f"{done.rewrapped} data keys are wrapped by {done.first} now.",
    )


@app.command()
def export(ctx: typer.Context, file: Bundle, *, passphrase: Passphrase) -> None:
    """Write all data keys into a new file, encrypted with a passphrase.

    calstream key export keys.bundle --passphrase file:/run/secrets/bundle
    """
    session = session_of(ctx)
    count = export_keys(_existing(session), file, _secret(passphrase))
    session.terminal.answer({"path": str(file), "keys": count}, f"{count} keys are in {file}.")


@app.command("import")
def import_(ctx: typer.Context, file: Bundle, *, passphrase: Passphrase) -> None:
    """Take the data keys of a bundle in. What was destroyed stays destroyed.

    calstream key import keys.bundle --passphrase file:/run/secrets/bundle
    """
    session = session_of(ctx)
    done = import_keys(open_keys(session.settings), file, _secret(passphrase))
    session.terminal.answer(
        {"keys": done.keys, "added": done.added, "destroyed": done.destroyed},
        f"{done.added} of {done.keys} keys were not here; {done.destroyed} were destroyed.",
    )


def _existing(session: Session) -> KeyStore:
    """The key store, unless there is none: these commands make nothing.

    Raises:
        ConfigError: there is none.
    """
    store = open_keys(session.settings, may_create=False)
    if not store.database.exists:
        raise ConfigError(
            Code.SECRET_MISSING,
            "There is no key store yet.",
            hint="`calstream up` makes it; `calstream key import` fills one from a bundle.",
        )
    return store


def _secret(text: str) -> bytes:
    found = read_secret(SecretReference.model_validate(reference(text)), "the bundle")
    if len(found) < _MINIMUM_CHARACTERS:
        raise typer.BadParameter(f"the passphrase needs {_MINIMUM_CHARACTERS} characters")
    return found
