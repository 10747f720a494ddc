"""Reads a secret from where its reference points."""

import os

from calstream_core.errors import Code, ConfigError
from calstream_core.settings.model import SecretReference


def read_secret(reference: SecretReference, purpose: str) -> bytes:
    """The secret's bytes, without surrounding white space.

    Args:
        reference: a file or a variable of the environment.
        purpose: what it is for, for the error message.

    Raises:
        ConfigError: the file or variable is not there, can't be read, or is empty.
    """
    if reference.env is not None:
        value = os.environ.get(reference.env, "").strip().encode()
        place = f"the variable {reference.env}"
    else:
        assert reference.file is not None
        place = f"the file {reference.file}"
        try:
            value = reference.file.expanduser().read_bytes().strip()
        except OSError as error:
            raise ConfigError(
                Code.SECRET_MISSING,
                f"The secret for {purpose} can't be read from {place}: {error.strerror}.",
                hint="Create it, or change the reference in calstream.toml.",
            ) from error
    if not value:
        raise ConfigError(
            Code.SECRET_MISSING,
            f"The secret for {purpose} is empty or missing in {place}.",
            hint="Set it, or change the reference in calstream.toml.",
        )
    return value
