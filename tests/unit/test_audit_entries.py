"""What the resolver tells in the audit: every version and every decision, and nothing personal."""

import re
from pathlib import Path

import pytest
from tests.unit.resolver_scene import ResolverRun, a_busy_log, encoded, keys_in

from calstream_ops.inspection.audit_chain import ChainVerifier
from calstream_ops.inspection.audit_words import describe_entry
from calstream_processors.resolve.audit import DOUBLE_BOOKING
from calstream_schemas import refolds
from calstream_schemas.audit import AuditEntry, Link, decode_audit_entry
from calstream_schemas.codec import Poison
from calstream_schemas.entities import entity_key
from calstream_schemas.observations import DECISIONS, Fact, Observation
from calstream_schemas.topics import CONFLICTS, ENTITIES


@pytest.fixture(scope="module")
def observed() -> list[Observation]:
    return a_busy_log(["acme", "zeta"], bookings=16, seed=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, observed: list[Observation]) -> ResolverRun:
    keys = keys_in(tmp_path_factory.mktemp("audit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refolds, "SLICE_ENTITIES", 20)
        return ResolverRun(keys, encoded(keys, observed)).run()


@pytest.fixture(scope="module")
def entries(run: ResolverRun) -> list[AuditEntry]:
    found = [decode_audit_entry(raw) for raw in run.audit()]
    return [each for each in found if isinstance(each, AuditEntry)]


def test_every_version_of_the_truth_is_told_once_with_its_content_hash(
    run: ResolverRun, entries: list[AuditEntry]
) -> None:
    changes = [change for entry in entries for change in entry.changes]
    told = [(each.key, each.version, each.after.hex()) for each in changes if each.after]
    versions = []
    for key, value, headers in run.written[ENTITIES.name]:
        if value is not None:
            its = dict(headers or ())
            text = its["content_hash"].decode()
            versions.append(((key or b"").decode(), int(its["version"]), text))
    assert told == versions
    assert len(told) == len(set(told))


def test_what_is_forgotten_is_told(run: ResolverRun, entries: list[AuditEntry]) -> None:
    changes = [change for entry in entries for change in entry.changes]
    told = [each.key.encode() for each in changes if each.after is None]
    assert told == [key for key, value, _ in run.written[ENTITIES.name] if value is None]
    assert told


def test_what_an_entity_was_before_is_what_the_last_change_left(entries: list[AuditEntry]) -> None:
    newest: dict[str, tuple[int, bytes]] = {}
    for change in (change for entry in entries for change in entry.changes):
        version, content = newest.get(change.key, (0, None))
        if change.after is None:
            assert (change.version, change.before) == newest.pop(change.key)
            continue
        assert (change.version, change.before) == (version + 1, content)
        newest[change.key] = (change.version, change.after)


def test_a_group_is_told_with_whose_copy_and_which_rule(
    run: ResolverRun, entries: list[AuditEntry]
) -> None:
    decided: dict[tuple[str, str], tuple[str | None, str]] = {}
    for change in (change for entry in entries for change in entry.changes):
        for group in change.groups:
            decided[change.key, group.group] = (group.decided_for, group.rule)
    expected = {
        (entity.key, group): (str(decision.id), decision.rule)
        for entity in run.entities().values()
        for group, decision in entity.decisions.items()
    }
    known = run.entities()
    assert {
        each: its for each, its in decided.items() if its[0] is not None and each[0] in known
    } == expected


def test_every_decision_is_told_with_who_decided(
    run: ResolverRun, entries: list[AuditEntry], observed: list[Observation]
) -> None:
    told = {
        (entry.event, entry.about, entry.other, entry.decided_by)
        for entry in entries
        if entry.event in DECISIONS
    }
    refused = {observed[offset].id for offset in run.rejected if offset and offset < len(observed)}
    expected = {
        (
            each.fact,
            entity_key(each.workspace, "contact", each.about or ""),
            each.other and entity_key(each.workspace, "contact", each.other),
            each.decided_by,
        )
        for each in observed
        if each.fact in DECISIONS and each.id not in refused
    }
    assert told == expected
    assert {event for event, *_ in told} == DECISIONS


def test_other_rules_are_told_with_their_id(
    entries: list[AuditEntry], observed: list[Observation]
) -> None:
    told = {(e.workspace, e.rule_set) for e in entries if e.event in {Fact.RULES, Fact.REFOLD}}
    assert {(each.workspace, each.rule_set.id) for each in observed if each.rule_set} <= told


def test_conflicts_are_told_as_they_are_written(
    run: ResolverRun, entries: list[AuditEntry]
) -> None:
    told = [f"{each.key}/{each.group}" for entry in entries for each in entry.conflicts]
    written = [(key or b"").decode() for key, value, _ in run.written[CONFLICTS.name] if value]
    of_two = [key for key in written if "/double-booking/" in key]
    assert [each for each in told if not each.endswith(DOUBLE_BOOKING)] == [
        key for key in written if key not in of_two
    ]
    assert len([each for each in told if each.endswith(DOUBLE_BOOKING)]) == 2 * len(of_two)
    assert {each.state for entry in entries for each in entry.conflicts} > {"open"}


def test_nothing_personal_is_in_an_entry(run: ResolverRun) -> None:
    audit = b"".join(run.audit())
    for text in (b"example.com", b"Person", b"Dana", b"dana@", b"Company 1", b"Trial"):
        assert not re.search(re.escape(text), audit, re.IGNORECASE), text


def test_the_chain_goes_on_over_restarts_to_where_the_state_says(run: ResolverRun) -> None:
    verifier = ChainVerifier(0)
    for offset, raw in enumerate(run.audit()):
        verifier.add(offset, raw)
    heads = {"resolve": run.head()}
    assert verifier.heads == heads
    assert verifier.faults(heads, heads, 0) == []


def test_what_changes_nothing_is_not_told(run: ResolverRun, observed: list[Observation]) -> None:
    lately = [each for each in observed if each.fact not in {Fact.TICK, Fact.GONE}]
    once = ResolverRun(run.keys, encoded(run.keys, lately)).run()
    told = once.audit()
    once.log += [raw for at, raw in enumerate(once.log[:50]) if at not in once.rejected]
    assert once.run().audit() == told


def test_the_history_of_an_entity_is_told_in_words(
    run: ResolverRun, entries: list[AuditEntry]
) -> None:
    merged = next(each for each in run.entities().values() if each.merge)
    told = [
        each
        for entry in entries
        if merged.key in entry.keys
        for each in describe_entry(entry, merged.key)
    ]
    assert [each["version"] for each in told if each["version"]] == list(
        range(1, merged.version + 1)
    )
    sentences = [each["told"] for each in told]
    assert sentences[0].startswith("calendar_live/attendee/")
    assert "first heard of; email changed, as calendar_live/attendee/" in sentences[0]
    other = f"{merged.workspace}/contact/"
    assert any(each.startswith(f"ops-7 decided that {merged.key} is {other}") for each in sentences)


def test_what_is_no_entry_is_poison_and_a_link_reads_back() -> None:
    assert isinstance(decode_audit_entry(b"nothing of ours"), Poison)
    link = Link(7, bytes(range(32)), 9)
    assert Link.decode(link.encode()) == link


def test_a_chain_begins_anew_only_where_there_is_none(run: ResolverRun, tmp_path: Path) -> None:
    fresh = ResolverRun(keys_in(tmp_path), [])
    assert fresh.audit() == []
    first = decode_audit_entry(run.audit()[0])
    assert isinstance(first, AuditEntry)
    assert (first.link.sequence, first.previous) == (1, bytes(32))
