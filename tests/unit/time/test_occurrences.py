"""Series on the wall clock: golden cases, and a second implementation that agrees."""

import time
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dateutil.rrule
import dateutil.tz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.clock import from_microseconds, to_microseconds
from calstream_core.errors import Code, RecordError
from calstream_core.zones import zone_of
from calstream_processors.time.occurrences import Recurrence, occurrences
from calstream_processors.time.recurrence import MOST_OCCURRENCES, parse_rule, wall_times
from calstream_processors.time.wall_clock import instant_of, wall_of

HALF_HOUR = 30 * 60 * 1_000_000


def at(text: str) -> int:
    return to_microseconds(datetime.fromisoformat(text))


def utc(instant: int) -> str:
    return f"{from_microseconds(instant):%Y-%m-%dT%H:%MZ}"


def series(start: str, zone: str, rrule: str | None, **more: object) -> Recurrence:
    return Recurrence(datetime.fromisoformat(start), zone, HALF_HOUR, rrule, **more)  # type: ignore[arg-type]  # the parts of a series by name


def starts(
    one: Recurrence, since: str = "2020-01-01T00:00Z", until: str = "2040-01-01T00:00Z"
) -> list[str]:
    return [utc(each.start) for each in occurrences(one, at(since), at(until))]


@pytest.mark.parametrize(
    ("start", "zone", "rrule", "expected"),
    [
        pytest.param(
            "2026-10-30T09:00",
            "America/New_York",
            "FREQ=DAILY;COUNT=4",
            ["2026-10-30T13:00Z", "2026-10-31T13:00Z", "2026-11-01T14:00Z", "2026-11-02T14:00Z"],
            id="clocks are put back",
        ),
        pytest.param(
            "2026-03-07T09:00",
            "America/New_York",
            "FREQ=DAILY;COUNT=2",
            ["2026-03-07T14:00Z", "2026-03-08T13:00Z"],
            id="clocks are put forward",
        ),
        pytest.param(
            "2026-03-07T02:30",
            "America/New_York",
            "FREQ=DAILY;COUNT=3",
            ["2026-03-07T07:30Z", "2026-03-08T07:30Z", "2026-03-09T06:30Z"],
            id="a time that is skipped has the offset from before",
        ),
        pytest.param(
            "2026-10-31T01:30",
            "America/New_York",
            "FREQ=DAILY;COUNT=3",
            ["2026-10-31T05:30Z", "2026-11-01T05:30Z", "2026-11-02T06:30Z"],
            id="a time that comes twice is the first",
        ),
        pytest.param(
            "2026-04-04T12:00",
            "Australia/Lord_Howe",
            "FREQ=DAILY;COUNT=2",
            ["2026-04-04T01:00Z", "2026-04-05T01:30Z"],
            id="clocks are put back half an hour",
        ),
        pytest.param(
            "2026-10-03T02:15",
            "Australia/Lord_Howe",
            "FREQ=DAILY;COUNT=3",
            ["2026-10-02T15:45Z", "2026-10-03T15:45Z", "2026-10-04T15:15Z"],
            id="a skipped half hour",
        ),
        pytest.param(
            "2018-06-15T10:00",
            "America/Sao_Paulo",
            "FREQ=MONTHLY;INTERVAL=6;COUNT=4",
            ["2018-06-15T13:00Z", "2018-12-15T12:00Z", "2019-06-15T13:00Z", "2019-12-15T13:00Z"],
            id="a zone that has given up summer time",
        ),
        pytest.param(
            "2022-07-01T10:00",
            "America/Mexico_City",
            "FREQ=YEARLY;COUNT=2",
            ["2022-07-01T15:00Z", "2023-07-01T16:00Z"],
            id="another one",
        ),
        pytest.param(
            "2026-02-08T10:00",
            "Africa/Casablanca",
            "FREQ=WEEKLY;COUNT=3",
            ["2026-02-08T09:00Z", "2026-02-15T10:00Z", "2026-02-22T10:00Z"],
            id="clocks that follow the moon",
        ),
        pytest.param(
            "2011-12-29T08:00",
            "Pacific/Apia",
            "FREQ=DAILY;COUNT=3",
            ["2011-12-29T18:00Z", "2011-12-30T18:00Z", "2011-12-30T18:00Z"],
            id="a day that a country skipped",
        ),
    ],
)
def test_a_series_stays_at_its_wall_time(
    start: str, zone: str, rrule: str, expected: list[str]
) -> None:
    assert starts(series(start, zone, rrule), since="2010-01-01T00:00Z") == expected


