"""Ledger entries: what a sink knows of one entity. The ledger is also the sink's retry queue."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from calstream_schemas import codec
from calstream_schemas.codec import Poison


class LedgerState(StrEnum):
    """Where an entity stands with a sink."""

    INTENT = "intent"  # a call is about to be made; after a crash its outcome is unknown
    DONE = "done"  # the vendor confirmed
    RETRY = "retry"  # to be tried again at `due_at`
    WAITING = "waiting"  # until the key `waiting_for` moves
    DEAD = "dead"  # given up; a copy is in the dead letters
    ERASED = "erased"  # the vendor was told to erase it, and has answered


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The state of one entity with one sink. Times are microseconds.

    Attributes:
        entity_version: the version that the state is about.
        external_id: the vendor's id, once it is known.
        projection_hash: keyed hash of what the vendor holds since the last success.
        operation_id: the same for every attempt at the same version.
        received_at: when the webhook behind the version was accepted.
        confirmed_at: when the vendor last confirmed a write.
    """

    state: LedgerState
    entity_version: int
    operation_id: str
    updated_at: int
    external_id: str | None = None
    projection_hash: str | None = None
    attempts: int = 0
    first_attempt_at: int | None = None
    due_at: int | None = None
    waiting_for: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_field: str | None = None
    received_at: int | None = None
    confirmed_at: int | None = None


def encode_ledger_entry(entry: LedgerEntry) -> bytes:
    """The value for `sink.<id>.ledger`."""
    return codec.encode("LedgerEntry", asdict(entry))


def decode_ledger_entry(raw: bytes) -> LedgerEntry | Poison:
    """Reads a value of `sink.<id>.ledger`; never raises for what is in it."""
    decoded = codec.decode(raw, "LedgerEntry")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    return LedgerEntry(**{**body, "state": LedgerState(body["state"])})
