"""Recurrence rules (RFC 5545) on the wall clock: which days and times a rule names.

A rule that is read either ends, or is asked for a stretch of time; the work is bounded by the days
of that stretch, also for a rule that names no day at all. Why this is not a library's is in
`processors/decisions/0010-recurrence-rules-are-read-here.md`.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import product

from calstream_core.errors import Code, RecordError

MOST_OCCURRENCES = 10_000
"""A series with more is refused, and so is a stretch of time that holds more."""

MOST_A_DAY = 24
"""A rule that names more times of one day is no meeting's."""

HORIZON_DAYS = 36_525
"""An endless rule is followed for a hundred years."""

_DAY = timedelta(days=1)
_LATEST = datetime(9990, 1, 1)  # noqa: DTZ001 - on the wall clock; what follows is not reckoned with
_WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_MOST_INTERVAL = 10_000


class Frequency(StrEnum):
    """How often a rule begins anew. What is more often than daily is refused."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule that was read. The parts are named as in RFC 5545.

    Attributes:
        until: the last moment; with a zone where it was given in UTC, else on the wall clock.
        by_day: pairs of an ordinal (0 for every one) and a weekday (0 for Monday).
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    by_month: frozenset[int] = frozenset()
    by_week: frozenset[int] = frozenset()
    by_year_day: frozenset[int] = frozenset()
    by_month_day: frozenset[int] = frozenset()
    by_day: frozenset[tuple[int, int]] = frozenset()
    by_hour: frozenset[int] = frozenset()
    by_minute: frozenset[int] = frozenset()
    by_second: frozenset[int] = frozenset()
    by_position: frozenset[int] = frozenset()
    week_start: int = 0


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """Reads a rule, with or without `RRULE:` before it.

    Raises:
        RecordError: it is no rule (`recurrence-invalid`), or it names more occurrences than a
            meeting can have (`recurrence-too-large`).
    """
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name in parts:
            raise _invalid("a part is not NAME=VALUE, or stands twice")
        parts[name] = value
    frequency = _frequency(parts.pop("FREQ", ""))
    rule = Rule(
        frequency=frequency,
        interval=_whole(parts.pop("INTERVAL", "1"), 1, _MOST_INTERVAL, "INTERVAL"),
        count=_count(parts.pop("COUNT", None)),
        until=_until(parts.pop("UNTIL", None)),
        by_month=_wholes(parts, "BYMONTH", 1, 12),
        by_week=_wholes(parts, "BYWEEKNO", 1, 53, negative=True),
        by_year_day=_wholes(parts, "BYYEARDAY", 1, 366, negative=True),
        by_month_day=_wholes(parts, "BYMONTHDAY", 1, 31, negative=True),
        by_day=_by_day(parts.pop("BYDAY", ""), frequency),
        by_hour=_wholes(parts, "BYHOUR", 0, 23),
        by_minute=_wholes(parts, "BYMINUTE", 0, 59),
        by_second=_wholes(parts, "BYSECOND", 0, 59),
        by_position=_wholes(parts, "BYSETPOS", 1, 366, negative=True),
        week_start=_weekday(parts.pop("WKST", "MO")),
    )
    if parts:
        raise _invalid(f"an unknown part {min(parts)!r}")
    _check(rule)
    return rule


def wall_times(rule: Rule, start: datetime, since: datetime, until: datetime) -> Iterator[datetime]:
    """The wall times that a rule names, in order.

    Args:
        rule: the rule; an `until` in UTC is the caller's to heed, who knows the zone.
        start: of the series, on the wall clock; nothing is before it, and counting begins there.
        since: from here on, inclusive.
        until: up to here, exclusive.
    """
    end = min(until, _horizon(start))
    limit = rule.until if rule.until and rule.until.tzinfo is None else None
    found = 0
    for period in _periods(rule, start.date(), since.date(), end.date()):
        for moment in _of_period(rule, start, period):
            if moment < start:
                continue
            if moment >= end or (limit is not None and moment > limit):
                return
            found += 1
            if rule.count is not None and found > rule.count:
                return
            if moment >= since:
                yield moment


def _horizon(start: datetime) -> datetime:
    if start >= _LATEST - timedelta(days=HORIZON_DAYS):
        return _LATEST
    return start + timedelta(days=HORIZON_DAYS)


# reading


def _invalid(reason: str) -> RecordError:
    return RecordError(Code.RECURRENCE_INVALID, f"not a recurrence rule: {reason}", field="rrule")


def too_large(reason: str) -> RecordError:
    """The error for a series that is no meeting's."""
    return RecordError(Code.RECURRENCE_TOO_LARGE, reason, field="rrule")