@pytest.mark.parametrize(
    ("rrule", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", ["01-30", "02-27", "03-27"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", ["01-31", "03-31", "05-31"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", ["01-30", "02-27"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,TH;COUNT=4",
            ["01-08", "01-20", "01-22", "02-03"],
        ),
        ("FREQ=WEEKLY;BYDAY=MO,TH,FR;BYSETPOS=2;COUNT=2", ["01-08", "01-15"]),
        ("FREQ=WEEKLY;UNTIL=20260122T150000Z", ["01-08", "01-15", "01-22"]),
        ("FREQ=WEEKLY;UNTIL=20260122T145959Z", ["01-08", "01-15"]),
        ("FREQ=WEEKLY;UNTIL=20260122", ["01-08", "01-15", "01-22"]),
        ("RRULE:freq=yearly;bymonth=2;bymonthday=13;byday=fr", ["02-13"]),
        (None, ["01-08"]),
    ],
)
def test_rules_name_their_days(rrule: str | None, expected: list[str]) -> None:
    found = starts(series("2026-01-08T10:00", "America/New_York", rrule), until="2027-01-01T00:00Z")
    assert [each[5:10] for each in found] == expected


def test_exceptions_are_left_out_however_they_are_written() -> None:
    left_out = ("20260109T100000", "2026-01-10T15:00:00Z", "20260111T150000Z", "20260112")
    one = series("2026-01-08T10:00", "America/New_York", "FREQ=DAILY;COUNT=6", exdates=left_out)
    assert starts(one) == ["2026-01-08T15:00Z", "2026-01-13T15:00Z"]


def test_a_moved_occurrence_is_where_it_was_moved_to_and_keeps_its_id() -> None:
    place = (at("2026-01-09T20:00Z"), at("2026-01-09T20:30Z"))
    moved = {"20260108T150000Z": place, "20260110T100000": None}
    one = series("2026-01-08T10:00", "America/New_York", "FREQ=DAILY;COUNT=3", moved=moved)
    found = occurrences(one, at("2026-01-01T00:00Z"), at("2026-02-01T00:00Z"))
    assert [(utc(each.start), each.recurrence_id) for each in found] == [
        ("2026-01-09T15:00Z", "20260109T100000"),
        ("2026-01-09T20:00Z", "20260108T100000"),
    ]
    assert not occurrences(one, at("2026-01-08T00:00Z"), at("2026-01-09T00:00Z"))


def test_what_only_touches_the_stretch_is_not_in_it() -> None:
    one = series("2026-01-08T10:00", "UTC", "FREQ=DAILY")
    assert starts(one, "2026-01-09T10:30Z", "2026-01-10T10:00Z") == []
    assert starts(one, "2026-01-09T10:29Z", "2026-01-10T10:01Z") == [
        "2026-01-09T10:00Z",
        "2026-01-10T10:00Z",
    ]


