"""Any order and any repetition of observations gives the same copies and the same truth."""

from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_processors.resolve.copies import apply
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.register import canonical, order_of, state
from calstream_schemas.entities import KINDS, Copy, Field, Kind, NaturalId, Register, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement

# few times, versions and values, so that ties and repeats are common
stamps = st.builds(
    Stamp,
    source_version=st.sampled_from([-1, -1, 0, 1, 2]),
    modified_at=st.integers(1, 6),
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
        received_at=1,
        occurred_at=1,
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
