"""The erasures of a workspace: what goes, who has answered, what must not come back.

A record is kept for ever: it is the list by which old facts are known when they come again. It
holds ids, times and keyed hashes, so that it tells nothing of the person.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from calstream_core.errors import CalstreamError, Code
from calstream_core.sealing import KeyName, Scope
from calstream_schemas import codec
from calstream_schemas.codec import Poison
from calstream_schemas.erasure_facts import Receipt

SELF = "calstream"
"""The system whose receipt says that the keys are destroyed."""


class ErasureState(StrEnum):
    """How far an erasure is."""

    ASKED = "asked"  # the sinks have been told; the keys are there until they answer
    SWEEPING = "sweeping"  # done once, and something old came again: its keys go as well
    DONE = "done"  # nothing can be opened any more


@dataclass(frozen=True, slots=True)
class OptOut:
    """A purpose for which consent was withdrawn, and when (microseconds)."""

    purpose: str
    decided_at: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of one person. Times are microseconds.

    Attributes:
        id: of the contact that was named, or that it had been merged into.
        asked_at: what was said up to then is not taken in again.
        deadline: by which the keys are destroyed.
        systems: the sinks that are waited for until then.
        entities: `kind/id` of each entity that was the person's alone.
        keys: the data keys that are destroyed.
        objects: keyed hashes of the objects of which old facts are dropped.
        people: keyed hashes by which the person is known again.
        opt_outs: withdrawals that go on to count.
        receipts: in the order in which they came.
        dropped: how many facts came afterwards and were dropped.
    """

    workspace: str
    id: str
    state: ErasureState
    asked_at: int
    deadline: int
    asked_by: str
    systems: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    keys: tuple[KeyName, ...] = ()
    objects: frozenset[bytes] = frozenset()
    people: frozenset[bytes] = frozenset()
    opt_outs: tuple[OptOut, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    dropped: int = 0

    @property
    def key(self) -> str:
        """The record's key: `workspace/erasure/id`."""
        return f"{self.workspace}/erasure/{self.id}"

    @property
    def waits_for(self) -> list[tuple[str, str]]:
        """The systems, each with a `kind/id`, that have not answered yet."""
        told = {(receipt.system, receipt.entity) for receipt in self.receipts}
        return [
            (system, entity)
            for system in self.systems
            for entity in self.entities
            if entity.split("/")[0] in SETTLED_BY_SINKS and (system, entity) not in told
        ]


SETTLED_BY_SINKS = frozenset({"contact", "booking"})
"""The kinds that sinks erase at their vendors: what else is personal hangs on these."""


def encode_erasure(erasure: Erasure) -> bytes:
    """The value for `erasures`; the same erasure gives the same bytes."""
    return codec.encode(
        "Erasure",
        {
            **asdict(erasure),
            "keys": [f"{key.scope.value}:{key.name}" for key in erasure.keys],
            "objects": sorted(erasure.objects),
            "people": sorted(erasure.people),
        },
    )


def decode_erasure(raw: bytes) -> Erasure | Poison:
    """Reads a value of `erasures`; never raises for what is in it."""
    decoded = codec.decode(raw, "Erasure")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        return Erasure(
            **{
                **body,
                "state": ErasureState(body["state"]),
                "systems": tuple(body["systems"]),
                "entities": tuple(body["entities"]),
                "keys": tuple(_key(text) for text in body["keys"]),
                "objects": frozenset(body["objects"]),
                "people": frozenset(body["people"]),
                "opt_outs": tuple(_opt_out(item) for item in body["opt_outs"]),
                "receipts": tuple(Receipt.of(item) for item in body["receipts"]),
            }
        )
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except (KeyError, TypeError, ValueError) as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not an Erasure: {error!r}")


def _key(text: str) -> KeyName:
    scope, _, name = text.partition(":")
    return KeyName(Scope(scope), name)


def _opt_out(item: dict[str, Any]) -> OptOut:
    return OptOut(item["purpose"], item["decided_at"])