def _frequency(text: str) -> Frequency:
    if text in {"SECONDLY", "MINUTELY", "HOURLY"}:
        raise too_large(f"{text} is more often than a meeting can be")
    try:
        return Frequency(text)
    except ValueError:
        raise _invalid("no known FREQ") from None


def _whole(text: str, least: int, most: int, name: str, *, negative: bool = False) -> int:
    digits = text.removeprefix("+")
    body = digits.removeprefix("-") if negative else digits
    if not (body.isascii() and body.isdigit() and len(body) <= 9):  # noqa: PLR2004 - see the limits
        raise _invalid(f"{name} is not a whole number")
    number = int(digits)
    if not least <= abs(number) <= most:
        raise _invalid(f"{name} is out of range")
    return number


def _wholes(
    parts: dict[str, str], name: str, least: int, most: int, *, negative: bool = False
) -> frozenset[int]:
    text = parts.pop(name, None)
    if text is None:
        return frozenset()
    return frozenset(_whole(t, least, most, name, negative=negative) for t in text.split(","))


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) > len(str(MOST_OCCURRENCES)):
        raise too_large(f"more than {MOST_OCCURRENCES} occurrences")
    count = _whole(text, 1, 10 * MOST_OCCURRENCES, "COUNT")
    if count > MOST_OCCURRENCES:
        raise too_large(f"more than {MOST_OCCURRENCES} occurrences")
    return count


