"""The verdict sees what is wrong: it is given what a broken engine would have left."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from calstream_engine.records import Place
from calstream_ops.chaos.reference import (
    TRANSACTIONAL,
    Effect,
    Expected,
    Kind,
    SourceRecord,
    expected_of,
)
from calstream_ops.chaos.verdict import Verdict

PARTITION = 3
PLACE = Place("totals", PARTITION)
SOURCE = [
    SourceRecord(
        offset, b"key-%d" % (offset % 3), b"?" if offset % 5 == 4 else b"%d" % (offset + 1)
    )
    for offset in range(50)
]
EXPECTED = expected_of(SOURCE)

Corrupt = Callable[[list[Effect]], list[Effect]]


def verdict_on(kind: Kind, corrupt: Corrupt) -> Verdict:
    verdict = Verdict()
    verdict.effects(kind, PARTITION, EXPECTED.effects[kind], corrupt([*EXPECTED.effects[kind]]))
    return verdict


@pytest.mark.parametrize("kind", Kind)
def test_what_is_as_expected_is_well(kind: Kind) -> None:
    verdict = verdict_on(kind, lambda found: found)
    assert verdict.ok
    assert (verdict.lost, verdict.duplicated, verdict.repeats) == (set(), 0, 0)


def test_a_verdict_on_nothing_at_all_finds_everything_lost() -> None:
    verdict = verdict_on(Kind.FORWARDED, lambda _: [])
    assert len(verdict.lost) == len(SOURCE)
    assert not verdict.ok


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_lost_record_is_found_with_its_place(kind: Kind, number: int) -> None:
    lost = EXPECTED.effects[kind][number]
    verdict = verdict_on(kind, lambda found: [each for each in found if each != lost])
    assert not verdict.ok
    assert verdict.lost == {(PARTITION, lost.offset)}
    assert not verdict.equal[kind]
    assert f"{kind}[{PARTITION}]" in verdict.findings[0]
    assert f"offset {lost.offset}," in verdict.findings[0]
    assert repr(lost.key) in verdict.findings[0]


@pytest.mark.parametrize("kind", TRANSACTIONAL)
def test_a_transactional_effect_may_not_come_twice(kind: Kind) -> None:
    verdict = verdict_on(kind, lambda found: [*found[:4], *found[3:]])
    assert not verdict.ok
    assert verdict.duplicated == 1
    assert not verdict.lost
    assert f"offset {EXPECTED.effects[kind][3].offset}" in verdict.findings[0]


@pytest.mark.parametrize("kind", TRANSACTIONAL)
def test_transactional_effects_may_not_change_places(kind: Kind) -> None:
    verdict = verdict_on(kind, lambda found: [found[1], found[0], *found[2:]])
    assert not verdict.ok
    assert (verdict.lost, verdict.duplicated) == (set(), 0)
    assert "number 0 is" in verdict.findings[0]


@pytest.mark.parametrize("kind", Kind)
def test_an_effect_with_another_value_is_found(kind: Kind) -> None:
    verdict = verdict_on(kind, lambda found: [found[0]._replace(value=b"wrong"), *found[1:]])
    assert not verdict.ok
    assert "wrong" in "".join(verdict.findings)


@pytest.mark.parametrize("kind", Kind)
def test_an_effect_of_no_record_is_found(kind: Kind) -> None:
    verdict = verdict_on(kind, lambda found: [*found, Effect(-1, b"key-1", b"1")])
    assert not verdict.ok
    assert verdict.findings


def test_plain_mode_may_repeat_what_is_the_same() -> None:
    verdict = verdict_on(Kind.FORWARDED, lambda found: [*found[:9], *found[4:]])
    assert verdict.ok
    assert verdict.repeats == 5


def test_plain_mode_may_send_behind_what_it_could_not_send_before() -> None:
    verdict = verdict_on(Kind.FORWARDED, lambda found: [*found[10:20], *found[:10], *found[11:]])
    assert verdict.ok
    assert verdict.repeats == 9
    # three keys take turns, so each of the ten comes behind a later one of its key
    assert verdict.reordered == 10


def test_plain_mode_may_not_repeat_an_id_with_another_value() -> None:
    verdict = verdict_on(
        Kind.FORWARDED, lambda found: [*found, found[7]._replace(value=b"something else")]
    )
    assert not verdict.ok
    assert f"offset {EXPECTED.effects[Kind.FORWARDED][7].offset}" in verdict.findings[0]


def test_a_version_that_is_lost_and_one_that_comes_twice_are_two_faults() -> None:
    verdict = verdict_on(Kind.VERSIONS, lambda found: [*found[:2], *found[3:], found[-1]])
    assert len(verdict.lost) == 1
    assert verdict.duplicated == 1


def test_the_state_is_compared_key_by_key() -> None:
    verdict = Verdict()
    verdict.state("state", PLACE, EXPECTED.state, dict(EXPECTED.state))
    assert verdict.ok
    corrupted: list[dict[bytes, bytes]] = [
        {**EXPECTED.state, b"key-1": b"1 wrong"},
        {**EXPECTED.state, b"stale": b"1 left-behind"},
        {key: value for key, value in EXPECTED.state.items() if key != b"key-2"},
        {},
    ]
    for found in corrupted:
        verdict = Verdict()
        verdict.state("state", PLACE, EXPECTED.state, found)
        assert not verdict.ok
        assert not verdict.equal["state"]
        assert all(f"totals[{PARTITION}]" in line for line in verdict.findings)


def test_one_partition_that_differs_is_enough() -> None:
    verdict = Verdict()
    verdict.state("state", PLACE, EXPECTED.state, {})
    verdict.state("state", PLACE, EXPECTED.state, EXPECTED.state)
    assert not verdict.equal["state"]


@pytest.mark.parametrize("found", [None, 0, EXPECTED.position - 1, EXPECTED.position + 1])
def test_a_position_elsewhere_is_found(found: int | None) -> None:
    verdict = Verdict()
    verdict.position(PARTITION, EXPECTED, found)
    assert not verdict.ok
    assert str(EXPECTED.position) in verdict.findings[0]


def test_an_empty_partition_has_no_position() -> None:
    verdict = Verdict()
    verdict.position(PARTITION, Expected(), None)
    assert verdict.ok


def test_a_source_that_is_not_what_was_written_proves_nothing() -> None:
    written = [record.value for record in SOURCE if record.value != b"?"]
    verdict = Verdict()
    verdict.source(written, reversed(written))
    assert verdict.ok
    for found in (written[1:], [*written, written[0]], [*written, b"strange"]):
        verdict = Verdict()
        verdict.source(written, found)
        assert not verdict.ok
        assert verdict.findings


def test_of_many_findings_the_first_are_told_and_the_rest_counted() -> None:
    verdict = verdict_on(Kind.FORWARDED, lambda _: [])
    assert len(verdict.findings) < len(SOURCE)
    assert f"{len(SOURCE) - 5} more" in verdict.findings[-1]


def test_findings_are_in_the_order_of_the_log() -> None:
    verdict = verdict_on(Kind.FORWARDED, lambda _: [])
    told = [int(line.split("offset ")[1].split(",")[0]) for line in verdict.findings[:5]]
    assert all(one < other for one, other in pairwise(told))
