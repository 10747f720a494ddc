"""Registrants: added, approved, cancelled, denied."""

import hashlib
from collections.abc import Sequence

from calstream_sandbox.zoom.account import Account, Held, Thing, stamp
from calstream_sandbox.zoom.bodies import NewRegistrant, StatusChange
from calstream_sandbox.zoom.errors import FULL, HOST, OVER, not_possible
from calstream_sandbox.zoom.gatherings import Kind, needs_registration
from calstream_sandbox.zoom.limits import Category

MAX_REGISTRANTS = 4_999
_STATES = {"approve": "approved", "cancel": "cancelled", "deny": "denied"}


class Registrants:
    """Who comes to meetings, or to webinars."""

    def __init__(self, account: Account, kind: Kind) -> None:
        self._account = account
        self._kind = kind

    def add(self, held: Held, given: NewRegistrant, *, auto_approve: bool | None = None) -> Thing:
        """Registers a person, or gives the registration that the address has already."""
        thing, account = held.thing, self._account
        self._check(thing, given)
        account.limits.take_daily(
            ("register", str(thing["id"]), given.email.lower()),
            account.limits.plan.registrations,
            Category.LIGHT,
            account.now_seconds(),
            "registration requests permitted for this particular registrant",
        )
        registrant = self._known(held, given.email)
        if registrant is None or registrant["status"] in {"cancelled", "denied"}:
            if len(held.registrants) >= MAX_REGISTRANTS:
                message = f"{self._kind.title} has reached maximum attendee capacity."
                raise not_possible(message, FULL)
            registrant = self._new(held, given, registrant)
            self._emit("registration_created", thing, registrant)
            automatic = thing["settings"]["approval_type"] == 0
            if automatic or given.auto_approve or auto_approve:
                self._settle(thing, registrant, "approve")
        return registrant

    def change(self, held: Held, given: StatusChange) -> None:
        """Approves, cancels or denies."""
        account = self._account
        for named in given.registrants:
            found = held.registrants.get(named.id or "")
            if found is None and named.email:
                found = self._known(held, named.email)
            if found is None:
                raise not_possible("Registrant does not exist.")
            account.limits.take_daily(
                ("status", str(held.thing["id"]), found["id"]),
                account.limits.plan.status_changes,
                Category.MEDIUM,
                account.now_seconds(),
                "registrant status changes permitted for this particular registrant",
            )
            self._settle(held.thing, found, given.action)

    def listed(self, held: Held, status: str) -> Sequence[Thing]:
        """Those of a status, in the order they came."""
        return [each for each in held.registrants.values() if each["status"] == status]

    def reply(self, held: Held, registrant: Thing) -> Thing:
        """What a registration answers; the link only where it is approved."""
        thing = held.thing
        found = {
            "id": thing["id"],
            "registrant_id": registrant["id"],
            "topic": thing["topic"],
            "start_time": thing["start_time"],
        }
        if registrant["status"] == "approved":
            found["join_url"] = registrant["join_url"]
        return found

    def _check(self, thing: Thing, given: NewRegistrant) -> None:
        title, id_ = self._kind.title, thing["id"]
        if not needs_registration(thing):
            raise not_possible(
                f"Registration has not been enabled for this {title.lower()}: {id_}."
                if self._kind.name == "meeting"
                else f"This webinar does not have registration as required: {id_}."
            )
        if thing["status"] == "finished":
            raise not_possible(f"{title} is over, you can not register now.", OVER)
        if given.email.lower() == thing["host_email"].lower():
            raise not_possible("Host cannot register.", HOST)

    def _new(self, held: Held, given: NewRegistrant, old: Thing | None) -> Thing:
        account, thing = self._account, held.thing
        id_ = old["id"] if old else account.new_uuid().rstrip("=").replace("/", "_")
        token = hashlib.sha256(f"{thing['id']}/{id_}".encode()).hexdigest()[:24]
        registrant: Thing = {
            "id": id_,
            "email": given.email,
            "first_name": given.first_name,
            "last_name": given.last_name or "",
            "status": "pending",
            "create_time": stamp(account.now()),
            "join_url": f"https://us02web.zoom.us/w/{thing['id']}?tk={token}",
        }
        held.registrants[id_] = registrant
        return registrant

    def _settle(self, thing: Thing, registrant: Thing, action: str) -> None:
        state = _STATES[action]
        if registrant["status"] != state:
            registrant["status"] = state
            self._emit(f"registration_{state}", thing, registrant)

    def _emit(self, what: str, thing: Thing, registrant: Thing) -> None:
        told = {name: registrant[name] for name in ("id", "first_name", "last_name", "email")}
        if registrant["status"] == "approved":
            told["join_url"] = registrant["join_url"]
        names = ("uuid", "id", "host_id", "topic", "type", "start_time", "duration", "timezone")
        body = {name: thing[name] for name in names} | {"registrant": told}
        user = self._account.user(thing["host_id"])
        self._account.emit(f"{self._kind.name}.{what}", user, body)

    @staticmethod
    def _known(held: Held, email: str) -> Thing | None:
        wanted = email.lower()
        found = (each for each in held.registrants.values() if each["email"].lower() == wanted)
        return next(found, None)
