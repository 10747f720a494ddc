"""Whether HubSpot has what the mapping needs, and making what is missing."""

from collections.abc import Sequence
from typing import Any

from calstream_core.errors import Code, ConfigError
from calstream_sinks.api import Finding
from calstream_sinks.hubspot.client import HubSpotClient, results_of
from calstream_sinks.hubspot.errors import HINT, Failure, Trouble, raise_failure
from calstream_sinks.hubspot.mapping import (
    OBJECT_TYPES,
    PROPERTY_GROUP,
    PROPERTY_GROUP_LABEL,
    Property,
    properties_of,
)

_SETUP_HINT = "Run `calstream sink setup` for this sink."
_ACCESS_HINT = (
    "Give the token the scopes that docs/connect-hubspot.md lists, or name another one; look at "
    "base_url and api_version if the token has them."
)


async def check(client: HubSpotClient) -> list[Finding]:
    """Looks at the token and at every property of the mapping; changes nothing.

    Raises:
        UnavailableError: HubSpot does not answer.
    """
    findings: list[Finding] = []
    for kind, object_type in OBJECT_TYPES.items():
        objects = await client.get(client.objects(object_type), limit="1")
        properties = await client.get(client.properties(object_type))
        denied = next((a for a in (objects, properties) if _is_denied(a)), None)
        if isinstance(denied, Failure):
            findings.append(
                Finding(f"access to {object_type}", False, denied.summary, _ACCESS_HINT)
            )
            continue
        _raise_if_failed(objects)
        findings.append(Finding(f"access to {object_type}", True, "The token may read them."))
        found = {str(item.get("name")): item for item in results_of(_raise_if_failed(properties))}
        faults = [_fault(object_type, item, found.get(item.name)) for item in properties_of(kind)]
        findings += [fault for fault in faults if fault is not None]
        if not any(faults):
            message = f"All {len(faults)} properties are there."
            findings.append(Finding(f"properties of {object_type}", True, message))
    return findings


async def create_missing(client: HubSpotClient) -> list[str]:
    """Makes the group and the properties that are missing; what is there stays as it is.

    Raises:
        ConfigError: HubSpot refuses, for example because the token may not change properties.
        UnavailableError: HubSpot does not answer. What was made until then stays.
    """
    made: list[str] = []
    for kind, object_type in OBJECT_TYPES.items():
        groups = await _names(client, client.properties(object_type, "groups"))
        if PROPERTY_GROUP not in groups:
            body = {"name": PROPERTY_GROUP, "label": PROPERTY_GROUP_LABEL, "displayOrder": -1}
            await _create(client, client.properties(object_type, "groups"), body)
            made.append(f"property group {object_type}.{PROPERTY_GROUP}")
        present = await _names(client, client.properties(object_type))
        for item in properties_of(kind):
            if item.label and item.name not in present:
                await _create(client, client.properties(object_type), _definition(item))
                made.append(f"property {object_type}.{item.name}")
    return made


def _is_denied(answer: object) -> bool:
    return isinstance(answer, Failure) and answer.trouble is Trouble.DENIED


def _raise_if_failed(answer: dict[str, Any] | Failure) -> dict[str, Any]:
    if isinstance(answer, Failure):
        raise_failure(answer)
    return answer


_FIELD_TYPES = {"string": "text", "number": "number"}
"""How HubSpot shows a property of ours, by its type."""


def _fault(object_type: str, wanted: Property, found: dict[str, Any] | None) -> Finding | None:
    name = f"{object_type}.{wanted.name}"
    if found is None or found.get("archived"):
        hint = _SETUP_HINT if wanted.label else "It is HubSpot's own; restore it in HubSpot."
        return Finding(name, False, "The property is missing.", hint)
    if found.get("type") != wanted.type:
        message = f"The property is of type {found.get('type')}, not {wanted.type}."
        return Finding(name, False, message, f"Archive it in HubSpot. {_SETUP_HINT}")
    if wanted.unique and not found.get("hasUniqueValue"):
        message = "Two objects may have the same value of this property."
        hint = f"HubSpot can't change that: archive it in HubSpot. {_SETUP_HINT}"
        return Finding(name, False, message, hint)
    lacking = set(wanted.options) - {str(o.get("value")) for o in found.get("options") or ()}
    if lacking:
        message = f"The property lacks the options {', '.join(sorted(lacking))}."
        return Finding(name, False, message, "Add them in HubSpot.")
    return None


async def _names(client: HubSpotClient, path: str) -> set[str]:
    answer = _raise_if_failed(await client.get(path))
    return {str(item.get("name")) for item in results_of(answer) if not item.get("archived")}


async def _create(client: HubSpotClient, path: str, body: dict[str, Any]) -> None:
    answer = await client.write(path, body)
    if not isinstance(answer, Failure) or answer.trouble is Trouble.TAKEN:
        return  # TAKEN: somebody made it since we looked
    if answer.trouble is Trouble.REFUSED:
        message = f"HubSpot refused to make {body['name']}. {answer.summary}"
        raise ConfigError(Code.SINK_MISCONFIGURED, message, hint=HINT)
    raise_failure(answer)


def _definition(item: Property) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": item.name,
        "label": item.label,
        "description": item.description,
        "groupName": PROPERTY_GROUP,
        "type": item.type,
        "fieldType": "select" if item.options else _FIELD_TYPES[item.type],
        "hasUniqueValue": item.unique,
    }
    if item.options:
        body["options"] = _options(item.options)
    return body


def _options(values: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"label": value.capitalize(), "value": value, "displayOrder": index, "hidden": False}
        for index, value in enumerate(values)
    ]
