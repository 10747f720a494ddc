"""Conflicts: systems that said different things of one group of fields at about the same time."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.sealing import Seal, Sealer
from calstream_schemas import codec
from calstream_schemas.cells import formats, read_values
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Kind, NaturalId, Values, entity_key, kind_of


class ConflictState(StrEnum):
    """Whether a conflict stands, and what ended it."""

    OPEN = "open"
    AGREED = "agreed"  # the systems say the same by now
    OVERRULED = "overruled"  # we have written the truth over the word that lost
    SETTLED = "settled"  # a person has decided
    PASSED = "passed"  # a later word, other rules, or other contacts; what differs is no conflict


@dataclass(frozen=True, slots=True)
class Voice:
    """What one object of one system says, and since when (microseconds)."""

    id: NaturalId
    role: str
    values: Values
    changed_at: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict, with the values, their times and the rule that decided.

    Attributes:
        voices: by object; of a conflict that is over, as they were when it stood.
        decided_for: whose words count.
        observation_id, received_at: what opened, changed or ended it, and when that came in.
    """

    workspace: str
    kind: str
    entity_id: str
    group: str
    state: ConflictState
    rule: str
    decided_for: NaturalId
    voices: tuple[Voice, ...]
    observation_id: str
    received_at: int

    @property
    def key(self) -> str:
        """The record's key: `workspace/kind/id/group`."""
        return f"{self.entity_key}/{self.group}"

    @property
    def entity_key(self) -> str:
        """The key of the entity that it is about."""
        return entity_key(self.workspace, self.kind, self.entity_id)


def encode_conflict(conflict: Conflict, seal: Seal) -> bytes:
    """A conflict's value, sealed as its entity is. The same conflict gives the same bytes."""
    kind = kind_of(conflict.kind)
    return codec.encode(
        "Conflict",
        {
            "workspace": conflict.workspace,
            "kind": conflict.kind,
            "entity_id": conflict.entity_id,
            "group": conflict.group,
            "state": conflict.state,
            "rule": conflict.rule,
            "decided_for": str(conflict.decided_for),
            "voices": [
                {
                    "object": str(voice.id),
                    "role": voice.role,
                    "changed_at": voice.changed_at,
                    "cells": [
                        {
                            "field": name,
                            "value": formats(kind.name)[name].to_avro(value, seal),
                        }
                        for name, value in sorted(voice.values.items())
                    ],
                }
                for voice in conflict.voices
            ],
            "observation_id": conflict.observation_id,
            "received_at": conflict.received_at,
        },
    )


def decode_conflict(raw: bytes, sealer_of: Callable[[str], Sealer]) -> Conflict | Poison:
    """Reads a conflict's value; never raises for what is in it."""
    decoded = codec.decode(raw, "Conflict")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        kind, sealer = kind_of(body["kind"]), sealer_of(body["workspace"])
        return Conflict(
            workspace=body["workspace"],
            kind=kind.name,
            entity_id=body["entity_id"],
            group=body["group"],
            state=ConflictState(body["state"]),
            rule=body["rule"],
            decided_for=NaturalId.parse(body["decided_for"]),
            voices=tuple(_voice(kind, item, sealer) for item in body["voices"]),
            observation_id=body["observation_id"],
            received_at=body["received_at"],
        )
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except (KeyError, ValueError) as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not a Conflict: {error!r}")


def _voice(kind: Kind, item: dict[str, Any], sealer: Sealer) -> Voice:
    cells = {cell["field"]: cell["value"] for cell in item["cells"]}
    values = read_values(kind.name, cells, sealer)
    return Voice(NaturalId.parse(item["object"]), item["role"], values, item["changed_at"])
