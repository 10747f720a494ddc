"""One host with years of bookings, and what happens to them: seeded, the same in every run."""

import random
from collections.abc import Iterator

from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement, observation_id

WORKSPACE = "bench"
HOST = "usr_1"
MINUTE = 60_000_000
_DAY = 24 * 60 * MINUTE
_FIRST_DAY = 1_795_737_600_000_000  # 2026-11-27T00:00:00Z
_SAID_AT = 1_795_166_102_000_000
_MEETINGS_A_DAY = 16
_NIGHTS, _WEEKS = 400, 3


def days(bookings: int) -> int:
    """Over how many days so many meetings are spread."""
    return bookings // _MEETINGS_A_DAY


def calendar(bookings: int) -> Iterator[Observation]:
    """So many future bookings of one host.

    Half-hour meetings with ten minutes between them, sixteen a day; among them blocks of a night,
    which lie over nothing, and of a week, which lie over a hundred meetings each.
    """
    meetings = bookings - _NIGHTS - _WEEKS
    for number in range(meetings):
        yield booked(f"m{number}", _meeting(number), 30)
    for number in range(_NIGHTS):
        day = number * days(meetings) // _NIGHTS
        yield booked(f"n{number}", _FIRST_DAY + day * _DAY + 20 * 60 * MINUTE, 11 * 60)
    for number in range(_WEEKS):
        yield booked(f"w{number}", _FIRST_DAY + number * 100 * _DAY, 7 * 24 * 60)


def _meeting(number: int) -> int:
    day, place = divmod(number, _MEETINGS_A_DAY)
    return _FIRST_DAY + day * _DAY + 8 * 60 * MINUTE + place * 40 * MINUTE


def changes(bookings: int, count: int, seed: int) -> Iterator[Observation]:
    """What happens then: bookings and holds over meetings and between them, moves, ends."""
    chance = random.Random(seed)  # noqa: S311 - makes bookings up, guards nothing
    standing: list[tuple[str, bool]] = []
    for version in range(1, count + 1):
        place = _meeting(chance.randrange(bookings - _NIGHTS - _WEEKS))
        start = place + chance.choice((30, 30, 15, -5)) * MINUTE
        minutes = chance.choice((10, 10, 20, 20, 30, 30, 30, 60, 60, 8 * 60))
        what = chance.random()
        if what < 0.5 or not standing:  # noqa: PLR2004 - half of it
            is_hold = chance.random() < 0.3  # noqa: PLR2004 - some
            standing.append((f"x{version}", is_hold))
            yield booked(f"x{version}", start, minutes, version=version, is_hold=is_hold)
            continue
        id_, is_hold = standing[chance.randrange(len(standing))]
        if what < 0.75:  # noqa: PLR2004 - half of the rest
            yield booked(id_, start, minutes, version=version, is_hold=is_hold)
        else:
            standing.remove((id_, is_hold))
            yield _said(id_, {"status": {"status": "cancelled"}}, version, is_hold=is_hold)


def booked(
    id_: str, start: int, minutes: int, *, version: int = 0, is_hold: bool = False
) -> Observation:
    """What calendar.live tells of a booking or a hold."""
    groups: dict[str, Values] = {
        "schedule": {
            "start_at": start,
            "end_at": start + minutes * MINUTE,
            "timezone": "UTC",
            "wall_start": None,
        },
        "status": {"status": "held" if is_hold else "confirmed", "cancellation": None},
        "host": {"host_id": HOST},
    }
    if not is_hold:
        groups["uid"] = {"uid": f"{id_}@calendar.live"}
        groups["event_type"] = {"event_type": "trial", "event_kind": "one_to_one", "paid": False}
    return _said(id_, groups, version, is_hold=is_hold)


def _said(id_: str, groups: dict[str, Values], version: int, *, is_hold: bool) -> Observation:
    natural_id = NaturalId("calendar_live", "hold" if is_hold else "event", id_)
    stamp = Stamp(version, _SAID_AT + version, by_self=False)
    return Observation(
        id=observation_id("calendar_live", f"{id_}@{version}", Fact.STATE, natural_id),
        workspace=WORKSPACE,
        fact=Fact.STATE,
        kind="booking",
        natural_id=natural_id,
        role="calendar",
        received_at=stamp.modified_at,
        occurred_at=stamp.modified_at,
        statements=tuple(Statement(group, values, stamp) for group, values in groups.items()),
    )
