"""calendar.live's holds: bookings that are not confirmed yet.

A hold that is confirmed becomes an event, and the two are one booking. Which of the two we hear of
first makes no difference: each names the other.
"""

from functools import partial

import orjson

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_processors.normalise.calendar_live_reading import (
    Read,
    Reading,
    event_of,
    hold_of,
)
from calstream_processors.normalise.instant import parse_instant, wall_clock
from calstream_schemas.entities import Stamp, Values
from calstream_schemas.observations import NO_VERSION, Fact

_REASONS = frozenset({"expired", "abandoned", "confirmed"})


def read_hold(reading: Reading, hold: Body) -> None:
    """`hold.created` and `hold.released`.

    Raises:
        RecordError: nothing of it can be used.
    """
    hold_id = hold.required_text("id")
    stamp = Stamp(NO_VERSION, reading.instant(hold, "last_modified"), by_self=False)
    reason = hold.text("released_reason")
    if reason is not None and reason not in _REASONS:
        raise RecordError(
            Code.BODY_INVALID, "not a known value", field=hold.place("released_reason")
        )
    event_id = hold.text("event_id")
    event = event_of(event_id) if event_id else None
    groups: dict[str, Read] = {"hold": partial(_hold, hold, hold_id)}
    if reason != "confirmed":
        # of a hold that was confirmed the event speaks from now on
        groups |= {
            "schedule": partial(schedule, hold),
            "host": partial(_host, hold),
            "status": lambda: {
                "status": "cancelled" if reason else "held",
                "cancellation": orjson.dumps({"reason": reason}).decode() if reason else None,
            },
        }
    reading.observe(
        hold,
        "booking",
        hold_of(hold_id),
        stamp,
        groups,
        fact=Fact.STATE if reason is None else Fact.GONE,
        same_as=event,
    )
    if event:  # so that what is heard of the event later finds this booking
        reading.observe(hold, "booking", event, stamp, {}, same_as=hold_of(hold_id))


def schedule(body: Body) -> Values:
    """The time of an event or a hold, with the wall clock of its zone.

    Raises:
        RecordError: a time can't be read, or it ends before it starts.
    """
    start = parse_instant(body.required_text("start"), body.place("start"))
    end = parse_instant(body.required_text("end"), body.place("end"))
    if end < start:
        raise RecordError(Code.TIME_INVALID, "ends before it starts", field=body.place("end"))
    zone = body.text("timezone")
    return {
        "start_at": start,
        "end_at": end,
        "timezone": zone,
        "wall_start": wall_clock(start, zone) if zone else None,
    }


def _hold(hold: Body, hold_id: str) -> Values:
    expires_at = parse_instant(hold.required_text("expires_at"), hold.place("expires_at"))
    return {"hold_id": hold_id, "hold_expires_at": expires_at}


def _host(hold: Body) -> Values:
    host = hold.child("host")
    return {"host_id": None if host is None else host.text("id")}
