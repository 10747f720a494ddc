"""The simulator as one ASGI application: the vendor's routes behind the gate, and the control."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from calstream_sandbox.gate import Gate
from calstream_sandbox.hubspot.admission import Admission, error_reply
from calstream_sandbox.hubspot.associations_api import AssociationsApi
from calstream_sandbox.hubspot.batch_api import BatchApi
from calstream_sandbox.hubspot.control import Control
from calstream_sandbox.hubspot.errors import HubSpotError
from calstream_sandbox.hubspot.objects_api import ObjectsApi
from calstream_sandbox.hubspot.owners_api import OwnersApi
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.properties_api import PropertiesApi
from calstream_sandbox.hubspot.replies import MEDIA_TYPE, json_reply
from calstream_sandbox.hubspot.versions import VERSIONS, ApiVersion


def build_hubspot(portal: Portal) -> list[BaseRoute]:
    """The routes to mount under the vendor's name."""
    routes = [route for version in VERSIONS for route in _vendor_routes(portal, version)]
    vendor = Starlette(
        routes=routes,
        exception_handlers={HubSpotError: _refusal, HTTPException: _no_such_call},
    )
    vendor.router.redirect_slashes = False
    return [
        Mount("/_control", routes=Control(portal).routes()),
        Mount("/", app=Gate(Admission(vendor, portal), portal.desk, error_reply, MEDIA_TYPE)),
    ]


def _vendor_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    return [
        *_owner_routes(portal, version),
        *_property_routes(portal, version),
        *_association_routes(portal, version),
        *_batch_routes(portal, version),
        *_object_routes(portal, version),
    ]


def _object_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    api = ObjectsApi(portal, version)
    many = version.objects + "/{object_type}"
    one = many + "/{object_id}"
    return [
        Route(many + "/search", api.search, methods=["POST"]),
        Route(many + "/gdpr-delete", api.gdpr_delete, methods=["POST"]),
        Route(many, api.list_page, methods=["GET"]),
        Route(many, api.create, methods=["POST"]),
        Route(one, api.read, methods=["GET"]),
        Route(one, api.update, methods=["PATCH"]),
        Route(one, api.archive, methods=["DELETE"]),
    ]


def _batch_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    api = BatchApi(portal, version)
    prefix = version.objects + "/{object_type}/batch"
    return [
        Route(prefix + "/create", api.create, methods=["POST"]),
        Route(prefix + "/update", api.update, methods=["POST"]),
        Route(prefix + "/upsert", api.upsert, methods=["POST"]),
        Route(prefix + "/read", api.read, methods=["POST"]),
        Route(prefix + "/archive", api.archive, methods=["POST"]),
    ]


def _association_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    api = AssociationsApi(portal, version)
    many = version.associations + "/{object_type}/{to_object_type}/batch"
    one = version.object_associations + "/{object_type}/{object_id}/associations"
    routes = [
        Route(many + "/create", api.create_batch, methods=["POST"]),
        Route(many + "/associate/default", api.create_default_batch, methods=["POST"]),
        Route(many + "/read", api.read_batch, methods=["POST"]),
        Route(many + "/archive", api.archive_batch, methods=["POST"]),
        Route(many + "/labels/archive", api.archive_labels_batch, methods=["POST"]),
        Route(one + "/default/{to_object_type}/{to_object_id}", api.put_default, methods=["PUT"]),
        Route(one + "/{to_object_type}/{to_object_id}", api.put, methods=["PUT"]),
        Route(one + "/{to_object_type}/{to_object_id}", api.remove, methods=["DELETE"]),
    ]
    if version.lists_associations:
        routes.append(Route(one + "/{to_object_type}", api.list_page, methods=["GET"]))
    return routes


def _property_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    api = PropertiesApi(portal, version)
    many = version.properties + "/{object_type}"
    return [
        Route(many + "/batch/create", api.create_batch, methods=["POST"]),
        Route(many + "/batch/read", api.read_batch, methods=["POST"]),
        Route(many + "/batch/archive", api.archive_batch, methods=["POST"]),
        Route(many + "/groups", api.list_groups, methods=["GET"]),
        Route(many + "/groups", api.create_group, methods=["POST"]),
        Route(many + "/groups/{name}", api.read_group, methods=["GET"]),
        Route(many, api.list_all, methods=["GET"]),
        Route(many, api.create, methods=["POST"]),
        Route(many + "/{name}", api.read, methods=["GET"]),
        Route(many + "/{name}", api.update, methods=["PATCH"]),
        Route(many + "/{name}", api.archive, methods=["DELETE"]),
    ]


def _owner_routes(portal: Portal, version: ApiVersion) -> list[Route]:
    api = OwnersApi(portal)
    return [
        Route(version.owners, api.list_page, methods=["GET"]),
        Route(version.owners + "/", api.list_page, methods=["GET"]),  # as HubSpot's client asks
        Route(version.owners + "/{owner_id}", api.read, methods=["GET"]),
    ]


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HubSpotError)
    return json_reply(error.body(), error.status)


async def _no_such_call(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    refused = HubSpotError(status, "NOT_FOUND", f"{status.phrase}: no such call")
    return json_reply(refused.body(), status, error.headers)
