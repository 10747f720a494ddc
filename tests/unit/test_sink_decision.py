"""What an entity needs at a vendor, decided from what we want, what it holds and the ledger."""

from dataclasses import replace

from calstream_schemas.entities import Cause, Entity
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.api import FieldValues, Held, Projection
from calstream_sinks.runner.decision import Nothing, Write, decide, operation_id

ENTITY = Entity("acme", "contact", "1", 4, 0, Cause("o", 1, 1))
NOTHING_HELD = Held()
WANTED = Projection({"name": "Jo", "phone": "1"})
DONE = LedgerEntry(
    LedgerState.DONE, 3, "op", 0, external_id="17", projection_hash="same", confirmed_at=1
)


def _decide(
    ledger: LedgerEntry | None,
    *,
    held: Held = NOTHING_HELD,
    written: FieldValues | None = None,
    hash_: str = "same",
) -> Write | Nothing:
    return decide(WANTED, hash_=hash_, operation="op", ledger=ledger, held=held, written=written)


def test_what_was_never_written_is_written_whole() -> None:
    assert _decide(None) == Write(WANTED.fields)


def test_what_was_written_as_it_is_needs_nothing() -> None:
    assert _decide(DONE) == Nothing()


def test_only_what_differs_from_the_last_write_is_written() -> None:
    written = {"name": "Jo", "phone": "0", "other": "x"}
    assert _decide(DONE, hash_="new", written=written) == Write({"phone": "1"})


def test_after_a_restart_everything_is_written_that_nobody_else_set_as_we_want_it() -> None:
    held = Held({"name": "Jo", "phone": "1"}, edited=frozenset({"name"}))
    assert _decide(DONE, hash_="new", held=held) == Write({"phone": "1"})


def test_an_edit_of_a_field_that_is_not_theirs_is_written_back() -> None:
    held = Held({"name": "Jo", "phone": "666"}, edited=frozenset({"phone"}))
    assert _decide(DONE, held=held) == Write({"phone": "1"})


def test_an_old_copy_of_what_we_wrote_ourselves_is_no_edit() -> None:
    assert _decide(DONE, held=Held({"name": "J", "phone": "0"})) == Nothing()


def test_an_intent_is_an_unknown_outcome_that_is_looked_at_when_it_has_settled() -> None:
    intent = replace(DONE, state=LedgerState.INTENT, due_at=77)
    assert _decide(intent) == Write(WANTED.fields, outcome_unknown=True, not_before=77)


def test_a_retry_keeps_its_time_even_for_a_newer_version() -> None:
    retry = replace(DONE, state=LedgerState.RETRY, due_at=77)
    assert _decide(retry, written={"name": "Jo"}) == Write({"phone": "1"}, not_before=77)


def test_what_waited_for_its_next_version_is_written_at_once_when_that_has_come() -> None:
    waiting = replace(DONE, state=LedgerState.WAITING, external_id=None, due_at=77)
    assert _decide(waiting) == Write(WANTED.fields)


def test_what_the_vendor_refused_waits_until_something_else_is_wanted() -> None:
    dead = replace(DONE, state=LedgerState.DEAD, operation_id="op")
    assert _decide(dead) == Nothing()
    assert isinstance(_decide(replace(dead, operation_id="another")), Write)


def test_what_died_with_something_else_lives_again_with_it() -> None:
    dead = replace(DONE, state=LedgerState.DEAD, waiting_for="acme/contact/2")
    assert isinstance(_decide(dead), Write)


def test_the_operation_is_named_by_what_it_makes() -> None:
    assert operation_id("hubspot", ENTITY, "h") == operation_id(
        "hubspot", replace(ENTITY, version=9), "h"
    )
    assert operation_id("hubspot", ENTITY, "h") != operation_id("hubspot", ENTITY, "i")
