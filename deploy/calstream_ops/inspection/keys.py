"""The key store for those who only read: it opens, and never makes a key."""

from collections.abc import Callable

from calstream_core.sealing import Sealer, open_keys
from calstream_core.settings import Settings

SealerOf = Callable[[str], Sealer]
"""Gives the sealer of a workspace, or raises ConfigError."""


def existing_keys(settings: Settings) -> SealerOf:
    """The sealers of the workspaces that have keys in this installation."""
    return open_keys(settings, may_create=False).sealer
