"""Meetings and webinars: made, changed, taken away, told about."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from calstream_sandbox.zoom.account import Account, Held, Thing, stamp
from calstream_sandbox.zoom.bodies import Gathering
from calstream_sandbox.zoom.errors import invalid_field, no_such, not_possible
from calstream_sandbox.zoom.limits import Category

HIDDEN = frozenset({"kind"})
_PASSWORD_CHARACTERS = 6
_LIST_FIELDS = (
    "uuid", "id", "host_id", "topic", "type", "start_time", "duration", "timezone", "agenda",
    "created_at", "join_url",
)  # fmt: skip
_LISTED_AGENDA_CHARACTERS = 250


@dataclass(frozen=True, slots=True)
class Kind:
    """What sets webinars apart from meetings."""

    name: str
    title: str
    played_type: int
    known_types: frozenset[int]


MEETING = Kind("meeting", "Meeting", 2, frozenset({1, 2, 3, 8, 10}))
WEBINAR = Kind("webinar", "Webinar", 5, frozenset({5, 6, 9}))
_OTHER = {MEETING.name: WEBINAR, WEBINAR.name: MEETING}


class Gatherings:
    """The meetings, or the webinars, of an account."""

    def __init__(self, account: Account, kind: Kind) -> None:
        self._account = account
        self.kind = kind

    def create(self, user_id: str, given: Gathering) -> Thing:
        """A new one of a host; counts towards the host's day."""
        account = self._account
        user = account.user(user_id)
        self._check(given)
        self._count_write(user)
        id_ = account.new_number()
        secret = hashlib.sha256(str(id_).encode()).hexdigest()
        password = given.password if given.password is not None else secret[:_PASSWORD_CHARACTERS]
        thing: Thing = {
            "kind": self.kind.name,
            "uuid": account.new_uuid(),
            "id": id_,
            "host_id": user["id"],
            "host_email": user["email"],
            "topic": given.topic or f"Zoom {self.kind.title}",
            "type": given.type or self.kind.played_type,
            "status": "waiting",
            "start_time": self._start(given.start_time, given.timezone) or stamp(account.now()),
            "duration": given.duration or 60,
            "timezone": given.timezone or user["timezone"],
            "agenda": given.agenda or "",
            "created_at": stamp(account.now()),
            "start_url": f"https://us02web.zoom.us/s/{id_}?zak={secret}",
            "join_url": f"https://us02web.zoom.us/j/{id_}?pwd={secret[:10]}",
            "password": password,
            "tracking_fields": [each.model_dump() for each in given.tracking_fields or ()],
            "settings": _defaults(),
        }
        if given.settings is not None:
            thing["settings"] |= given.settings.model_dump(exclude_none=True)
        self._address_registration(thing)
        account.held[id_] = Held(thing)
        account.emit(f"{self.kind.name}.created", user, _brief(thing), operation="single")
        return shown(thing)

    def find(self, given: str) -> Held:
        """One by the id in a path; raises ZoomError for the other kind, too."""
        if not (given.isascii() and given.isdecimal()):
            raise invalid_field(f"{self.kind.name}Id", f"Invalid {self.kind.name} id.")
        held = self._account.held.get(int(given))
        if held is None:
            raise no_such(self.kind.title, given)
        if held.thing["kind"] != self.kind.name:
            raise not_possible(f"Cannot access {_OTHER[self.kind.name].name} info.")
        return held

    def update(self, given_id: str, given: Gathering) -> None:
        """Changes what is given; counts towards the host's day."""
        held = self.find(given_id)
        thing, account = held.thing, self._account
        user = account.user(thing["host_id"])
        self._check(given)
        self._count_write(user)
        before = _brief(thing)
        changes = given.model_dump(exclude_unset=True, exclude_none=True)
        changes.pop("recurrence", None)
        settings = changes.pop("settings", {})
        if "start_time" in changes:
            zone = given.timezone or thing["timezone"]
            changes["start_time"] = self._start(given.start_time, zone)
        thing |= changes
        thing["settings"] = thing["settings"] | settings
        self._address_registration(thing)
        account.emit(
            f"{self.kind.name}.updated",
            user,
            {"id": thing["id"], **changes, **({"settings": settings} if settings else {})},
            scope="single",
            time_stamp=int(account.now_seconds() * 1000),
            old_object=before,
        )

    def delete(self, given_id: str) -> None:
        """Takes one away."""
        thing = self.find(given_id).thing
        del self._account.held[thing["id"]]
        user = self._account.user(thing["host_id"])
        name = f"{self.kind.name}.deleted"
        self._account.emit(name, user, _brief(thing), operation="single")

    def end(self, given_id: str) -> None:
        """Ends one that may be running."""
        thing = self.find(given_id).thing
        thing["status"] = "finished"
        user = self._account.user(thing["host_id"])
        ended = _brief(thing) | {"end_time": stamp(self._account.now())}
        self._account.emit(f"{self.kind.name}.ended", user, ended)

    def listed(self, user_id: str, which: str) -> list[Thing]:
        """A host's, oldest first, as lists show them."""
        user = self._account.user(user_id)
        now = stamp(self._account.now())
        found = [each.thing for each in self._account.of_host(self.kind.name, user["id"])]
        if which.startswith("upcoming"):
            found = [each for each in found if each["start_time"] >= now]
        elif which.startswith("previous"):
            found = [each for each in found if each["start_time"] < now]
        elif which == "live":
            found = [each for each in found if each["status"] == "started"]
        return [_listed(each) for each in found]

    def _check(self, given: Gathering) -> None:
        kind = self.kind
        if given.type is not None and given.type not in kind.known_types:
            raise invalid_field("type")
        if given.type not in {None, kind.played_type} or given.recurrence is not None:
            message = "Only single ones with a time are played by the sandbox."
            raise invalid_field("type" if given.recurrence is None else "recurrence", message)

    def _count_write(self, user: Thing) -> None:
        account = self._account
        account.limits.take_daily(
            ("write", user["id"]),
            account.limits.plan.writes_per_host,
            Category.LIGHT,
            account.now_seconds(),
            "Meeting Create/Update API requests permitted for this particular user",
        )

    @staticmethod
    def _start(given: str | None, zone: str | None) -> str | None:
        if given is None or given.endswith("Z"):
            return given
        local = datetime.fromisoformat(given).replace(tzinfo=ZoneInfo(zone) if zone else UTC)
        return stamp(local)

    @staticmethod
    def _address_registration(thing: Thing) -> None:
        if needs_registration(thing):
            place = "meeting" if thing["kind"] == MEETING.name else "webinar"
            url = f"https://us02web.zoom.us/{place}/register/{thing['uuid'][:16]}"
            thing["registration_url"] = url
        else:
            thing.pop("registration_url", None)


def needs_registration(thing: Thing) -> bool:
    """Whether people register for it."""
    return bool(thing["settings"]["approval_type"] in {0, 1})


def shown(thing: Thing) -> Thing:
    """A meeting or a webinar as it is read."""
    return {name: value for name, value in thing.items() if name not in HIDDEN}


def _listed(thing: Thing) -> Thing:
    found = {name: thing[name] for name in _LIST_FIELDS}
    return found | {"agenda": thing["agenda"][:_LISTED_AGENDA_CHARACTERS]}


def _brief(thing: Thing) -> Thing:
    names = ("uuid", "id", "host_id", "topic", "type", "start_time", "duration", "timezone")
    return {name: thing[name] for name in names}


def _defaults() -> dict[str, Any]:
    return {
        "approval_type": 2,
        "audio": "both",
        "auto_recording": "none",
        "email_notification": True,
        "host_video": False,
        "join_before_host": False,
        "meeting_authentication": False,
        "mute_upon_entry": False,
        "participant_video": False,
        "registrants_confirmation_email": True,
        "registrants_email_notification": True,
        "waiting_room": False,
    }
