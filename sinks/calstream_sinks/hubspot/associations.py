"""Which contacts a meeting is on the timeline of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calstream_sinks.hubspot.client import HubSpotClient, errors_of, results_of
from calstream_sinks.hubspot.errors import Failure, Trouble, failure_of_row
from calstream_sinks.hubspot.mapping import BOOKING, CONTACT, OBJECT_TYPES, UNIQUE_ID
from calstream_sinks.hubspot.objects import read_objects

MEETING_TO_CONTACT: Mapping[str, Any] = {
    "associationCategory": "HUBSPOT_DEFINED",
    "associationTypeId": 200,  # HubSpot's own type; the same in every account
}
_MAX_PAIRS_PER_CREATE, _MAX_PER_ARCHIVE, _MAX_PER_READ = 2000, 100, 1000

_Part = tuple[str, Mapping[str, Any]]  # a meeting's id, and one entry of `inputs` for it


@dataclass(frozen=True, slots=True)
class Wish:
    """Which contacts a meeting should have.

    Attributes:
        contact_ids: at HubSpot.
        removes: whether other contacts of ours leave it.
    """

    contact_ids: frozenset[str]
    removes: bool = True


def inline(contact_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The associations of a meeting that is about to be made."""
    return [{"to": {"id": id_}, "types": [MEETING_TO_CONTACT]} for id_ in sorted(contact_ids)]


async def sync_associations(
    client: HubSpotClient, wishes: Mapping[str, Wish]
) -> dict[str, Failure]:
    """Adds and removes what differs; the failure of every meeting that is not as wished.

    Only contacts that carry our id are removed: whom people added by hand stays.
    """
    if not wishes:
        return {}
    current = await _read(client, sorted(wishes))
    if isinstance(current, Failure):
        return dict.fromkeys(wishes, current)
    surplus = {m: current[m] - w.contact_ids for m, w in wishes.items() if w.removes}
    ours = await _ours(client, frozenset().union(*surplus.values()))
    if isinstance(ours, Failure):
        return dict.fromkeys(wishes, ours)
    adds: list[_Part] = [
        (meeting, {"from": {"id": meeting}, "to": {"id": id_}, "types": [MEETING_TO_CONTACT]})
        for meeting, wish in wishes.items()
        for id_ in sorted(wish.contact_ids - current[meeting])
    ]
    removes: list[_Part] = [
        (meeting, {"from": {"id": meeting}, "to": [{"id": id_} for id_ in sorted(ids & ours)]})
        for meeting, ids in surplus.items()
        if ids & ours
    ]
    failures = await _apply(client, "batch/create", adds, _MAX_PAIRS_PER_CREATE)
    return failures | await _apply(client, "batch/archive", removes, _MAX_PER_ARCHIVE)


async def _read(client: HubSpotClient, meetings: Sequence[str]) -> dict[str, set[str]] | Failure:
    """The contacts of every meeting, page by page."""
    current: dict[str, set[str]] = {meeting: set() for meeting in meetings}
    asked: list[dict[str, str]] = [{"id": meeting} for meeting in meetings]
    while asked:
        answer = await client.read(_path(client, "batch/read"), {"inputs": asked[:_MAX_PER_READ]})
        asked = asked[_MAX_PER_READ:]
        if isinstance(answer, Failure):
            return answer
        for error in errors_of(answer):  # a meeting without contacts is an error of its own
            failure = failure_of_row(error)
            if failure.trouble is not Trouble.GONE:
                return failure
        for result in results_of(answer):
            meeting = str((result.get("from") or {}).get("id"))
            current.setdefault(meeting, set()).update(
                str(to["toObjectId"]) for to in result.get("to") or ()
            )
            after = ((result.get("paging") or {}).get("next") or {}).get("after")
            if after:
                asked.append({"id": meeting, "after": str(after)})
    return current


async def _ours(client: HubSpotClient, contact_ids: frozenset[str]) -> frozenset[str] | Failure:
    found = await read_objects(client, CONTACT, contact_ids)
    if isinstance(found, Failure):
        return found
    return frozenset(
        str(item["id"]) for item in found if (item.get("properties") or {}).get(UNIQUE_ID)
    )


async def _apply(
    client: HubSpotClient, action: str, parts: Sequence[_Part], most: int
) -> dict[str, Failure]:
    failures: dict[str, Failure] = {}
    for start in range(0, len(parts), most):
        failures |= await _write(client, action, parts[start : start + most])
    return failures


async def _write(client: HubSpotClient, action: str, parts: Sequence[_Part]) -> dict[str, Failure]:
    """Writes entries; what is refused as a whole is written again in halves. Safe to repeat."""
    answer = await client.write(_path(client, action), {"inputs": [entry for _, entry in parts]})
    if isinstance(answer, Failure):
        failures = [answer]
    else:
        failures = [failure_of_row(error) for error in errors_of(answer)]
    if not failures:
        return {}
    if len(parts) == 1 or failures[0].stops:
        return {meeting: failures[0] for meeting, _ in parts}
    middle = len(parts) // 2
    first = await _write(client, action, parts[:middle])
    stop = next((failure for failure in first.values() if failure.stops), None)
    if stop is not None:
        return first | {meeting: stop.unsent() for meeting, _ in parts[middle:]}
    return first | await _write(client, action, parts[middle:])


def _path(client: HubSpotClient, action: str) -> str:
    return client.associations(OBJECT_TYPES[BOOKING], OBJECT_TYPES[CONTACT], action)
