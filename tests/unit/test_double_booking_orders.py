"""Whatever happens in whatever order, what stands is what looking at every pair finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.overlap_scene import MINUTE, NINE, Scene, booked, event, heard, hold, rules, say

from calstream_schemas.double_booking_rules import Buffer, DoubleBookingRules, Policy
from calstream_schemas.double_bookings import DoubleBooking
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.entities.slot import Slot, slot_of
from calstream_schemas.observations import Fact, Observation
from calstream_schemas.rule_sets import RuleSet

Found = tuple[frozenset[str], int, int, str | None, str | None]
"""A double booking without what hangs on which object was heard of first: entities' ids."""

RULES = [
    rules(),
    rules(policy=Policy.FIRST_WINS),
    rules(policy=Policy.FIRST_WINS, hosts={"usr_1": Buffer(5, 10)}),
    rules(
        policy=Policy.PRIORITY,
        priority=("event_type=board", "status=confirmed"),
        event_types={"trial": Buffer(after_minutes=15)},
    ),
]


@dataclass(frozen=True)
class Told:
    """One thing that the calendar tells of one of its objects."""

    object: int
    is_hold: bool
    change: str
    start: int
    minutes: int
    host: str
    event_type: str


told = st.lists(
    st.builds(
        Told,
        object=st.integers(0, 4),
        is_hold=st.booleans(),
        change=st.sampled_from(["book", "book", "book", "move", "cancel", "gone", "tentative"]),
        start=st.integers(0, 12),
        minutes=st.sampled_from([0, 5, 10, 30, 120]),
        host=st.sampled_from(["usr_1", "usr_1", "usr_2"]),
        event_type=st.sampled_from(["trial", "board"]),
    ),
    max_size=14,
)
# each event may have been a hold, and then each of its webhooks names it
became = st.dictionaries(st.integers(0, 4), st.integers(0, 4), max_size=3).filter(
    lambda pairs: len(set(pairs.values())) == len(pairs)
)


def _observations(story: Sequence[Told], holds: dict[int, int]) -> list[Observation]:
    return [_observation(each, holds, version) for version, each in enumerate(story)]


def _observation(each: Told, holds: dict[int, int], version: int) -> Observation:
    id_ = hold(str(each.object)) if each.is_hold else event(str(each.object))
    other = _other(each, holds)
    if each.change in {"cancel", "gone"}:
        said = {"status": {"status": "cancelled"}} if each.change == "cancel" else {}
        fact = Fact.GONE if each.change == "gone" else Fact.STATE
        return say(id_, version, said, fact=fact, same_as=other)
    start = NINE + each.start * 5 * MINUTE
    if each.change == "move":
        schedule = {"start_at": start, "end_at": start + each.minutes * MINUTE}
        return say(id_, version, {"schedule": schedule}, same_as=other)
    status = "held" if each.is_hold else "tentative" if each.change == "tentative" else "confirmed"
    return booked(
        id_,
        start,
        each.minutes,
        host=each.host,
        status=status,
        version=version,
        event_type=each.event_type,
        same_as=other,
    )


def _other(each: Told, holds: dict[int, int]) -> NaturalId | None:
    if each.is_hold:
        found = [number for number, its in holds.items() if its == each.object]
        return event(str(found[0])) if found else None
    return hold(str(holds[each.object])) if each.object in holds else None


def _found(each: DoubleBooking) -> Found:
    kept = each.sides[each.keeper].object if each.keeper is not None else None
    return frozenset(side.object for side in each.sides), each.start, each.end, kept, each.rule


def _open(scene: Scene) -> set[Found]:
    return {_found(each) for each in scene.open().values()}


def _looked_for(entities: Sequence[Entity], of: DoubleBookingRules) -> set[Found]:
    """Every pair of bookings, looked at."""
    slots = [(str(min(e.copies)), slot) for e in entities if (slot := slot_of(e)) and slot.is_busy]
    found = set()
    for (one, its), (other, others) in combinations(slots, 2):
        starts, ends = zip(_taken(its, of), _taken(others, of), strict=True)
        if its.host == others.host and max(starts) < min(ends):
            kept, rule = _kept({one: its, other: others}, of)
            found.add((frozenset({one, other}), max(starts), min(ends), kept, rule))
    return found


def _taken(slot: Slot, of: DoubleBookingRules) -> tuple[int, int]:
    none = Buffer()
    buffers = [of.event_types.get(slot.event_type or "", none), of.hosts.get(slot.host, none)]
    before, after = (max(minutes) for minutes in zip(*map(_minutes, buffers), strict=True))
    return slot.start - before * MINUTE, slot.end + after * MINUTE


def _minutes(buffer: Buffer) -> tuple[int, int]:
    return buffer.before_minutes, buffer.after_minutes


def _kept(slots: dict[str, Slot], of: DoubleBookingRules) -> tuple[str | None, str | None]:
    if of.policy is Policy.ALERT:
        return None, None
    if of.policy is Policy.PRIORITY:
        for line in of.priority:
            name, _, value = line.partition("=")
            fitting = [id_ for id_, slot in slots.items() if getattr(slot, name) == value]
            rest = [id_ for id_ in slots if id_ not in fitting]
            if fitting and rest:
                return fitting[0], "priority"
            if fitting:
                break  # both stand in the same place
    return min(slots, key=lambda id_: (slots[id_].booked_at, id_)), "booked_first"


@settings(max_examples=300, deadline=None)
@given(told, became, st.sampled_from(RULES), st.randoms(use_true_random=False))
def test_any_order_leaves_the_same_double_bookings(
    story: list[Told], holds: dict[int, int], of: RuleSet, random: Random
) -> None:
    observations = _observations(story, holds)
    scene = heard(observations, of)
    shuffled = [*observations, *observations[:3]]
    random.shuffle(shuffled)
    again = heard(shuffled, of)
    assert _open(scene) == _open(again) == _looked_for(scene.bookings(), of.double_booking)


@settings(max_examples=300, deadline=None)
@given(
    told,
    became,
    st.lists(st.tuples(st.integers(0, 14), st.sampled_from([*RULES, None])), max_size=3),
)
def test_what_stands_is_right_at_every_moment_through_restarts_and_other_rules(
    story: list[Told], holds: dict[int, int], events: list[tuple[int, RuleSet | None]]
) -> None:
    scene = Scene()
    for place, observation in enumerate(_observations(story, holds)):
        for _, of in (each for each in events if each[0] == place):
            if of is None:
                scene.restart()
            else:
                scene.rules = of
        scene.hear(observation)
        assert _open(scene) == _looked_for(scene.bookings(), scene.rules.double_booking)
        for each in scene.open().values():
            held = scene.workspace.double_bookings.of(each.sides[0].key)
            assert each.id in {one.id for one in held}


def test_the_oracle_finds_a_double_booking() -> None:
    scene = heard([booked(event("1"), NINE, 30), booked(event("2"), NINE + MINUTE, 30)])
    assert len(_looked_for(scene.bookings(), RULES[0].double_booking)) == 1
