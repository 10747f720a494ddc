"""The sandbox CRM as a person sees it: people and meetings, without ids and times of the vendor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# what the vendor itself makes up, and makes up anew for a new object
_VENDORS_OWN = frozenset(
    {"hs_object_id", "createdate", "lastmodifieddate", "hs_createdate", "hs_lastmodifieddate"}
)

Properties = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Crm:
    """Everything in the CRM at one moment."""

    contacts: Mapping[str, Properties]
    meetings: Mapping[str, Properties]
    attendees: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, dump: Mapping[str, Any]) -> "Crm":
        """Reads the sandbox's dump."""
        return cls(
            contacts={one["id"]: one["properties"] for one in dump["contacts"]},
            meetings={one["id"]: one["properties"] for one in dump["meetings"]},
            attendees={
                one["id"]: tuple(sorted(one["associations"].get("contacts", ())))
                for one in dump["meetings"]
            },
        )

    def contacts_with_email(self, email: str) -> list[str]:
        """Ids of the people with an address."""
        return [id_ for id_, one in self.contacts.items() if one.get("email") == email]

    def meetings_of(self, event_id: str) -> list[str]:
        """Ids of the meetings for an event of calendar.live."""
        return [id_ for id_, one in self.meetings.items() if one.get("external_id") == event_id]

    def content(self) -> dict[str, Any]:
        """Every object by our own id, with its values and whom it is linked to, by their ids."""
        people = {id_: str(one.get("calstream_id") or id_) for id_, one in self.contacts.items()}
        found: dict[str, Any] = {
            f"contact {people[id_]}": _values(one) for id_, one in self.contacts.items()
        }
        for id_, one in self.meetings.items():
            found[f"meeting {one.get('external_id')}"] = {
                **_values(one),
                "attendees": sorted(people[person] for person in self.attendees[id_]),
            }
        return found


def _values(properties: Properties) -> dict[str, str | None]:
    return {name: value for name, value in properties.items() if name not in _VENDORS_OWN and value}
