"""The API versions played: where their paths and replies differ, and nothing else."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One version of the API.

    Attributes:
        objects, properties, associations, object_associations, owners: path prefixes.
        batch_created: the status of a batch create of properties or associations.
        archive_has_body: whether a batch archive of associations is answered with a body.
        shows_absent: whether a property that was asked for and has no value is null or left out.
            The v3 specification has no room for null, though the live API sends it.
        lists_associations: whether one object's associations can be listed by GET.
        needs_sensitivity: whether a batch read of properties must name the data sensitivity.
    """

    name: str
    objects: str
    properties: str
    associations: str
    object_associations: str
    owners: str
    batch_created: HTTPStatus
    archive_has_body: bool
    shows_absent: bool
    lists_associations: bool
    needs_sensitivity: bool


DATED = ApiVersion(
    name="2026-09",
    objects="/crm/objects/2026-09",
    properties="/crm/properties/2026-09",
    associations="/crm/associations/2026-09",
    object_associations="/crm/objects/2026-09",
    owners="/crm/owners/2026-09",
    batch_created=HTTPStatus.OK,
    archive_has_body=True,
    shows_absent=True,
    lists_associations=False,
    needs_sensitivity=True,
)
OLD = ApiVersion(
    name="v3",
    objects="/crm/v3/objects",
    properties="/crm/v3/properties",
    associations="/crm/v4/associations",
    object_associations="/crm/v4/objects",
    owners="/crm/v3/owners",
    batch_created=HTTPStatus.CREATED,
    archive_has_body=False,
    shows_absent=False,
    lists_associations=True,
    needs_sensitivity=False,
)
VERSIONS = (DATED, OLD)
