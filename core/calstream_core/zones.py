"""Time zones from the locked `tzdata` package, never from the machine: the same everywhere."""

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata

TZDATA_VERSION: str = tzdata.IANA_VERSION
"""The release of the IANA time zone database that this installation reckons with."""

_MOST_LETTERS = 64


@cache
def _known() -> frozenset[str]:
    return frozenset(resources.files(tzdata).joinpath("zones").read_text().split())


@cache
def _load(name: str) -> ZoneInfo:
    file = resources.files(tzdata).joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


def zone_of(name: str) -> ZoneInfo | None:
    """The zone with an IANA name, links included; None where there is none."""
    if len(name) > _MOST_LETTERS or name not in _known():
        return None
    return _load(name)
