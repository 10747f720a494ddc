"""Double bookings in the audit: each that opened, changed or was cleared, in small entries."""

from pathlib import Path

from tests.unit.overlap_scene import HOUR, NINE, booked, cancelled, event, heard

from calstream_core.sealing import KeyStore
from calstream_ops.inspection.audit_words import describe_entry
from calstream_processors.resolve.audit import AuditChain, Told, entries_of
from calstream_schemas.audit import AuditEntry, decode_audit_entry
from calstream_schemas.double_bookings import DoubleBooking
from calstream_schemas.observations import Observation


def _entries(
    directory: Path, observation: Observation, found: list[DoubleBooking]
) -> list[AuditEntry]:
    chain, sealer = AuditChain(0), KeyStore(directory).sealer("acme")
    told = Told(double_bookings=found)
    raws = [chain.append(body) for body in entries_of(observation, told, sealer)]
    entries = [decode_audit_entry(raw) for raw in raws]
    assert all(isinstance(each, AuditEntry) for each in entries)
    return [each for each in entries if isinstance(each, AuditEntry)]


def test_a_double_booking_is_told_when_it_opens_and_when_it_is_cleared(tmp_path: Path) -> None:
    scene = heard([booked(event("1"), NINE, 30)])
    for observation, state in (
        (booked(event("2"), NINE, 30), "open"),
        (cancelled(event("1"), 1), "cleared"),
    ):
        (found,) = scene.hear(observation)
        (entry,) = _entries(tmp_path, observation, [found])
        assert [(told.state, told.rule) for told in entry.conflicts] == [(state, "alert")] * 2
        bookings = [side.key.id for side in found.sides]
        assert [told.key.rpartition("/")[2] for told in entry.conflicts] == bookings
        for told in entry.conflicts:  # it is in the history of both
            (line,) = describe_entry(entry, told.key)
            assert "double booking" in line["told"]
            assert state in line["told"]


def test_a_booking_over_very_many_is_told_in_several_entries(tmp_path: Path) -> None:
    scene = heard([booked(event(f"m{n}"), NINE + n * HOUR, 30) for n in range(450)])
    block = booked(event("block"), NINE, 450 * 60)
    entries = _entries(tmp_path, block, scene.hear(block))
    assert [len(each.conflicts) for each in entries] == [200, 200, 200, 200, 100]
    assert len({told.key for each in entries for told in each.conflicts}) == 451
