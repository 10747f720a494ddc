"""A register: what one system says of one group, whatever the order in which we hear of it.

The register is a function of the *set* of statements, so that any order and any repetition gives
the same. For the values that stand it keeps when they were said since other values were, so that a
system which merely repeats itself does not look newer than it is. See
`processors/decisions/0001-registers-keep-their-run.md`.
"""

from collections.abc import Iterable

from calstream_schemas.entities import Register, Stamp, Value, Values

MAX_STAMPS = 16
"""Repeats that are remembered; in longer runs the oldest and the newest ones stay."""

Order = tuple[int, int]


def order_of(stamp: Stamp) -> Order:
    """A system's own order of its statements: its versions, then its times."""
    return (stamp.source_version, stamp.modified_at)


def canonical(values: Values) -> tuple[tuple[str, str], ...]:
    """Values in a form that can be compared, to settle ties the same way everywhere."""
    return tuple((name, _text(values[name])) for name in sorted(values))


def _text(value: Value) -> str:
    return f"{type(value).__name__}:{value!r}"


def state(register: Register | None, values: Values, stamp: Stamp) -> Register:
    """The register after one more statement. Pure; returns the same object if nothing changed."""
    if register is None:
        return Register(values, (stamp,))
    newest = register.stamps[-1]
    if values == register.values:
        if stamp in register.stamps:
            return register
        return _with(register, {*register.stamps, stamp}, register.differed)
    if (order_of(stamp), canonical(values)) > (order_of(newest), canonical(register.values)):
        return Register(values, (stamp,), _plain(newest))
    differed = _plain(stamp)
    if register.differed is not None and order_of(register.differed) > order_of(differed):
        differed = register.differed
    return _with(register, register.stamps, differed)


def join(one: Register | None, other: Register | None) -> Register:
    """The newer of two registers of the same group of the same object; one may be missing."""
    present = [register for register in (one, other) if register is not None]
    return max(present, key=lambda r: (order_of(r.stamps[-1]), canonical(r.values), r.stamps))


def _plain(stamp: Stamp) -> Stamp:
    # who said the values that no longer stand is of no interest; dropping it keeps order out of it
    return stamp._replace(by_self=False)


def _with(register: Register, stamps: Iterable[Stamp], differed: Stamp | None) -> Register:
    """The register with only those stamps that belong to the run after `differed`."""
    run = sorted(stamps)
    if differed is not None:
        last = order_of(differed)
        if order_of(run[-1]) == last:  # a tie that these values won: the run starts here
            run = [stamp for stamp in run if order_of(stamp) == last]
        else:
            run = [stamp for stamp in run if order_of(stamp) > last]
    if len(run) > MAX_STAMPS:
        run = [run[0], *run[-(MAX_STAMPS - 1) :]]
    if tuple(run) == register.stamps and differed == register.differed:
        return register
    return Register(register.values, tuple(run), differed)
