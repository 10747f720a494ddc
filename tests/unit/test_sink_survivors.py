"""Which object of the vendor an entity has, also where the vendor made it."""

from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, entity_id
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.runner.survivors import ledger_of
from calstream_sinks.runner.view import LocalView


def _booking(*copies: Copy) -> Entity:
    id_ = entity_id("acme", "booking", NaturalId("calendar_live", "event", "cal_1"))
    by_id = {copy.id: copy for copy in copies}
    return Entity("acme", "booking", id_, 1, 1, Cause("o1", 1, 1), copies=by_id)


def _meeting(id_: str, *, gone: bool = False, system: str = "hubspot") -> Copy:
    return Copy(NaturalId(system, "booking", id_), "crm", gone_at=1 if gone else None)


def _view(booking: Entity, entry: LedgerEntry | None) -> LocalView:
    view = LocalView()
    if entry is not None:
        view.put_ledger(0, booking.key, entry)
    return view


def _known(booking: Entity, entry: LedgerEntry | None = None) -> str | None:
    found = ledger_of(booking, _view(booking, entry), "hubspot")
    return found.external_id if found else None


def test_what_the_vendor_made_is_the_entity_s_object() -> None:
    assert _known(_booking(_meeting("9"))) == "9"
    assert _known(_booking(_meeting("9"), _meeting("8"))) == "8"


def test_what_is_no_object_there_is_not() -> None:
    assert _known(_booking()) is None
    assert _known(_booking(_meeting("~announced"))) is None
    assert _known(_booking(_meeting("9", gone=True))) is None
    assert _known(_booking(_meeting("9", system="hubspot_eu"))) is None


def test_what_the_ledger_says_goes_before() -> None:
    booking = _booking(_meeting("9"))
    done = LedgerEntry(LedgerState.DONE, 1, "op", 1, external_id="7")
    assert _known(booking, done) == "7"
    intent = LedgerEntry(LedgerState.INTENT, 1, "op", 1)
    assert _known(booking, intent) is None
    learning = LedgerEntry(LedgerState.WAITING, 1, "op", 1, waiting_for=booking.key)
    assert _known(booking, learning) is None


def test_a_booking_that_waited_for_its_attendee_keeps_waiting_and_has_the_object() -> None:
    waiting = LedgerEntry(LedgerState.WAITING, 1, "op", 1, waiting_for="acme/contact/1")
    booking = _booking(_meeting("9"))
    found = ledger_of(booking, _view(booking, waiting), "hubspot")
    assert found is not None
    assert (found.external_id, found.waiting_for) == ("9", "acme/contact/1")
