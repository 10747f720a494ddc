"""HubSpot's error replies.

`HubSpotError` is a reply, not a failure of the simulator, so it stands outside the tree of
`calstream_core.errors`. The wording follows replies seen from the live API, because clients read it
(the existing id of a contact is nowhere else).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

PORTAL_ID = 24500001  # the account number that some messages carry


@dataclass(frozen=True, slots=True)
class Issue:
    """One property value that HubSpot does not take: which, a stable code, and a sentence."""

    property_name: str
    code: str
    message: str


@dataclass(eq=False)
class HubSpotError(Exception):
    """A refusal, raised anywhere below a request handler and rendered by the app.

    Attributes:
        row_level: in a batch upsert or update it spoils its own row, never the whole call.
        extra: fields that only some errors have, such as `policyName`.
    """

    status: HTTPStatus
    category: str
    message: str
    details: Sequence[Mapping[str, Any]] = ()
    context: Mapping[str, list[str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    row_level: bool = False

    def body(self) -> dict[str, Any]:
        """The body of an error reply, with a new correlation id."""
        body: dict[str, Any] = {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid4()),
            "category": self.category,
        }
        if self.details:
            body["errors"] = list(self.details)
        if self.context:
            body["context"] = dict(self.context)
        return body | dict(self.extra)

    def row(self, trace_id: str | None = None) -> dict[str, Any]:
        """One entry of `errors[]` in a partial reply (`StandardError` in the specification)."""
        context = dict(self.context)
        if trace_id is not None:
            context["objectWriteTraceId"] = [trace_id]
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": context,
            "errors": list(self.details),
            "links": {},
        }


def invalid(message: str, *, context: Mapping[str, list[str]] | None = None) -> HubSpotError:
    """400 VALIDATION_ERROR."""
    return HubSpotError(HTTPStatus.BAD_REQUEST, "VALIDATION_ERROR", message, context=context or {})


def invalid_values(issues: Sequence[Issue]) -> HubSpotError:
    """400 for property values, each with its code both in the message and in `errors[]`."""
    listed = [
        {
            "isValid": False,
            "message": issue.message,
            "error": issue.code,
            "name": issue.property_name,
            "localizedErrorMessage": issue.message,
            "portalId": PORTAL_ID,
        }
        for issue in issues
    ]
    return HubSpotError(
        HTTPStatus.BAD_REQUEST,
        "VALIDATION_ERROR",
        f"Property values were not valid: {json.dumps(listed)}",
        details=[
            {
                "message": issue.message,
                "code": issue.code,
                "context": {"propertyName": [issue.property_name]},
            }
            for issue in issues
        ],
    )


def not_found(message: str, *, context: Mapping[str, list[str]] | None = None) -> HubSpotError:
    """404 OBJECT_NOT_FOUND."""
    return HubSpotError(
        HTTPStatus.NOT_FOUND, "OBJECT_NOT_FOUND", message, context=context or {}, row_level=True
    )


def missing_objects(singular: str, ids: Sequence[str]) -> HubSpotError:
    """What a batch says of ids that name no record."""
    return not_found(
        f"Could not get some {singular.upper()} objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        context={"ids": list(ids)},
    )


def contact_exists(existing_id: int) -> HubSpotError:
    """409 for an e-mail address that another contact has."""
    return HubSpotError(
        HTTPStatus.CONFLICT,
        "CONFLICT",
        f"Contact already exists. Existing ID: {existing_id}",
        row_level=True,
    )


def value_taken(
    type_id: str, property_name: str, value: str, record_id: int, existing_id: int
) -> HubSpotError:
    """400 for a value of a unique property that another record has."""
    return HubSpotError(
        HTTPStatus.BAD_REQUEST,
        "VALIDATION_ERROR",
        f"Cannot set PropertyValueCoordinates{{portalId={PORTAL_ID}, objectTypeId={type_id}, "
        f"propertyName={property_name}, value={value}}} on {record_id}. "
        f"{existing_id} already has that value.",
        row_level=True,
    )


def value_repeated(property_name: str) -> HubSpotError:
    """409 for two rows of one batch that want the same unique value."""
    return HubSpotError(
        HTTPStatus.CONFLICT,
        "CONFLICT",
        f"Two inputs of the batch have the same value of the unique property {property_name}",
        context={"propertyName": [property_name]},
        row_level=True,
    )


def unauthorised() -> HubSpotError:
    """401 for a missing or wrong token."""
    return HubSpotError(
        HTTPStatus.UNAUTHORIZED,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
        "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )


def rate_limited(policy: str) -> HubSpotError:
    """429; the policy is TEN_SECONDLY_ROLLING, SECONDLY or DAILY."""
    return HubSpotError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "RATE_LIMITS",
        f"You have reached your {policy.lower()} limit.",
        extra={"errorType": "RATE_LIMIT", "policyName": policy},
    )


def trouble(status: HTTPStatus) -> HubSpotError:
    """A server-side error without a cause of ours, as faults give it."""
    return HubSpotError(status, "INTERNAL_ERROR", status.phrase)
