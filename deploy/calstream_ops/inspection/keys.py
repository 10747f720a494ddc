"""The key store for those who only read: it opens, and never makes a key."""

from collections.abc import Callable
from pathlib import Path

from calstream_core.errors import Code, ConfigError
from calstream_core.sealing import KeyStore, Sealer

SealerOf = Callable[[str], Sealer]
"""Gives the sealer of a workspace, or raises ConfigError."""


def existing_keys(state_directory: Path) -> SealerOf:
    """The sealers of the workspaces whose keys are in this state directory."""
    directory = state_directory / "keys"
    store = KeyStore(directory)
    opened: dict[str, Sealer] = {}

    def sealer_of(workspace: str) -> Sealer:
        known = opened.get(workspace)
        if known is None:
            # the store would make a key that is not there; a name out of a record may be anything
            if workspace not in {file.stem for file in directory.glob("*.json")}:
                raise ConfigError(
                    Code.SECRET_MISSING,
                    f"There is no key of the workspace {workspace!r} in {directory}.",
                    hint="Is this the state directory of the installation that wrote the records?",
                )
            known = opened[workspace] = store.sealer(workspace)
        return known

    return sealer_of
