"""Owners: the account's users, to whom records belong."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from calstream_sandbox.hubspot.times import record_time

DEFAULT_OWNERS = (("dana@acme.example", "Dana", "Reyes"),)
_FIRST_ID = 101
_USER_ID_OFFSET = 9000  # a user's id differs from the owner's, as in real accounts


@dataclass(frozen=True, slots=True)
class Owner:
    """One person who can own records."""

    id: int
    email: str
    first_name: str
    last_name: str
    created_ms: int

    @property
    def user_id(self) -> int:
        """The id of the user behind the owner."""
        return self.id + _USER_ID_OFFSET

    def reply(self) -> dict[str, Any]:
        """The owner as the owners API gives it."""
        return {
            "id": str(self.id),
            "email": self.email,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "userId": self.user_id,
            "userIdIncludingInactive": self.user_id,
            "type": "PERSON",
            "archived": False,
            "createdAt": record_time(self.created_ms),
            "updatedAt": record_time(self.created_ms),
            "teams": [],
        }


class Owners:
    """The owners of the account, by id."""

    def __init__(self) -> None:
        self._by_id: dict[int, Owner] = {}

    def add(self, email: str, first_name: str, last_name: str, now_ms: int) -> Owner:
        """Adds an owner; one whose e-mail is there already is given back as it is."""
        known = self.page(email=email, after=0, limit=1)
        if known:
            return known[0]
        owner = Owner(
            _FIRST_ID + len(self._by_id), email.strip().lower(), first_name, last_name, now_ms
        )
        self._by_id[owner.id] = owner
        return owner

    def all(self) -> list[Owner]:
        """Every owner, by id."""
        return list(self._by_id.values())

    def exists(self, owner_id: str) -> bool:
        """Whether a value of `hubspot_owner_id` names an owner."""
        return owner_id.isdecimal() and int(owner_id) in self._by_id

    def find(self, number: int, *, by_user_id: bool) -> Owner | None:
        """The owner with this id, or with this user id."""
        return self._by_id.get(number - _USER_ID_OFFSET if by_user_id else number)

    def page(self, *, email: str | None, after: int, limit: int) -> list[Owner]:
        """Owners with an id above `after`, in order of id; an e-mail matches in any case."""
        ids = list(self._by_id)
        wanted = email.strip().lower() if email else None
        later = (self._by_id[owner_id] for owner_id in ids[bisect_right(ids, after) :])
        return [owner for owner in later if wanted in {None, owner.email}][:limit]
