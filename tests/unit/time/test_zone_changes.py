"""A newer time zone database: wall times stay, the instants of what is to come move."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import dateutil.tz
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.stage_scene import StageScene, replayed

from calstream_core.clock import from_microseconds, to_microseconds
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_core.zones import TZDATA_VERSION, zone_of
from calstream_processors.resolve import partition
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_processors.time import zone_changes
from calstream_processors.time.zone_changes import with_installed_zones
from calstream_schemas.entities import Cause, Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement, rules_changed
from calstream_schemas.rule_sets import RuleSet

SETTINGS = Settings()
Install = Callable[[str, str], None]


def at(text: str) -> int:
    return to_microseconds(datetime.fromisoformat(text))


APPLIED = at("2026-11-24T00:00Z")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """A database in which a zone's clocks go as another's."""

    def make(zone: str, like: str) -> None:
        monkeypatch.setattr(
            zone_changes, "zone_of", lambda name: zone_of(like if name == zone else name)
        )

    return make


def _booked(
    number: int, start: str, zone: str, said_at: str = "2026-11-20T00:00Z", wall: str | None = None
) -> Observation:
    """What the platform says of an event, with the wall clock of its zone as it was known then."""
    instant, known = at(start), zone_of(zone)
    assert known is not None
    shown = from_microseconds(instant).astimezone(known).replace(tzinfo=None)
    stamp = Stamp(0, at(said_at), by_self=False)
    schedule: Values = {
        "start_at": instant,
        "end_at": instant + 1_800_000_000,
        "timezone": zone,
        "wall_start": wall or shown.isoformat(timespec="seconds"),
    }
    return Observation(
        id=f"o{number}{said_at}",
        workspace="acme",
        fact=Fact.STATE,
        kind="booking",
        natural_id=NaturalId("calendar_live", "event", f"cal_{number}"),
        role="calendar",
        received_at=at(said_at),
        occurred_at=at(said_at),
        statements=(Statement("schedule", schedule, stamp),),
    )


def _folded(*observations: Observation, rules: RuleSet = CALENDAR_TO_CRM) -> list[Entity]:
    workspace = Workspace()
    for observation in observations:
        for entity in resolve(workspace, observation, rules):
            workspace.put(entity)
    return sorted(workspace.entities.values(), key=lambda each: min(each.copies))


def _starts(entities: list[Entity]) -> list[str]:
    return [
        f"{from_microseconds(start):%m-%dT%H:%M}"
        for each in entities
        if isinstance(start := each.values["start_at"], int)
    ]


def _applied(
    *observations: Observation, now: int = APPLIED, rules: RuleSet = CALENDAR_TO_CRM
) -> RuleSet:
    return with_installed_zones(CALENDAR_TO_CRM, rules, _folded(*observations, rules=rules), now)


LOG = (
    _booked(1, "2027-07-01T13:00Z", "Europe/Berlin"),  # 15:00 in summer
    _booked(2, "2027-12-01T14:00Z", "Europe/Berlin"),  # 15:00 in winter
    _booked(3, "2027-07-01T13:00Z", "Europe/Paris"),
    _booked(4, "2026-07-01T13:00Z", "Europe/Berlin", "2026-06-01T00:00Z"),  # is over
)


def test_what_is_to_come_keeps_its_wall_time_and_its_length(install: Install) -> None:
    install("Europe/Berlin", "Africa/Lagos")  # no summer time any more
    rules = _applied(*LOG)
    assert {shift.zone for shift in rules.zone_shifts} == {"Europe/Berlin"}
    after = _folded(*LOG, rules=rules)
    assert _starts(after) == ["07-01T14:00", "12-01T14:00", "07-01T13:00", "07-01T13:00"]
    moved = after[0].values
    assert moved["wall_start"] == "2027-07-01T15:00:00"
    assert moved["end_at"] == at("2027-07-01T14:30Z")


def test_the_same_database_changes_nothing() -> None:
    assert _applied(*LOG).zone_shifts == ()
    assert _applied(*LOG).id == CALENDAR_TO_CRM.id
    assert CALENDAR_TO_CRM.tzdata == TZDATA_VERSION


def test_a_change_counts_for_a_booking_that_is_heard_of_late(install: Install) -> None:
    install("Europe/Berlin", "Africa/Lagos")
    rules = _applied(LOG[0])
    late = _booked(9, "2027-08-01T08:00Z", "Europe/Berlin")
    assert _starts(_folded(late, rules=rules)) == ["08-01T09:00"]


def test_what_is_said_after_the_change_is_said_by_the_new_clocks(install: Install) -> None:
    install("Europe/Berlin", "Africa/Lagos")
    rules = _applied(LOG[0])
    anew = _booked(1, "2027-07-01T14:00Z", "Europe/Berlin", "2026-11-25T00:00Z")
    assert _starts(_folded(LOG[0], anew, rules=rules)) == ["07-01T14:00"]
    assert _starts(_folded(anew, LOG[0], rules=rules)) == ["07-01T14:00"]


def test_a_meeting_that_is_over_stays_where_it_was(install: Install) -> None:
    install("Europe/Berlin", "Africa/Lagos")
    first = _applied(LOG[0])
    install("Europe/Berlin", "Europe/Berlin")  # and back again, after the meeting
    later = _applied(LOG[0], now=at("2027-07-02T00:00Z"), rules=first)
    assert later.zone_shifts == first.zone_shifts
    assert _starts(_folded(LOG[0], rules=later)) == ["07-01T14:00"]
    before = _applied(LOG[0], now=at("2027-06-30T00:00Z"), rules=first)
    assert len(before.zone_shifts) == 2
    assert _starts(_folded(LOG[0], rules=before)) == ["07-01T13:00"]


def test_a_stretch_ends_where_the_clocks_change(install: Install) -> None:
    install("America/Bogota", "America/New_York")
    (shift,) = _applied(_booked(1, "2027-07-01T15:00Z", "America/Bogota")).zone_shifts
    assert (shift.wall_from, shift.wall_until) == ("2027-03-14T03:00:00", "2027-11-07T01:00:00")
    assert shift.offset_seconds == -4 * 3600


def test_a_time_that_comes_twice_stays_the_second_where_it_was_the_second() -> None:
    second = _booked(1, "2027-11-07T06:30Z", "America/New_York")  # 01:30 once more
    assert _applied(second).zone_shifts == ()


def test_a_rule_set_with_shifts_is_read_back(install: Install) -> None:
    install("Europe/Berlin", "Africa/Lagos")
    rules = _applied(*LOG)
    assert RuleSet.decode(rules.encode()) == rules


_PAIRS = [
    ("Europe/Berlin", "Africa/Lagos"),
    ("America/Bogota", "America/New_York"),
    ("Australia/Lord_Howe", "Australia/Sydney"),
    ("Asia/Kolkata", "Asia/Kathmandu"),
    ("America/New_York", "America/Chicago"),
    ("Africa/Casablanca", "Europe/Lisbon"),
]


@given(
    st.sampled_from(_PAIRS),
    st.datetimes(datetime.fromisoformat("2026-12-01"), datetime.fromisoformat("2035-12-01")),
)
def test_every_wall_time_is_where_a_second_implementation_has_it(
    pair: tuple[str, str], moment: datetime
) -> None:
    zone, like = pair
    start = moment.replace(second=0, microsecond=0, tzinfo=UTC)
    booked = _booked(1, start.isoformat(), zone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone_changes, "zone_of", lambda _name: zone_of(like))
        rules = _applied(booked)
    (after,) = _folded(booked, rules=rules)
    wall = datetime.fromisoformat(str(after.values["wall_start"]))
    theirs = dateutil.tz.gettz(like)
    assert theirs is not None
    # where it comes twice and was one of the two, it stays
    assume(not dateutil.tz.datetime_ambiguous(wall, theirs))
    expected = dateutil.tz.resolve_imaginary(wall.replace(tzinfo=theirs)).astimezone(UTC)
    assert after.values["start_at"] == to_microseconds(expected)


def test_other_rules_with_a_change_of_zones_are_a_refold_and_replay_the_same(
    install: Install, tmp_path_factory: pytest.TempPathFactory
) -> None:
    install("Europe/Berlin", "Africa/Lagos")
    scene = StageScene(SETTINGS, KeyStore(tmp_path_factory.mktemp("keys")))
    scene.hear(*LOG)
    other = with_installed_zones(
        CALENDAR_TO_CRM, CALENDAR_TO_CRM, scene.entities("booking"), APPLIED
    )
    changed = rules_changed("acme", other, "apply", APPLIED)
    scene.hear(changed)
    (moved,) = [each for each in scene.entities("booking") if each.version == 2]
    assert moved.values["start_at"] == at("2027-07-01T14:00Z")
    assert moved.cause == Cause(changed.id, APPLIED, APPLIED)
    install("Europe/Berlin", "Europe/Berlin")
    assert replayed(scene, [*LOG, changed], SETTINGS).written == scene.written


def test_a_worker_with_another_database_folds_the_same_and_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        partition, "_log", SimpleNamespace(warning=lambda event, **_fields: said.append(event))
    )
    scene = StageScene(SETTINGS, KeyStore(tmp_path_factory.mktemp("keys")))
    older = replace(CALENDAR_TO_CRM, tzdata="2020a")
    scene.hear(*LOG, rules_changed("acme", older, "apply", APPLIED))
    assert said == ["time zones differ"]
    scene.start()
    assert said == ["time zones differ"] * 2
    assert all(each.version == 1 for each in scene.entities("booking"))
