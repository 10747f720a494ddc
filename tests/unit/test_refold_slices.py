"""A refold done a slice at a time gives what a refold at once gives, whatever comes in between."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.resolver_scene import HOST, NOW, ResolverRun, a_busy_log, encoded, keys_in

from calstream_core.errors import RecordError
from calstream_core.sealing import KeyStore
from calstream_core.settings import Pattern
from calstream_processors.resolve.ownership import PATTERNS
from calstream_processors.resolve.refolds import Refolds
from calstream_schemas import refolds
from calstream_schemas.double_booking_rules import Buffer, DoubleBookingRules
from calstream_schemas.entities import Entity, Stamp, Values, entity_id, entity_key
from calstream_schemas.entities.model import NaturalId
from calstream_schemas.lead_rules import LeadRules, Operator, ScoringRule
from calstream_schemas.observations import Fact, Observation, Statement, rules_changed
from calstream_schemas.refolds import Refold
from calstream_schemas.resolver_state import refold_key

EVERYTHING = 1_000_000
RULES = PATTERNS[Pattern.CALENDAR_TO_CRM]
KEYS = [
    entity_key("acme", kind, entity_id("acme", kind, NaturalId("s", "t", str(number))))
    for kind in ("contact", "booking", "attendance")
    for number in range(400)
]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return keys_in(tmp_path_factory.mktemp("slices"))


@pytest.fixture(scope="module")
def observed() -> list[Observation]:
    """What happens, without any change of the rules."""
    log = a_busy_log(["acme"], bookings=16, seed=5)
    return [each for each in log if each.fact is not Fact.RULES]


def _truth(run: ResolverRun) -> dict[str, tuple[object, ...]]:
    """All but the version and its cause: how many versions there were depends on what came when."""
    return {
        key: (e.values, e.decisions, e.copies, e.references, e.match_keys, e.merge, e.apart)
        for key, e in run.entities().items()
    }


def _with_rules(
    observed: list[Observation], changes: list[tuple[int, Pattern]]
) -> list[Observation]:
    log = list(observed)
    for number, (place, pattern) in enumerate(changes):
        rules = rules_changed("acme", PATTERNS[pattern], f"change/{number}", NOW)
        log.insert(place % (len(log) + 1), rules)
    return log


@pytest.fixture
def slice_entities() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


changes = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(sorted(Pattern))), min_size=1, max_size=4
)


def test_any_slices_and_any_interleaving_give_what_a_refold_at_once_gives(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    @settings(max_examples=12, deadline=None)
    @given(changes, st.integers(1, 40), st.integers(0, 2**32))
    def holds(changes: list[tuple[int, Pattern]], size: int, seed: int) -> None:
        log = encoded(keys, _with_rules(observed, changes))
        slice_entities.setattr(refolds, "SLICE_ENTITIES", EVERYTHING)
        at_once = ResolverRun(keys, log).run(500)
        assert at_once.log == log
        slice_entities.setattr(refolds, "SLICE_ENTITIES", size)
        sliced = _with_crashes(ResolverRun(keys, log, _anywhere(seed)), seed)
        assert _truth(sliced) == _truth(at_once)
        assert sliced.state(refold_key("acme")) is None

    holds()


def _anywhere(seed: int) -> Callable[[int], int]:
    chance = random.Random(seed)
    return lambda left: chance.randint(0, left)


def _with_crashes(run: ResolverRun, seed: int) -> ResolverRun:
    chance = random.Random(seed)
    while run.position < len(run.log):
        run.step(chance.choice([1, 10, 60]), commit=chance.random() < 0.9)
        if chance.random() < 0.1:
            run.restart()
    return run


def test_slices_change_what_a_refold_at_once_changes_and_nothing_twice(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    log = encoded(keys, [*observed, rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "x", NOW)])
    slice_entities.setattr(refolds, "SLICE_ENTITIES", EVERYTHING)
    at_once = ResolverRun(keys, log).run()
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 3)
    sliced = ResolverRun(keys, log).run()
    # the same records, in the order of the slices: also the cause is the change of the rules
    assert sorted(map(repr, sliced.written["entities"])) == sorted(
        map(repr, at_once.written["entities"])
    )


def test_a_refold_shows_how_far_it_is_and_a_newer_one_takes_its_place(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 5)
    first = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "first", NOW)
    second = rules_changed("acme", PATTERNS[Pattern.CRM_TO_CALENDAR], "second", NOW)
    run = ResolverRun(keys, encoded(keys, [*observed, first])).run_until(len(observed) + 4)
    shown = Refold.decode(run.state(refold_key("acme")) or b"")
    assert (shown.id, shown.done, shown.entities) == (first.id, 4, len(run.entities()))
    assert 0 < shown.changed <= len(run.entities())
    run.log.insert(run.position, encoded(keys, [second])[0])
    run.step(1)
    shown = Refold.decode(run.state(refold_key("acme")) or b"")
    assert (shown.id, shown.done) == (second.id, 1)
    run.run()
    assert run.state(refold_key("acme")) is None
    assert run.outcomes[-1].get("dead") is None
    unsliced = encoded(keys, [*observed, first, second])
    slice_entities.setattr(refolds, "SLICE_ENTITIES", EVERYTHING)
    assert _truth(run) == _truth(ResolverRun(keys, unsliced).run())


def test_what_changes_while_a_refold_is_under_way_is_folded_by_the_new_rules_at_once(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 1)
    rules = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "x", NOW)
    run = ResolverRun(keys, encoded(keys, [rules, *observed])).run_until(1 + len(observed))
    truth = _truth(run)
    run.run()
    assert _truth(run) == truth, "nothing was left for the slices to do"


def test_nobody_is_told_of_what_only_other_rules_make_and_contacts_are_restated(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    row = ScoringRule("team_size", Operator.ANSWERED, None, 50)
    other = replace(
        RULES,
        leads=LeadRules(scoring=(row,), threshold=10),
        double_booking=DoubleBookingRules(hosts={HOST.id: Buffer(120, 120)}),
    )
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 5)
    rules = rules_changed("acme", other, "x", NOW)
    first = ResolverRun(keys, encoded(keys, [rules, *observed])).run()
    assert {e.values["message_kind"] for e in _of_kind(first, "message")} >= {
        "high_score",
        "conflict",
    }
    last = ResolverRun(keys, encoded(keys, [*observed, rules])).run()
    known = ResolverRun(keys, encoded(keys, observed)).run()
    assert _of_kind(last, "message") == _of_kind(known, "message")
    scores = {each.values.get("lead_score") for each in _of_kind(last, "contact")}
    assert scores == {each.values.get("lead_score") for each in _of_kind(first, "contact")}
    assert 50 in scores


def test_double_bookings_that_only_a_slice_finds_are_told_to_nobody(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 5)
    ids = sorted({each.natural_id for each in observed if each.kind == "booking"})
    log = [*observed, *(_crm_moves(id_, number) for number, id_ in enumerate(ids))]
    rules = rules_changed("acme", PATTERNS[Pattern.CRM_TO_CALENDAR], "x", NOW)
    before = ResolverRun(keys, encoded(keys, log)).run()
    after = ResolverRun(keys, encoded(keys, [*log, rules])).run()
    opened = [_of_conflicts(run) for run in (before, after)]
    assert len(opened[1] - opened[0]) > len(ids), "all are at the same time now"
    assert _of_kind(after, "message") == _of_kind(before, "message")


def _crm_moves(booking: NaturalId, number: int) -> Observation:
    natural_id = NaturalId("hubspot", "meeting", str(number))
    stamp = Stamp(-1, NOW, by_self=False)
    start, hour = 2_000_000_000_000_000, 3_600_000_000
    groups: dict[str, Values] = {
        "schedule": {"start_at": start, "end_at": start + hour, "timezone": "UTC"},
        "host": {"host_id": "usr_99"},
        "status": {"status": "confirmed"},
    }
    return Observation(
        id=f"moved-{number}",
        workspace="acme",
        fact=Fact.STATE,
        kind="booking",
        natural_id=natural_id,
        role="crm",
        received_at=NOW,
        occurred_at=NOW,
        about=entity_id("acme", "booking", booking),
        statements=tuple(Statement(group, its, stamp) for group, its in groups.items()),
    )


def _of_conflicts(run: ResolverRun) -> set[bytes]:
    return {
        key or b"" for key, _, _ in run.written["conflicts"] if b"double-booking" in (key or b"")
    }


def _of_kind(run: ResolverRun, kind: str) -> list[Entity]:
    return [each for each in run.entities().values() if each.kind == kind]


def test_a_refold_by_the_same_rules_changes_nothing(
    keys: KeyStore, observed: list[Observation], slice_entities: pytest.MonkeyPatch
) -> None:
    slice_entities.setattr(refolds, "SLICE_ENTITIES", 7)
    rules = rules_changed("acme", PATTERNS[Pattern.CALENDAR_TO_CRM], "again", NOW)
    run = ResolverRun(keys, encoded(keys, [*observed, rules])).run()
    alone = ResolverRun(keys, encoded(keys, observed)).run()
    assert run.written["entities"] == alone.written["entities"]
    assert run.written["conflicts"] == alone.written["conflicts"]


def _begun(count: int) -> Refold:
    rules = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "x", NOW)
    return Refold.begun(rules, KEYS[:count])


@pytest.mark.parametrize(
    ("count", "slices"), [(0, 1), (1, 1), (500, 1), (501, 2), (800, 2), (1200, 3)]
)
def test_few_entities_are_one_slice_and_more_are_cut(count: int, slices: int) -> None:
    refold = _begun(count)
    assert (refold.entities, refold.slices) == (count, slices)
    assert {refold.slice_of(key) for key in KEYS} <= set(range(slices))


def test_contacts_come_first_and_slices_are_about_even() -> None:
    refold = _begun(1200)
    places = {key: refold.slice_of(key) for key in KEYS}
    assert {place for key, place in places.items() if "/contact/" in key} == {0}
    sizes = [list(places.values()).count(number) for number in range(3)]
    assert all(330 < size < 470 for size in sizes)


def test_what_is_stale_or_of_nobody_is_no_step() -> None:
    rules = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "x", NOW)
    under_way = Refolds()
    step = under_way.step(rules, lambda: KEYS, RULES)
    assert step is not None
    following = under_way.advance("acme", step, 3).next("acme")
    assert under_way.step(following, lambda: KEYS, RULES) is not None
    assert under_way.step(step.refold.next("acme"), lambda: KEYS, RULES) is None, "was done"
    assert under_way.step(_begun(10).with_slice(0).with_slice(0).next("acme"), list, RULES) is None
    assert Refolds().step(following, lambda: KEYS, RULES) is None


def test_a_refold_reads_back_and_nonsense_is_refused() -> None:
    refold = _begun(1200).with_slice(7)
    assert Refold.decode(refold.encode()) == refold
    with pytest.raises(RecordError):
        Refold.decode(b'{"id": "x"}')


def test_after_a_restart_the_slices_are_the_same() -> None:
    rules = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "x", NOW)
    before, after = Refolds(), Refolds()
    step = before.step(rules, lambda: KEYS[:900], RULES)
    assert step is not None
    refold = before.advance("acme", step, 0)
    after.restore("acme", refold)
    resumed = after.step(refold.next("acme"), lambda: reversed(KEYS), RULES)
    going_on = before.step(refold.next("acme"), lambda: KEYS, RULES)
    assert resumed is not None
    assert going_on is not None
    assert set(going_on.keys) <= set(resumed.keys)
    assert list(resumed.keys) == sorted(resumed.keys)
