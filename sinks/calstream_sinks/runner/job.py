"""A write that is to be made, with what the ledger will need to know of it."""

from dataclasses import dataclass

from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.api import Change


@dataclass(frozen=True, slots=True)
class Job:
    """A change on its way to the vendor.

    Attributes:
        hash: the projection's.
        before: the ledger's entry so far.
        needs: the keys of the entities whose ids at the vendor are written with it.
        own: the fields that the vendor holds as they should be, by its own word.
    """

    change: Change
    hash: str
    before: LedgerEntry | None
    needs: frozenset[str]
    own: frozenset[str]

    @property
    def attempts(self) -> int:
        """Attempts so far at the same operation."""
        before = self.before
        same = before is not None and before.operation_id == self.change.operation_id
        in_progress = before is not None and before.state in {LedgerState.INTENT, LedgerState.RETRY}
        return before.attempts if before is not None and same and in_progress else 0

    @property
    def first_attempt_at(self) -> int | None:
        """When the first of them was made, microseconds."""
        return self.before.first_attempt_at if self.before is not None and self.attempts else None
