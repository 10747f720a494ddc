"""Property definitions: their shape, and those that every HubSpot account has."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.times import record_time


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed value of an enumeration."""

    value: str
    label: str
    display_order: int = -1
    hidden: bool = False
    description: str = ""

    def reply(self) -> dict[str, Any]:
        """The option as the properties API gives it."""
        return {
            "label": self.label,
            "value": self.value,
            "description": self.description,
            "displayOrder": self.display_order,
            "hidden": self.hidden,
        }


@dataclass(frozen=True, slots=True)
class Definition:
    """A property of one kind of object. `type` rules the values, `field_type` only the forms."""

    name: str
    label: str
    type: str
    field_type: str
    group: str
    options: tuple[Option, ...] = ()
    description: str = ""
    unique: bool = False
    read_only: bool = False
    required: bool = False
    hubspot_defined: bool = False
    display_order: int = -1
    hidden: bool = False
    form_field: bool = False
    data_sensitivity: str = "non_sensitive"
    created_ms: int = 0
    updated_ms: int = 0

    def reply(self) -> dict[str, Any]:
        """The definition as the properties API gives it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": self.description,
            "options": [option.reply() for option in self.options],
            "displayOrder": self.display_order,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "formField": self.form_field,
            "hubspotDefined": self.hubspot_defined,
            "calculated": False,
            "externalOptions": self.name == OWNER,
            "archived": False,
            "dataSensitivity": self.data_sensitivity,
            "createdAt": record_time(self.created_ms),
            "updatedAt": record_time(self.updated_ms),
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
        }


OWNER = "hubspot_owner_id"
EMAIL = "email"
RECORD_ID = "hs_object_id"

CREATED = {ObjectKind.CONTACTS: "createdate", ObjectKind.MEETINGS: "hs_createdate"}
MODIFIED = {ObjectKind.CONTACTS: "lastmodifieddate", ObjectKind.MEETINGS: "hs_lastmodifieddate"}
GROUPS = {
    ObjectKind.CONTACTS: {"contactinformation": "Contact information"},
    ObjectKind.MEETINGS: {"engagement": "Engagement"},
}
SHOWN_BY_DEFAULT = {
    ObjectKind.CONTACTS: (EMAIL, "firstname", "lastname"),
    ObjectKind.MEETINGS: (),
}
SEARCHED_BY_QUERY = {
    ObjectKind.CONTACTS: (EMAIL, "firstname", "lastname", "phone", "company"),
    ObjectKind.MEETINGS: ("hs_meeting_title", "hs_meeting_body"),
}

_LIFECYCLE = (
    "subscriber lead marketingqualifiedlead salesqualifiedlead "
    "opportunity customer evangelist other"
)
_LEAD_STATUS = (
    "NEW OPEN IN_PROGRESS OPEN_DEAL UNQUALIFIED ATTEMPTED_TO_CONTACT CONNECTED BAD_TIMING"
)
_OUTCOME = "SCHEDULED COMPLETED RESCHEDULED NO_SHOW CANCELED"

_TABLE = {
    ObjectKind.CONTACTS: (
        (EMAIL, "Email", "string", "text"),
        ("firstname", "First Name", "string", "text"),
        ("lastname", "Last Name", "string", "text"),
        ("phone", "Phone Number", "string", "phonenumber"),
        ("mobilephone", "Mobile Phone Number", "string", "phonenumber"),
        ("company", "Company Name", "string", "text"),
        ("jobtitle", "Job Title", "string", "text"),
        ("website", "Website URL", "string", "text"),
        ("city", "City", "string", "text"),
        ("country", "Country/Region", "string", "text"),
        ("lifecyclestage", "Lifecycle Stage", "enumeration", "radio"),
        ("hs_lead_status", "Lead Status", "enumeration", "radio"),
        (OWNER, "Contact owner", "enumeration", "select"),
        ("createdate", "Create Date", "datetime", "date"),
        ("lastmodifieddate", "Last Modified Date", "datetime", "date"),
        (RECORD_ID, "Record ID", "number", "number"),
    ),
    ObjectKind.MEETINGS: (
        ("hs_timestamp", "Activity date", "datetime", "date"),
        ("hs_meeting_title", "Meeting name", "string", "text"),
        ("hs_meeting_body", "Meeting description", "string", "html"),
        ("hs_internal_meeting_notes", "Internal meeting notes", "string", "html"),
        ("hs_meeting_external_url", "External url", "string", "text"),
        ("hs_meeting_location", "Meeting location", "string", "text"),
        ("hs_meeting_start_time", "Meeting start time", "datetime", "date"),
        ("hs_meeting_end_time", "Meeting end time", "datetime", "date"),
        ("hs_meeting_outcome", "Meeting outcome", "enumeration", "select"),
        ("hs_attachment_ids", "Attached file IDs", "string", "text"),
        (OWNER, "Activity assigned to", "enumeration", "select"),
        ("hs_createdate", "Create date", "datetime", "date"),
        ("hs_lastmodifieddate", "Last modified date", "datetime", "date"),
        (RECORD_ID, "Record ID", "number", "number"),
    ),
}
_OPTIONS = {
    "lifecyclestage": _LIFECYCLE,
    "hs_lead_status": _LEAD_STATUS,
    "hs_meeting_outcome": _OUTCOME,
}
_READ_ONLY = {*CREATED.values(), *MODIFIED.values(), RECORD_ID}


def _default_definitions(kind: ObjectKind) -> Iterable[Definition]:
    (group,) = GROUPS[kind]
    for name, label, value_type, field_type in _TABLE[kind]:
        yield Definition(
            name=name,
            label=label,
            type=value_type,
            field_type=field_type,
            group=group,
            options=tuple(
                Option(value, value.replace("_", " ").capitalize(), order)
                for order, value in enumerate(_OPTIONS.get(name, "").split())
            ),
            unique=name in {EMAIL, RECORD_ID},
            read_only=name in _READ_ONLY,
            required=name == "hs_timestamp",
            hubspot_defined=True,
        )


def default_definitions(kind: ObjectKind) -> dict[str, Definition]:
    """The properties of a new account, by name."""
    return {definition.name: definition for definition in _default_definitions(kind)}
