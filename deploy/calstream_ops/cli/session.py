"""What every command has at hand: the terminal, and the settings once they are asked for."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import LoadedSettings, Settings, SinkSettings, load_settings
from calstream_core.stack_state import broker_address
from calstream_ops.cli.root import Invocation
from calstream_ops.cli.terminal import Terminal


@dataclass(frozen=True)
class Session:
    """One command's surroundings.

    Attributes:
        terminal: where it writes to.
        config: the settings file that was named on the command line.
    """

    terminal: Terminal
    config: Path | None

    @cached_property
    def loaded(self) -> LoadedSettings:
        """The settings with their origins.

        Raises:
            ConfigError: they can't be read or are not valid.
        """
        return load_settings(self.config)

    @property
    def settings(self) -> Settings:
        """The settings; see `loaded`."""
        return self.loaded.settings

    @property
    def bootstrap_servers(self) -> str:
        """The broker.

        Raises:
            ConfigError: the settings can't be used.
            UnavailableError: none is set and the embedded one does not run.
        """
        return broker_address(self.settings)

    def workspace(self, name: str) -> str:
        """The name of a configured workspace.

        Raises:
            ConfigError: there is no such workspace.
        """
        known = self.settings.workspaces
        if name not in known:
            raise ConfigError(
                Code.WORKSPACE_UNKNOWN,
                f"There is no workspace {name!r} in the settings.{_did_you_mean(name, known)}",
                hint=f"`calstream workspace add {name}` adds one; there are: {_listed(known)}.",
            )
        return name

    def sink(self, name: str) -> SinkSettings:
        """The settings of a configured sink.

        Raises:
            ConfigError: there is no such sink.
        """
        known = self.settings.sinks
        if name not in known:
            raise ConfigError(
                Code.CONFIG_INVALID,
                f"There is no sink {name!r} in the settings.{_did_you_mean(name, known)}",
                hint=f"There are: {_listed(known)}.",
            )
        return known[name]


def session_of(ctx: typer.Context) -> Session:
    """The surroundings of the command whose context this is."""
    invocation = ctx.find_root().obj
    assert isinstance(invocation, Invocation)
    return Session(invocation.terminal, invocation.config)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _listed(known: Iterable[str]) -> str:
    return ", ".join(known) or "none"
