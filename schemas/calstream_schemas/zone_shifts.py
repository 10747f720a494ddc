"""What a newer time zone database changes, as a value of the rule set.

The fold asks no database: what a release changes for a workspace is found out where the rules are
made, and recorded with them. So a replay gives the same with whatever is installed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ZoneShift:
    """The offset that a zone has for a stretch of its wall clock, by a release.

    Attributes:
        zone: an IANA name.
        wall_from, wall_until: the stretch, the end not included; as `wall_start` is written.
        offset_seconds: what the clocks there are ahead of UTC.
        tzdata: the release that says so.
        since: microseconds; the change counts for what was said before and starts after it.
    """

    zone: str
    wall_from: str
    wall_until: str
    offset_seconds: int
    tzdata: str
    since: int

    def to_plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, body: Mapping[str, Any]) -> "ZoneShift":
        """Reads what `to_plain` gives.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(
            zone=str(body["zone"]),
            wall_from=str(body["wall_from"]),
            wall_until=str(body["wall_until"]),
            offset_seconds=int(body["offset_seconds"]),
            tzdata=str(body["tzdata"]),
            since=int(body["since"]),
        )
