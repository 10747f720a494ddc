"""Hosts and their bookings as observations tell of them, resolved as the resolver does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.double_booking_messages import double_booking_messages
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.double_booking_rules import DoubleBookingRules
from calstream_schemas.double_bookings import DoubleBooking
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values, kind_of_key
from calstream_schemas.entities.head import head_of
from calstream_schemas.observations import Fact, Observation, Statement
from calstream_schemas.rule_sets import RuleSet

MINUTE = 60_000_000
HOUR = 60 * MINUTE
NINE = 1_795_770_000_000_000  # 2026-11-27T09:00:00Z
SAID_AT = NINE - 48 * HOUR


def event(id_: str) -> NaturalId:
    return NaturalId("calendar_live", "event", id_)


def hold(id_: str) -> NaturalId:
    return NaturalId("calendar_live", "hold", id_)


def rules(**double_booking: object) -> RuleSet:
    asked = replace(DoubleBookingRules(), **double_booking)  # type: ignore[arg-type]  # by name
    return replace(CALENDAR_TO_CRM, double_booking=asked)


def say(
    natural_id: NaturalId,
    version: int,
    groups: Mapping[str, Values],
    *,
    fact: Fact = Fact.STATE,
    same_as: NaturalId | None = None,
) -> Observation:
    """What calendar.live tells of an event or a hold, in its version."""
    at = SAID_AT + version * MINUTE
    return Observation(
        id=f"{natural_id.object_id}@{version}{fact}",
        workspace="acme",
        fact=fact,
        kind="booking",
        natural_id=natural_id,
        role="calendar",
        received_at=at,
        occurred_at=at,
        statements=tuple(
            Statement(group, values, Stamp(version, at, by_self=False))
            for group, values in groups.items()
        ),
        same_as=same_as,
    )


def booked(
    natural_id: NaturalId,
    start: int,
    minutes: int,
    *,
    host: str = "usr_1",
    status: str = "confirmed",
    version: int = 0,
    event_type: str | None = None,
    event_kind: str | None = None,
    same_as: NaturalId | None = None,
    recurrence: tuple[NaturalId, str] | None = None,
) -> Observation:
    """A booking from then on, for so long."""
    groups: dict[str, Values] = {
        "uid": {"uid": natural_id.object_id},
        "schedule": {"start_at": start, "end_at": start + minutes * MINUTE},
        "status": {"status": status},
        "host": {"host_id": host},
        "event_type": {"event_type": event_type, "event_kind": event_kind},
    }
    if recurrence:
        series, recurrence_id = recurrence
        groups["recurrence"] = {"series_ref": str(series), "recurrence_id": recurrence_id}
    return say(natural_id, version, groups, same_as=same_as)


def series(id_: str) -> NaturalId:
    return NaturalId("calendar_live", "series", id_)


def recurring(
    natural_id: NaturalId,
    rrule: str,
    *,
    version: int = 0,
    exdates: tuple[str, ...] = (),
    timezone: str = "UTC",
    fact: Fact = Fact.STATE,
) -> Observation:
    """What calendar.live tells of a series."""
    values: Values = {"rrule": rrule, "exdates": exdates, "timezone": timezone}
    groups: dict[str, Values] = {"recurrence": values} if fact is Fact.STATE else {}
    return replace(say(natural_id, version, groups, fact=fact), kind="series")


def cancelled(natural_id: NaturalId, version: int) -> Observation:
    """The end of a booking."""
    return say(natural_id, version, {"status": {"status": "cancelled"}})


@dataclass
class Scene:
    """One workspace.

    Attributes:
        told: every double booking that was written, in order.
        known: the keys of all entities.
    """

    rules: RuleSet = CALENDAR_TO_CRM

    def __post_init__(self) -> None:
        self.workspace = Workspace()
        self.told: list[DoubleBooking] = []
        self.known: set[str] = set()

    def hear(self, *observations: Observation) -> list[DoubleBooking]:
        """What observations do to the double bookings, with all that follows from them."""
        told = len(self.told)
        for observation in observations:
            consequences = [double_booking_messages]
            changes = self._apply(observation)
            follow_up(self.workspace, changes, self.rules, consequences, self._apply)
        return self.told[told:]

    def _apply(self, observation: Observation) -> list[Change]:
        changes = []
        is_about_rules = observation.rule_set is not None
        made = () if is_about_rules else resolve(self.workspace, observation, self.rules)
        for entity in made:
            before = self.workspace.get(entity.key)
            self.workspace.put(entity)
            changes.append(Change(before, entity, observation))
            self.known.add(entity.key)
        self.told += self.workspace.double_bookings.settle(self.rules.double_booking, observation)
        return changes

    def messages(self) -> dict[str, Entity]:
        """The messages by what the rules call them."""
        found = (self.workspace.get(key) for key in self.known if kind_of_key(key) == "message")
        return {min(each.copies).object_id: each for each in found if each}

    def restart(self) -> None:
        """Reads everything again from its records, as a worker does that takes it over."""
        before = self.workspace
        self.workspace = Workspace(fetch=before.get)
        self.workspace.rules = self.rules
        self.workspace.double_bookings.use(self.rules.double_booking)
        for key in sorted(self.known):
            if (entity := before.get(key)) is not None:
                self.workspace.know(head_of(entity))
        self.workspace.double_bookings.restored()
        for each in {each.key: each for each in self.told}.values():
            self.workspace.double_bookings.restore(each)

    def bookings(self, workspace: Workspace | None = None) -> list[Entity]:
        """All bookings as they are."""
        held = workspace or self.workspace
        found = (held.get(key) for key in sorted(self.known) if kind_of_key(key) == "booking")
        return [each for each in found if each]

    def open(self) -> dict[str, DoubleBooking]:
        """What stands, by id, without which observation made it so."""
        newest = {each.id: each for each in self.told}
        return {id_: bare(each) for id_, each in newest.items() if each.state == "open"}


def bare(found: DoubleBooking) -> DoubleBooking:
    """A double booking without which observation made it so."""
    return replace(found, opened_by="", opened_at=0, observation_id="", received_at=0)


def heard(observations: Iterable[Observation], of: RuleSet = CALENDAR_TO_CRM) -> Scene:
    """The scene after observations."""
    scene = Scene(of)
    scene.hear(*observations)
    return scene