@pytest.mark.parametrize(
    ("rrule", "code"),
    [
        ("FREQ=DAILY;COUNT=1000000", Code.RECURRENCE_TOO_LARGE),
        ("FREQ=DAILY;COUNT=" + "9" * 400, Code.RECURRENCE_TOO_LARGE),
        ("FREQ=SECONDLY", Code.RECURRENCE_TOO_LARGE),
        ("FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))), Code.RECURRENCE_TOO_LARGE),
        ("FREQ=SOMETIMES", Code.RECURRENCE_INVALID),
        ("", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;INTERVAL=0", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;FREQ=DAILY", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260101", Code.RECURRENCE_INVALID),
        ("FREQ=WEEKLY;BYDAY=2MO", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;BYMONTH=13", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;UNTIL=20260231", Code.RECURRENCE_INVALID),
        ("FREQ=DAILY;X-NEW=1", Code.RECURRENCE_INVALID),
    ],
)
def test_a_rule_that_is_no_meetings_is_refused_with_a_code(rrule: str, code: Code) -> None:
    with pytest.raises(RecordError) as caught:
        parse_rule(rrule)
    assert caught.value.code is code


@pytest.mark.parametrize("frequency", ["DAILY", "WEEKLY;BYDAY=MO", "MONTHLY", "YEARLY"])
def test_a_rule_that_never_comes_true_ends(frequency: str) -> None:
    rrule = f"FREQ={frequency};BYMONTH=2" + (";BYMONTHDAY=30" if "WEEKLY" not in frequency else "")
    rrule += ";BYSETPOS=300;COUNT=10000" if "WEEKLY" in frequency else ";COUNT=10000"
    began = time.process_time()
    assert starts(series("2026-01-01T09:00", "UTC", rrule), until="9000-01-01T00:00Z") == []
    assert time.process_time() - began < 5


def test_a_stretch_with_too_many_is_refused() -> None:
    one = series("2026-01-01T09:00", "UTC", "FREQ=DAILY")
    with pytest.raises(RecordError) as caught:
        occurrences(one, at("2026-01-01T00:00Z"), at("2080-01-01T00:00Z"))
    assert caught.value.code is Code.RECURRENCE_TOO_LARGE
    assert (
        len(occurrences(one, at("2026-01-01T00:00Z"), at("2053-01-01T00:00Z"))) < MOST_OCCURRENCES
    )


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(RecordError) as caught:
        starts(series("2026-01-01T09:00", "Mars/Olympus", "FREQ=DAILY"))
    assert caught.value.code is Code.TIME_INVALID


# a second implementation: dateutil's rules, and its own reader of zones

_DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
_ZONES = ["America/New_York", "Australia/Lord_Howe", "Europe/Berlin", "America/Sao_Paulo", "UTC"]


def _signed(most: int) -> st.SearchStrategy[int]:
    return st.integers(1, most) | st.integers(-most, -1)


def _listed(elements: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.lists(elements, min_size=1, max_size=3, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


@st.composite
def _rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]

    def maybe(name: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.integers(0, 2)) == 0:
            parts.append(f"{name}={draw(values)}")

    maybe("BYMONTH", _listed(st.integers(1, 12)))
    numbered = frequency in {"MONTHLY", "YEARLY"}
    days = st.sampled_from(_DAYS)
    if numbered and draw(st.booleans()):
        # not both in one rule: dateutil takes MO,1TU for a Monday that is a first Tuesday
        days = st.builds(lambda n, day: f"{n}{day}", _signed(5), st.sampled_from(_DAYS))
    by_day = st.lists(days, min_size=1, max_size=3, unique=True).map(",".join)
    weeks = frequency == "YEARLY" and draw(st.integers(0, 4)) == 0
    if weeks:
        # which weekday is meant where none is named, the two implementations see differently
        plain = st.lists(st.sampled_from(_DAYS), min_size=1, max_size=3, unique=True)
        parts.append(f"BYWEEKNO={draw(_listed(_signed(53)))}")
        parts.append(f"BYDAY={','.join(draw(plain))}")
    else:
        maybe("BYDAY", by_day)
    if frequency != "WEEKLY" and not weeks:
        maybe("BYMONTHDAY", _listed(_signed(31)))
    if frequency == "YEARLY" and not weeks:
        maybe("BYYEARDAY", _listed(_signed(366)))
    maybe("BYHOUR", _listed(st.integers(0, 23)))
    if len(parts) > 2 and frequency != "WEEKLY":
        # dateutil does not count the days of the first week that are before the start
        maybe("BYSETPOS", _listed(_signed(4)))
    maybe("WKST", st.sampled_from(_DAYS))
    maybe("COUNT", st.integers(1, 30).map(str))
    return ";".join(parts)


def _times(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last)).map(
        lambda moment: moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    )


_CYCLES_YEARS = 20 * 400
"""After 400 years all days are on the same weekdays again."""


def _in_last_years(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + _CYCLES_YEARS)


@settings(max_examples=150, deadline=None)
@given(_rules(), _times("1991-01-01", "1995-12-31"), st.integers(0, 900))
def test_both_implementations_name_the_same_days(
    rrule: str, start: datetime, later_days: int
) -> None:
    end, since = start + timedelta(days=1200), start + timedelta(days=later_days)
    # dateutil looks for a rule that never comes true until the year 9999: so it starts shortly
    # before that
    theirs = dateutil.rrule.rrulestr(rrule, dtstart=_in_last_years(start))
    first, last = _in_last_years(since), _in_last_years(end)
    expected = [wall for wall in takewhile(lambda wall: wall < last, theirs) if wall >= first]
    found = wall_times(parse_rule(rrule), start, since, end)
    assert [_in_last_years(wall) for wall in found] == expected


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_ZONES), _times("2000-01-01", "2037-01-01"))
def test_both_implementations_give_a_wall_time_the_same_instant(zone: str, wall: datetime) -> None:
    ours, theirs = zone_of(zone), dateutil.tz.gettz(zone)
    assert ours is not None
    assert theirs is not None
    instant = instant_of(wall, ours)
    # dateutil reads the zone's file itself; of a skipped time it makes the same by moving it on
    assert instant == to_microseconds(
        dateutil.tz.resolve_imaginary(wall.replace(tzinfo=theirs)).astimezone(UTC)
    )
    if wall_of(instant, ours) != wall:  # a time that is skipped is later by as much
        assert not dateutil.tz.datetime_exists(wall, theirs)
