"""Any order and any repetition of observations gives the same copies and the same truth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.settings import Pattern
from calstream_processors.normalise.instant import MAX_AHEAD_MICROSECONDS
from calstream_processors.resolve.copies import MAX_CLAMPED, apply
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM, PATTERNS
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.register import canonical, order_of, state
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities import (
    KINDS,
    Cause,
    Copy,
    Entity,
    Field,
    Kind,
    NaturalId,
    Register,
    Stamp,
    Values,
)
from calstream_schemas.observations import Fact, Observation, Statement
from calstream_schemas.rule_sets import RuleSet

# few times, versions and values, so that ties and repeats are common; two lie in the future
FUTURE = 3 * MAX_AHEAD_MICROSECONDS
stamps = st.builds(
    Stamp,
    source_version=st.sampled_from([-1, -1, 0, 1, 2]),
    modified_at=st.one_of(st.integers(1, 6), st.sampled_from([FUTURE, FUTURE + 1])),
    by_self=st.booleans(),
)
objects = st.sampled_from(
    [
        (NaturalId("calendar_live", "attendee", "att_1"), "calendar"),
        (NaturalId("calendar_live", "attendee", "att_2"), "calendar"),
        (NaturalId("hubspot", "contact", "1"), "crm"),
        (NaturalId("hubspot", "contact", "~provisional"), "crm"),
        (NaturalId("hubspot_eu", "contact", "1"), "crm"),
        (NaturalId("stripe", "payment", "1"), "payments"),
    ]
)


def _values(kind: Kind, group: str) -> st.SearchStrategy[Values]:
    fields = {
        field.name: st.sampled_from(
            ["s/t/1", "s/t/2", None] if field.reference else ["a", "b", None]
        )
        for field in _fields(kind, group)
    }
    return st.fixed_dictionaries({}, optional=fields)


def _fields(kind: Kind, group: str) -> Sequence[Field]:
    return kind.group_by_name[group].fields


@st.composite
def observations(draw: st.DrawFn, kind: Kind) -> Observation:
    natural_id, role = draw(objects)
    groups = draw(st.lists(st.sampled_from(sorted(kind.group_by_name)), unique=True, max_size=3))
    statements = tuple(
        Statement(group, draw(_values(kind, group)), draw(stamps)) for group in groups
    )
    return Observation(
        id="",
        workspace="acme",
        fact=draw(st.sampled_from([Fact.STATE, Fact.STATE, Fact.RESULT, Fact.GONE])),
        kind=kind.name,
        natural_id=natural_id,
        role=role,
        received_at=4,
        occurred_at=draw(st.integers(1, 6)),
        statements=statements,
    )


History = tuple[Kind, list[Observation], list[Observation]]


@st.composite
def histories(draw: st.DrawFn) -> History:
    kind = draw(st.sampled_from(sorted(KINDS.values(), key=lambda k: k.name)))
    first = draw(st.lists(observations(kind), max_size=14))
    repeated = first + (draw(st.lists(st.sampled_from(first), max_size=6)) if first else [])
    return kind, first, list(draw(st.permutations(repeated)))


def _copies(history: Sequence[Observation]) -> Mapping[NaturalId, Copy]:
    copies: Mapping[NaturalId, Copy] = {}
    for observation in history:
        copies = apply(copies, observation)
    return copies


@settings(max_examples=600, deadline=None)
@given(histories())
def test_any_order_and_any_repetition_gives_the_same_copies_and_the_same_truth(
    history: History,
) -> None:
    kind, first, shuffled = history
    one, other = _copies(first), _copies(shuffled)
    assert one == other
    assert fold(kind, one.values(), CALENDAR_TO_CRM) == fold(
        kind, reversed(list(other.values())), CALENDAR_TO_CRM
    )


@settings(max_examples=400, deadline=None)
@given(histories())
def test_an_observation_that_was_applied_changes_nothing_when_it_comes_again(
    history: History,
) -> None:
    _kind, first, _shuffled = history
    copies = _copies(first)
    for observation in first:
        assert apply(copies, observation) is copies


def _entity(kind: Kind) -> Entity:
    id_ = "9d3c6f0e-0000-5000-8000-000000000000"
    return Entity("acme", kind.name, id_, 1, 1, Cause("o", 1, 1))


def _resolved(
    kind: Kind, history: Sequence[Observation], changes: Sequence[tuple[int, RuleSet]]
) -> Entity:
    """One entity after a history, with other rules at these places of it; the last ones stay."""
    workspace, cause = Workspace(), Cause("o", 1, 1)
    entity = _entity(kind)
    workspace.put(entity)
    for place, observation in enumerate((*history, None)):
        for at, rules in changes:
            if at == place or (observation is None and at > place):
                made = list(refold(workspace, workspace.entities.values(), rules, cause))
                for version in made:
                    workspace.put(version)
                workspace.rules = rules
        if observation is not None:
            about = replace(observation, about=entity.id)
            for version in resolve(workspace, about, workspace.rules):
                workspace.put(version)
    found = workspace.get(entity.key)
    assert found is not None
    return found


patterns = st.sampled_from(sorted(PATTERNS))


@settings(max_examples=300, deadline=None)
@given(histories(), st.lists(st.tuples(st.integers(0, 20), patterns), max_size=3), patterns)
def test_with_the_same_last_rules_any_order_and_any_earlier_rules_give_the_same_truth(
    history: History, earlier: list[tuple[int, Pattern]], last: Pattern
) -> None:
    kind, first, shuffled = history
    final = (10_000, PATTERNS[last])
    changes = [(at, PATTERNS[pattern]) for at, pattern in sorted(earlier)]
    one = _resolved(kind, first, [final])
    other = _resolved(kind, shuffled, [*changes, final])
    assert one.copies == other.copies
    assert (one.values, one.decisions) == (other.values, other.decisions)
    assert one.references == other.references


def _told(at: int, received_at: int, phone: str) -> Observation:
    natural_id = NaturalId("calendar_live", "attendee", "att_1")
    statement = Statement("phone", {"phone": phone}, Stamp(-1, at, by_self=False))
    return Observation(
        "", "acme", Fact.STATE, "contact", natural_id, "calendar", received_at, at, (statement,)
    )


def _phone(history: Sequence[Observation]) -> Register:
    (copy,) = _copies(history).values()
    return copy.registers["phone"]


def test_a_time_in_the_future_counts_as_when_it_was_first_heard_of() -> None:
    register = _phone([_told(FUTURE, 10, "1")])
    assert register.changed_at == 10


def test_a_time_that_is_a_little_ahead_is_believed() -> None:
    register = _phone([_told(10 + MAX_AHEAD_MICROSECONDS, 10, "1")])
    assert register.changed_at == 10 + MAX_AHEAD_MICROSECONDS


def test_a_time_in_the_future_is_clamped_once_so_that_its_repeat_does_not_win() -> None:
    register = _phone([_told(FUTURE, 10, "old"), _told(20, 21, "new"), _told(FUTURE, 30, "old")])
    assert register.values == {"phone": "new"}


def test_a_time_that_has_come_since_still_counts_as_when_it_was_first_heard_of() -> None:
    told = [_told(FUTURE, 10, "old"), _told(20, 21, "new"), _told(FUTURE, FUTURE + 1, "old")]
    assert _phone(told).values == {"phone": "new"}


def test_a_copy_remembers_few_times_in_the_future() -> None:
    (copy,) = _copies([_told(FUTURE + n, 10 + n, str(n)) for n in range(40)]).values()
    assert len(copy.clamped) == MAX_CLAMPED
    assert copy.registers["phone"].values == {"phone": "39"}


Said = tuple[Values, Stamp]


def _by_definition(said: list[Said]) -> Register:
    """The register as the docs define it, computed from all statements at once."""
    values, newest = max(said, key=lambda s: (order_of(s[1]), canonical(s[0])))
    others = [stamp for v, stamp in said if v != values]
    last = max((order_of(stamp) for stamp in others), default=None)
    own = {stamp for v, stamp in said if v == values}
    if last is None:
        return Register(values, tuple(sorted(own)), None)
    tied = order_of(newest) == last
    run = {s for s in own if order_of(s) > last or (tied and order_of(s) == last)}
    return Register(values, tuple(sorted(run)), Stamp(*last, by_self=False))


@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([{"x": "a"}, {"x": "b"}, {"x": None}, {}]), stamps),
        min_size=1,
        max_size=14,
    )
)
def test_a_register_is_what_its_definition_says(said: list[Said]) -> None:
    register: Register | None = None
    for values, stamp in said:
        register = state(register, values, stamp)
    assert register == _by_definition(said)


def test_repeating_the_same_values_does_not_make_a_system_look_newer() -> None:
    register = state(None, {"phone": "1"}, Stamp(-1, 10, by_self=False))
    register = state(register, {"phone": "1"}, Stamp(-1, 90, by_self=False))
    assert (register.changed_at, register.modified_at) == (10, 90)


def test_an_echo_of_what_we_wrote_stays_ours() -> None:
    register = state(None, {"phone": "1"}, Stamp(-1, 10, by_self=True))
    register = state(register, {"phone": "1"}, Stamp(-1, 11, by_self=False))
    assert register.by_self


def test_a_long_run_of_repeats_keeps_its_first_and_newest_stamps() -> None:
    register = None
    for at in range(100):
        register = state(register, {"phone": "1"}, Stamp(-1, at, by_self=False))
    assert register is not None
    assert len(register.stamps) == 16
    assert (register.changed_at, register.modified_at) == (0, 99)
