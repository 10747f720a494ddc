"""Whether an attendance is paid: required, pending, then as its payment says. Pure."""

from collections.abc import Iterator, Sequence

from calstream_processors.resolve.automation.word import news
from calstream_processors.resolve.consequences import SYSTEM, Change
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, Values, entity_key, kind_of_key
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet


def payments(
    state: WorkspaceState, changes: Sequence[Change], _rules: RuleSet
) -> Iterator[Observation]:
    """Draws what follows for attendances from payments and bookings. A `Consequence`."""
    done: set[str] = set()
    for change in changes:
        for key in _attendances(state, change):
            attendance = None if key in done else state.get(key)
            done.add(key)
            if attendance is not None:
                yield from news(change.cause, attendance, {"payment": _wanted(state, attendance)})


def _attendances(state: WorkspaceState, change: Change) -> Iterator[str]:
    """The keys of the attendances whose payment a change may concern."""
    before, after = change.before, change.after
    if after.kind == "payment":
        for version in (before, after):
            id_ = version.references.get("attendance_ref") if version else None
            if id_ is not None:
                yield entity_key(after.workspace, "attendance", id_)
    elif after.kind == "attendance":
        if before is None or _concerns(before) != _concerns(after):
            yield after.key
    elif after.kind == "booking" and before is not None and _is_priced(before) != _is_priced(after):
        yield from _referring(state, "booking", after, "attendance")


def _concerns(attendance: Entity) -> tuple[object, ...]:
    return (attendance.references.get("booking_ref"), attendance.values.get("status"))


def _is_priced(booking: Entity) -> bool:
    return booking.values.get("paid") is True


def _wanted(state: WorkspaceState, attendance: Entity) -> Values | None:
    found = [
        payment
        for key in _referring(state, "attendance", attendance, "payment")
        if (payment := state.get(key)) is not None
        and payment.references.get("attendance_ref") == attendance.id
        and payment.values.get("status") is not None
    ]
    if found:
        newest = max(found, key=lambda payment: (_since(payment), payment.id))
        return {
            "payment_status": newest.values.get("status"),
            "payment_failure": newest.values.get("failure_code"),
        }
    if attendance.values.get("status") == "cancelled" or not _is_paid(state, attendance):
        return None
    return {"payment_status": "required", "payment_failure": None}


def _is_paid(state: WorkspaceState, attendance: Entity) -> bool:
    booking_id = attendance.references.get("booking_ref")
    if booking_id is None:
        return False
    booking = state.get(entity_key(attendance.workspace, "booking", booking_id))
    return booking is not None and _is_priced(booking)


def _since(payment: Entity) -> int:
    decision = payment.decisions["status"]
    return payment.copies[decision.id].registers["status"].changed_at


def _referring(state: WorkspaceState, kind: str, entity: Entity, by: str) -> Iterator[str]:
    """The keys of the entities of a kind that refer to an entity."""
    keys = {
        key
        for id_ in entity.copies
        if id_.system != SYSTEM
        for key in state.index.referrers(kind, id_)
        if kind_of_key(key) == by
    }
    yield from sorted(keys)
