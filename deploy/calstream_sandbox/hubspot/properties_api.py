"""The endpoints of property definitions and groups."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.hubspot.definitions import Definition, Option
from calstream_sandbox.hubspot.errors import not_found
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.property_bodies import (
    BatchPropertyCreate,
    BatchPropertyNames,
    BatchPropertyRead,
    GroupCreate,
    OldBatchPropertyRead,
    OptionInput,
    PropertyCreate,
    PropertyUpdate,
)
from calstream_sandbox.hubspot.replies import batch, json_reply, no_content
from calstream_sandbox.hubspot.requests import check_batch, flag, object_kind, read_body
from calstream_sandbox.hubspot.rows import each_row
from calstream_sandbox.hubspot.versions import ApiVersion


class PropertiesApi:
    """Request handlers for one version of the API."""

    def __init__(self, portal: Portal, version: ApiVersion) -> None:
        self._portal = portal
        self._version = version

    async def list_all(self, request: Request) -> Response:
        """GET /{type}: every definition; none is ever archived and still there."""
        kind = object_kind(request)
        known = [] if flag(request, "archived") else self._portal.properties.all(kind)
        return json_reply({"results": [definition.reply() for definition in known]})

    async def read(self, request: Request) -> Response:
        """GET /{type}/{name}."""
        definition = self._portal.properties.get(object_kind(request), _name(request))
        return json_reply(definition.reply())

    async def create(self, request: Request) -> Response:
        """POST /{type}: 201; 409 when the name is taken."""
        kind = object_kind(request)
        created = self._create(kind, await read_body(request, PropertyCreate))
        return json_reply(created.reply(), HTTPStatus.CREATED)

    async def update(self, request: Request) -> Response:
        """PATCH /{type}/{name}: of a custom property."""
        kind, body = object_kind(request), await read_body(request, PropertyUpdate)
        now_ms = self._portal.now_ms()
        changed = self._portal.properties.update(
            kind, _name(request), lambda old: _updated(old, body, now_ms)
        )
        return json_reply(changed.reply())

    async def archive(self, request: Request) -> Response:
        """DELETE /{type}/{name}: of a custom property."""
        self._archive(object_kind(request), _name(request))
        return no_content()

    async def create_batch(self, request: Request) -> Response:
        """POST /{type}/batch/create."""
        kind = object_kind(request)
        body = await read_body(request, BatchPropertyCreate)
        check_batch([one.name for one in body.inputs])
        results, errors = each_row(body.inputs, lambda one: [self._create(kind, one).reply()])
        status = self._version.batch_created
        return batch(results, errors, self._portal.now_ms(), status=status)

    async def read_batch(self, request: Request) -> Response:
        """POST /{type}/batch/read."""
        kind = object_kind(request)
        body: BatchPropertyRead | OldBatchPropertyRead
        if self._version.needs_sensitivity:
            body = await read_body(request, BatchPropertyRead)
        else:
            body = await read_body(request, OldBatchPropertyRead)
        names = [one.name for one in body.inputs]
        check_batch(names)
        registry = self._portal.properties
        results, errors = each_row(names, lambda name: [registry.get(kind, name).reply()])
        return batch(results, errors, self._portal.now_ms())

    async def archive_batch(self, request: Request) -> Response:
        """POST /{type}/batch/archive."""
        kind = object_kind(request)
        body = await read_body(request, BatchPropertyNames)
        check_batch([one.name for one in body.inputs])
        for one in body.inputs:
            self._archive(kind, one.name)
        return no_content()

    async def list_groups(self, request: Request) -> Response:
        """GET /{type}/groups."""
        groups = self._portal.properties.groups(object_kind(request))
        return json_reply({"results": [_group(name, label) for name, label in groups.items()]})

    async def read_group(self, request: Request) -> Response:
        """GET /{type}/groups/{name}."""
        groups, name = self._portal.properties.groups(object_kind(request)), _name(request)
        if name not in groups:
            raise not_found(f"Property group {name} does not exist")
        return json_reply(_group(name, groups[name]))

    async def create_group(self, request: Request) -> Response:
        """POST /{type}/groups: 201; 409 when the name is taken."""
        kind, body = object_kind(request), await read_body(request, GroupCreate)
        self._portal.properties.add_group(kind, body.name, body.label)
        return json_reply(_group(body.name, body.label), HTTPStatus.CREATED)

    def _create(self, kind: ObjectKind, body: PropertyCreate) -> Definition:
        now_ms = self._portal.now_ms()
        definition = Definition(
            name=body.name,
            label=body.label,
            type=body.type,
            field_type=body.field_type,
            group=body.group_name,
            options=_options(body.options),
            description=body.description,
            unique=body.has_unique_value,
            display_order=body.display_order,
            hidden=body.hidden,
            form_field=body.form_field,
            data_sensitivity=body.data_sensitivity,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        allowed = self._portal.unique_allowed(kind)
        return self._portal.properties.create(kind, definition, unique_allowed=allowed)

    def _archive(self, kind: ObjectKind, name: str) -> None:
        self._portal.properties.archive(kind, name)
        self._portal.records.drop_property(kind, name)


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _options(inputs: Sequence[OptionInput]) -> tuple[Option, ...]:
    return tuple(
        Option(one.value, one.label, one.display_order, one.hidden, one.description)
        for one in inputs
    )


def _group(name: str, label: str) -> dict[str, Any]:
    return {"name": name, "label": label, "displayOrder": -1, "archived": False}


def _updated(old: Definition, body: PropertyUpdate, now_ms: int) -> Definition:
    given = {
        "label": body.label,
        "type": body.type,
        "field_type": body.field_type,
        "group": body.group_name,
        "options": None if body.options is None else _options(body.options),
        "description": body.description,
        "display_order": body.display_order,
        "hidden": body.hidden,
        "form_field": body.form_field,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(old, **changes, updated_ms=now_ms)
