"""Verifying an audit chain finds whatever was done to it, and says where."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_ops.inspection.audit_chain import ChainVerifier, Fault, FaultKind
from calstream_processors.resolve.audit import AuditChain
from calstream_schemas import codec
from calstream_schemas.audit import START, Link, hash_of
from calstream_schemas.codec import Decoded
from calstream_schemas.resolver_state import CHECKPOINT_EVERY

COUNT = 12
Log = list[tuple[int, bytes]]


def _body(number: int) -> dict[str, object]:
    return {
        "workspace": "acme",
        "event": "state",
        "observation_id": f"o{number}",
        "source": "calendar_live/attendee/att_1",
        "received_at": number,
        "occurred_at": number,
        "kind": "contact",
        "about": None,
        "other": None,
        "decided_by": None,
        "rule_set": None,
        "objects": [],
        "changes": [],
        "conflicts": [],
    }


def _log(count: int = COUNT, partition: int = 0) -> Log:
    chain = AuditChain(partition)
    # transactions' markers take offsets too
    return [(number * 2, chain.append(_body(number))) for number in range(count)]


def _head(log: Log) -> Link:
    return Link(len(log), hash_of(log[-1][1]), len(log) - 1)


def _changed(raw: bytes, **fields: object) -> bytes:
    decoded = codec.decode(raw)
    assert isinstance(decoded, Decoded)
    return codec.encode("AuditEntry", {**decoded.body, **fields})


def _faults(
    log: Log, head: Link | None, begin: int = 0, witnesses: dict[int, Link] | None = None
) -> list[Fault]:
    verifier = ChainVerifier(0, begin, {"resolve": witnesses or {}})
    for offset, raw in log:
        verifier.add(offset, raw)
    heads = {} if head is None else {"resolve": head}
    return verifier.faults(heads, heads, 0)


def _kinds(faults: Sequence[Fault]) -> set[FaultKind]:
    return {each.kind for each in faults}


def test_a_chain_as_it_was_written_has_no_fault() -> None:
    log = _log()
    assert _faults(log, _head(log)) == []


@given(st.integers(0, COUNT - 2))
def test_an_entry_that_was_removed_is_missing(place: int) -> None:
    log = _log()
    head = _head(log)
    del log[place]
    assert _faults(log, head) == [
        Fault(FaultKind.REMOVED, 0, log[place][0], place + 1, place + 1, "resolve")
    ]


@given(st.integers(0, COUNT - 1), st.sampled_from(["event", "decided_by", "observation_id"]))
def test_an_entry_that_was_changed_is_named(place: int, field: str) -> None:
    log = _log()
    head = _head(log)
    offset, raw = log[place]
    log[place] = offset, _changed(raw, **{field: "another"})
    assert _faults(log, head) == [
        Fault(FaultKind.CHANGED, 0, offset, place + 1, place + 1, "resolve")
    ]


@given(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1))
def test_an_entry_that_was_put_elsewhere_is_out_of_order(one: int, other: int) -> None:
    log = _log()
    head = _head(log)
    raws = [raw for _, raw in log]
    raws.insert(other, raws.pop(one))
    moved = [(offset, raw) for (offset, _), raw in zip(log, raws, strict=True)]
    faults = _faults(moved, head)
    if one == other:
        assert faults == []
    else:
        assert _kinds(faults) & {FaultKind.REORDERED, FaultKind.TRUNCATED}
        assert all(fault.offset <= log[max(one, other)][0] for fault in faults)


@given(st.integers(1, COUNT - 1))
def test_entries_that_were_cut_off_at_the_end_are_missing(cut: int) -> None:
    log = _log()
    head = _head(log)
    left = log[:-cut]
    assert _faults(left, head) == [
        Fault(FaultKind.TRUNCATED, 0, left[-1][0], COUNT - cut + 1, COUNT, "resolve")
    ]


@given(st.integers(1, COUNT - 1))
def test_what_retention_dropped_at_the_beginning_is_no_fault(dropped: int) -> None:
    log = _log()
    assert _faults(log[dropped:], _head(log), begin=log[dropped][0]) == []


def test_what_is_missing_at_the_beginning_without_retention_is_a_fault() -> None:
    log = _log()
    (fault,) = _faults(log[3:], _head(log))
    assert (fault.kind, fault.first, fault.last) == (FaultKind.REMOVED, 1, 3)


@pytest.mark.parametrize(("begin", "dropped_before", "faulty"), [(9, 99, False), (9, 0, True)])
def test_an_empty_partition_is_no_fault_once_its_newest_entry_is_old_enough(
    begin: int, dropped_before: int, *, faulty: bool
) -> None:
    heads = {"resolve": _head(_log())}
    faults = ChainVerifier(0, begin).faults(heads, heads, dropped_before)
    assert bool(faults) is faulty


def test_a_topic_that_was_made_anew_is_a_fault() -> None:
    (fault,) = _faults([], _head(_log()))
    assert (fault.kind, fault.first, fault.last) == (FaultKind.TRUNCATED, 1, COUNT)


def test_an_entry_that_is_there_twice_is_a_fault() -> None:
    log = _log()
    again = [*log, (99, log[4][1])]
    assert _kinds(_faults(again, _head(log))) == {FaultKind.REORDERED}


def test_an_entry_that_its_writer_does_not_know_of_is_a_fault() -> None:
    log = _log()
    assert _kinds(_faults(log, _head(log[:-1]))) == {FaultKind.ADDED}
    assert _kinds(_faults(log, None)) == {FaultKind.ADDED}


def test_a_number_that_was_changed_shows_where_it_is_and_nowhere_else() -> None:
    log = _log()
    head = _head(log)
    log[5] = log[5][0], _changed(log[5][1], sequence=9)
    assert {(each.kind, each.offset) for each in _faults(log, head)} == {(FaultKind.CHANGED, 10)}


def test_an_entry_of_another_partition_is_a_fault() -> None:
    log = _log()
    foreign = (99, _log(1, partition=4)[0][1])
    assert _kinds(_faults([*log, foreign], _head(log))) == {FaultKind.MISPLACED}


def test_what_is_no_entry_is_a_fault_with_its_offset() -> None:
    log = _log()
    head = _head(log)
    log.insert(3, (5, b"no entry"))
    (fault,) = _faults(log, head)
    assert (fault.kind, fault.offset) == (FaultKind.UNREADABLE, 5)


def _rewritten(log: Log, place: int) -> Log:
    """All of the chain from a place on, written anew by somebody who knows how it is made."""
    chain = AuditChain(0, Link(place, hash_of(log[place - 1][1])) if place else START)
    forged = [(offset, chain.append(_body(99))) for offset, _ in log[place:]]
    return [*log[:place], *forged]


@settings(max_examples=20)
@given(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1))
def test_a_chain_that_was_rewritten_shows_against_what_was_noted_elsewhere(
    place: int, noted: int
) -> None:
    log = _log()
    forged = _rewritten(log, place)
    witness = {noted + 1: Link(noted + 1, hash_of(log[noted][1]))}
    faults = _faults(forged, _head(forged), witnesses=witness)
    if noted < place:
        assert faults == []
    else:
        assert [(each.kind, each.first) for each in faults] == [(FaultKind.CHANGED, noted + 1)]


def test_a_head_that_differs_is_a_fault_of_the_newest_entry() -> None:
    log = _log()
    head = replace(_head(log), hash=bytes(32))
    (fault,) = _faults(log, head)
    assert (fault.kind, fault.first) == (FaultKind.CHANGED, COUNT)
    assert "entry 12 was changed" in str(fault)


def test_the_chain_keeps_its_head_and_a_checkpoint_now_and_then() -> None:
    chain = AuditChain(0)
    kept: dict[bytes, bytes] = {}
    put: Callable[[bytes, bytes], None] = kept.__setitem__
    chain.keep(put)
    assert kept == {}
    for number in range(CHECKPOINT_EVERY * 2 + 10):
        chain.append(_body(number))
        if number % 100 == 0:
            chain.keep(put)
    chain.keep(put)
    links = sorted(Link.decode(raw).sequence for raw in kept.values())
    assert links == [1101, 2058, 2058]
