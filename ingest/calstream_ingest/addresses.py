"""The addresses at which webhooks are accepted, with all that accepting one needs.

Everything is read and made at the start, so that a request causes no file access, and so that
nothing, least of all a key, is ever created because of what a stranger put into an address.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from calstream_core.errors import Code, ConfigError
from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyStore, Sealer
from calstream_core.settings import Settings, SourceSecret, read_secret
from calstream_ingest.sources import SOURCES, Secret, WebhookSource


@dataclass(frozen=True, slots=True)
class Address:
    """One address: a workspace and one of its sources.

    Attributes:
        path: what the sender posts to, without scheme and host.
        secrets: those that are active; at least one.
    """

    path: str
    workspace: str
    source: WebhookSource
    secrets: tuple[Secret, ...]
    sealer: Sealer
    partition: int


def load_addresses(settings: Settings, keys: KeyStore) -> Mapping[str, Address]:
    """Every address by its path; makes the workspaces' keys for hashes where there are none yet.

    Raises:
        ConfigError: a secret can't be read, two have the same label, a source is not known, or a
            key can't be used.
        UnavailableError: the key store does not answer.
    """
    addresses: dict[str, Address] = {}
    for workspace, its in settings.workspaces.items():
        sealer = keys.sealer(workspace)
        for name, references in its.secrets.items():
            secrets = _secrets(workspace, name, references)
            if not secrets:
                continue
            path = f"/v1/webhooks/{workspace}/{name}"
            partition = partition_of(workspace, settings.kafka.partitions)
            source = _source(workspace, name)
            addresses[path] = Address(path, workspace, source, secrets, sealer, partition)
    return addresses


def _source(workspace: str, name: str) -> WebhookSource:
    source = SOURCES.get(name)
    if source is None:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"workspaces.{workspace}.secrets.{name}: there is no source of that name"
            + (f"; did you mean {close[0]}?" if close else "."),
            hint=f"Sources: {', '.join(sorted(SOURCES))}.",
        )
    return source


def _secrets(
    workspace: str, source: str, references: tuple[SourceSecret, ...]
) -> tuple[Secret, ...]:
    labels = [reference.label for reference in references]
    if len(set(labels)) < len(labels):
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"workspaces.{workspace}.secrets.{source}: two secrets have the same label.",
            hint="Give each a label of its own; the log says which one a webhook was signed with.",
        )
    return tuple(
        Secret(
            reference.label,
            read_secret(reference, f"webhooks of {source} for workspace {workspace}"),
        )
        for reference in references
    )
