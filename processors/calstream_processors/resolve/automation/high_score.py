"""The message that somebody is worth a call at once. Pure."""

from collections.abc import Iterator

import orjson

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_processors.resolve.automation.word import statement
from calstream_processors.resolve.consequences import SYSTEM, said_by_rules
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, NaturalId, Values, entity_id, entity_key
from calstream_schemas.lead_rules import ScoringRule
from calstream_schemas.observations import Observation

KIND = "message"
USEFUL_MICROSECONDS = 24 * 60 * 60 * MICROSECONDS_PER_SECOND
"""How long the message is of use where the time of the meeting is not known."""


def high_score(
    state: WorkspaceState,
    attendance: Entity,
    held: list[ScoringRule],
    *,
    has_owner: bool,
    cause: Observation,
) -> Iterator[Observation]:
    """The message that a form has lifted a person over the threshold; once for each attendance.

    Args:
        state: of the workspace.
        attendance: whose form it was.
        held: the rows of the scoring table that hold by now.
        has_owner: whether the person is somebody's, who then gets the message.
        cause: what it follows from.
    """
    natural_id = NaturalId(SYSTEM, KIND, f"high_score/{attendance.id}")
    id_ = entity_id(attendance.workspace, KIND, natural_id)
    if state.get(entity_key(attendance.workspace, KIND, id_)) is not None:
        return
    content = {
        "score": sum(row.points for row in held),
        "because": [{"field": row.field, "points": row.points} for row in held],
    }
    groups: dict[str, Values] = {
        "purpose": {"message_kind": "high_score", "audience": "owner" if has_owner else "ops"},
        "recipient": {"contact_ref": attendance.values.get("contact_ref"), "recipient": None},
        "booking": {"booking_ref": attendance.values.get("booking_ref")},
        "content": {"content": orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()},
        "deadline": {"not_after": _deadline(state, attendance, cause)},
        "status": {"status": "due"},
    }
    statements = [statement(group, values, cause) for group, values in groups.items()]
    yield said_by_rules(cause, KIND, natural_id, statements)


def _deadline(state: WorkspaceState, attendance: Entity, cause: Observation) -> int:
    booking_id = attendance.references.get("booking_ref")
    booking = (
        state.get(entity_key(attendance.workspace, "booking", booking_id)) if booking_id else None
    )
    start = booking.values.get("start_at") if booking else None
    return start if isinstance(start, int) else cause.received_at + USEFUL_MICROSECONDS
