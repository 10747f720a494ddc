"""calendar.live's recurring events: each occurrence tells of the series that it belongs to."""

from functools import partial

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_processors.normalise.calendar_live_reading import SYSTEM, Reading
from calstream_processors.time.recurrence import parse_rule
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import NO_VERSION


def read_series(reading: Reading, event: Body) -> None:
    """The series of an event, if it has one."""
    if not isinstance(event.fields.get("recurrence"), dict):
        return
    body = event.child("recurrence")
    series_id = body and body.attempt(lambda: body.text("series_id"))
    if body is None or not series_id:
        return
    # each occurrence counts its own versions; what they have in common is the webhook's time
    stamp = Stamp(NO_VERSION, reading.created_at, by_self=False)
    groups = {"recurrence": partial(_rule, body, event)}
    reading.observe(body, "series", _series_of(series_id), stamp, groups)


def recurrence(event: Body) -> Values:
    """Which occurrence of which series an event is.

    Raises:
        RecordError: it can't be read.
    """
    body = event.child("recurrence")
    series_id = body and body.text("series_id")
    return {
        "series_ref": str(_series_of(series_id)) if series_id else None,
        "recurrence_id": body.text("recurrence_id") if body else None,
    }


def _series_of(series_id: str) -> NaturalId:
    return NaturalId(SYSTEM, "series", series_id)


def _rule(body: Body, event: Body) -> Values:
    exdates = body.fields.get("exdates") or []
    if not isinstance(exdates, list) or not all(isinstance(d, str) for d in exdates):
        raise RecordError(Code.BODY_INVALID, "not a list of texts", field=body.place("exdates"))
    rrule = body.text("rrule")
    if rrule:
        parse_rule(rrule)  # one that can not be expanded is refused where it is said
    return {
        "rrule": rrule,
        "exdates": tuple(sorted(exdates)),
        "timezone": event.text("timezone"),
    }
