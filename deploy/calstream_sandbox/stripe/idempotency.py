"""Idempotency keys: the same key and parameters give the same answer, for 24 hours."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from calstream_sandbox.stripe.errors import StripeError, invalid_request

KEPT_SECONDS = 24 * 3600
MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer to a key."""

    status: int
    body: bytes
    request_id: str


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    at_seconds: float
    kept: Kept | None = None


class IdempotencyKeys:
    """The keys of one account. What was refused before it began leaves no trace."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def begin(self, key: str, method: str, path: str, body: bytes, now: float) -> Kept | None:
        """Claims a key; gives the first answer, where there is one.

        Raises:
            StripeError: the key is too long, was used for something else, or is in use now.
        """
        if len(key) > MAX_KEY_CHARACTERS:
            raise invalid_request(
                f"Idempotency keys have at most {MAX_KEY_CHARACTERS} characters, this one has "
                f"{len(key)}."
            )
        self._forget(now)
        fingerprint = hashlib.sha256(f"{method} {path}\n".encode() + body).hexdigest()
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(fingerprint, now)
            return None
        if entry.fingerprint != fingerprint:
            raise StripeError(
                HTTPStatus.BAD_REQUEST,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
            )
        if entry.kept is None:
            raise StripeError(
                HTTPStatus.CONFLICT,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotent Key (that "
                "probably means you submitted twice, and the other request is still going "
                f"through): {key}. Please try again later.",
                code="idempotency_key_in_use",
                headers={"stripe-should-retry": "true"},
            )
        return entry.kept

    def keep(self, key: str, kept: Kept) -> None:
        """Keeps the answer of a call that began."""
        self._entries[key].kept = kept

    def release(self, key: str) -> None:
        """Gives a key back whose call did not begin."""
        self._entries.pop(key, None)

    def report(self) -> Mapping[str, bool]:
        """Every key, and whether its call has been answered."""
        return {key: entry.kept is not None for key, entry in self._entries.items()}

    def _forget(self, now: float) -> None:
        # they are in the order of their times
        for key, entry in list(self._entries.items()):
            if entry.at_seconds + KEPT_SECONDS > now:
                return
            if entry.kept is not None:
                del self._entries[key]