def _until(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == len("20261127"):
            return datetime.combine(datetime.strptime(text, "%Y%m%d").date(), time.max)  # noqa: DTZ007 - on the wall clock
        moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - zone below
    except ValueError:
        raise _invalid("UNTIL is not a time") from None
    return moment.replace(tzinfo=UTC) if text.endswith("Z") else moment


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise _invalid("an unknown weekday")
    return _WEEKDAYS[text]


def _by_day(text: str, frequency: Frequency) -> frozenset[tuple[int, int]]:
    days = set()
    for part in text.split(",") if text else ():
        ordinal = part[:-2]
        number = _whole(ordinal, 1, 53, "BYDAY", negative=True) if ordinal else 0
        if number and frequency not in {Frequency.MONTHLY, Frequency.YEARLY}:
            raise _invalid("BYDAY with a number needs MONTHLY or YEARLY")
        days.add((number, _weekday(part[-2:])))
    return frozenset(days)


def _check(rule: Rule) -> None:
    if rule.count is not None and rule.until is not None:
        raise _invalid("COUNT and UNTIL")
    if rule.by_week and rule.frequency is not Frequency.YEARLY:
        raise _invalid("BYWEEKNO needs YEARLY")
    if rule.by_week and any(ordinal for ordinal, _ in rule.by_day):
        raise _invalid("BYDAY with a number and BYWEEKNO")
    if rule.by_year_day and rule.frequency is not Frequency.YEARLY:
        raise _invalid("BYYEARDAY needs YEARLY")
    if rule.by_month_day and rule.frequency is Frequency.WEEKLY:
        raise _invalid("BYMONTHDAY can't go with WEEKLY")
    times = max(1, len(rule.by_hour)) * max(1, len(rule.by_minute)) * max(1, len(rule.by_second))
    if times > MOST_A_DAY:
        raise too_large(f"more than {MOST_A_DAY} times a day")


# naming days


def _periods(rule: Rule, start: date, since: date, end: date) -> Iterator[list[date]]:
    """The days of each period that counts: from the start, or from `since` where nobody counts."""
    seek = start if rule.count is not None else max(start, since)
    match rule.frequency:
        case Frequency.DAILY:
            yield from _stretches(start, seek, end, rule.interval, 1)
        case Frequency.WEEKLY:
            monday = start - _DAY * ((start.weekday() - rule.week_start) % 7)
            yield from _stretches(monday, seek, end, rule.interval * 7, 7)
        case Frequency.MONTHLY:
            first = start.year * 12 + start.month - 1
            skipped = (seek.year * 12 + seek.month - 1 - first) // rule.interval * rule.interval
            for month in range(first + skipped, end.year * 12 + end.month, rule.interval):
                yield _days_of_month(month // 12, month % 12 + 1)
        case Frequency.YEARLY:
            skipped = (seek.year - start.year) // rule.interval * rule.interval
            for year in range(start.year + skipped, end.year + 1, rule.interval):
                months = sorted(rule.by_month) or range(1, 13)
                yield [day for month in months for day in _days_of_month(year, month)]


def _stretches(first: date, seek: date, end: date, step: int, length: int) -> Iterator[list[date]]:
    """Every `step` days so many days, from the stretch that holds `seek`, or the one before."""
    place = first.toordinal() + max(0, (seek - first).days // step) * step
    for begin in range(place, end.toordinal() + 1, step):
        yield [date.fromordinal(n) for n in range(begin, begin + length)]


def _days_of_month(year: int, month: int) -> list[date]:
    return [date(year, month, day) for day in range(1, calendar.monthrange(year, month)[1] + 1)]


def _of_period(rule: Rule, start: datetime, period: list[date]) -> list[datetime]:
    days = [day for day in period if _names(rule, start, day)]
    if not days:
        return []
    times = [
        time(*clock)
        for clock in product(
            sorted(rule.by_hour) or (start.hour,),
            sorted(rule.by_minute) or (start.minute,),
            sorted(rule.by_second) or (start.second,),
        )
    ]
    moments = [datetime.combine(day, clock) for day in days for clock in times]
    if not rule.by_position:
        return moments
    places = {p - 1 if p > 0 else len(moments) + p for p in rule.by_position}
    return [moment for place, moment in enumerate(moments) if place in places]


def _names(rule: Rule, start: datetime, day: date) -> bool:
    """Whether a rule names a day of a period that counts."""
    if rule.by_month and day.month not in rule.by_month:
        return False
    if rule.by_week and not _in_weeks(rule, day):
        return False
    if rule.by_year_day:
        length = 366 if calendar.isleap(day.year) else 365
        number = day.timetuple().tm_yday
        if number not in rule.by_year_day and number - length - 1 not in rule.by_year_day:
            return False
    if rule.by_month_day:
        length = calendar.monthrange(day.year, day.month)[1]
        if day.day not in rule.by_month_day and day.day - length - 1 not in rule.by_month_day:
            return False
    if rule.by_day:
        return _in_weekdays(rule, day)
    return (
        rule.by_month_day != frozenset()
        or rule.by_year_day != frozenset()
        or _as_start(rule, start, day)
    )


def _as_start(rule: Rule, start: datetime, day: date) -> bool:
    """What a rule leaves open is as the series' start is."""
    if rule.frequency is Frequency.DAILY:
        return True
    if rule.frequency is Frequency.WEEKLY or rule.by_week:
        return day.weekday() == start.weekday()
    if rule.frequency is Frequency.YEARLY and not rule.by_month and day.month != start.month:
        return False
    return day.day == start.day


def _in_weekdays(rule: Rule, day: date) -> bool:
    weekday = day.weekday()
    if (0, weekday) in rule.by_day:
        return True
    if rule.frequency is Frequency.YEARLY and not rule.by_month:
        number, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
    else:
        number, length = day.day, calendar.monthrange(day.year, day.month)[1]
    from_begin, from_end = (number - 1) // 7 + 1, -((length - number) // 7 + 1)
    return (from_begin, weekday) in rule.by_day or (from_end, weekday) in rule.by_day


def _in_weeks(rule: Rule, day: date) -> bool:
    """Whether a day is in a week of these numbers; week 1 is the first with four days."""
    middle = day - _DAY * ((day.weekday() - rule.week_start) % 7) + 3 * _DAY
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    length = 366 if calendar.isleap(middle.year) else 365
    left = (length - middle.timetuple().tm_yday) // 7 + 1
    return number in rule.by_week or -left in rule.by_week
