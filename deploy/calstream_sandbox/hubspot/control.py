"""The control API of the simulator, for tests, the demo and people. Not part of HubSpot."""

from http import HTTPStatus
from typing import Any

import orjson
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.desk_control import DeskControl, refusal
from calstream_sandbox.hubspot.change_events import BY_API, BY_PERSON
from calstream_sandbox.hubspot.errors import HubSpotError
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal, PortalSettings
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.replies import json_reply, no_content, whole
from calstream_sandbox.hubspot.writes import Writer


class NewOwner(BaseModel):
    """An owner to be added."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    email: str
    first_name: str = ""
    last_name: str = ""


class NewEndpoint(BaseModel):
    """Where an app's webhooks are to go, and its client secret."""

    model_config = ConfigDict(extra="forbid")

    url: AnyHttpUrl
    secret: str


class Edit(BaseModel):
    """What a person changes in HubSpot's pages: a record's properties, or nothing but its end."""

    model_config = ConfigDict(extra="forbid")

    kind: ObjectKind
    id: str
    properties: dict[str, str] | None = None


_OWNERS = TypeAdapter(list[NewOwner])


class Control:
    """Request handlers under `/hubspot/_control`. A body that does not fit is answered 400."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/wipe", self.wipe, methods=["POST"]),
            Route("/reset", self.reset, methods=["POST"]),
            Route("/dump", self.dump, methods=["GET"]),
            Route("/owners", self.add_owners, methods=["POST"]),
            Route("/endpoint", self.set_endpoint, methods=["POST"]),
            Route("/edit", self.edit, methods=["POST"]),
            *DeskControl(self._portal.desk).routes(),
            Route("/settings", self.show_settings, methods=["GET"]),
            Route("/settings", self.change_settings, methods=["POST"]),
        ]

    async def wipe(self, _: Request) -> Response:
        """Removes every object; properties, owners, settings and faults stay."""
        self._portal.wipe()
        return no_content()

    async def reset(self, _: Request) -> Response:
        """Back to the account of the start, without an app's endpoint."""
        await self._portal.events.sender.reset()
        self._portal.reset()
        return no_content()

    async def dump(self, _: Request) -> Response:
        """Every live object with its associations, the custom properties and the owners."""
        portal = self._portal
        return json_reply(
            {
                kind.value: [self._dumped(record) for record in portal.records.live(kind)]
                for kind in ObjectKind
            }
            | {
                "custom_properties": {
                    kind.value: portal.properties.custom_names(kind) for kind in ObjectKind
                },
                "owners": [owner.reply() for owner in portal.owners.all()],
            }
        )

    async def set_endpoint(self, request: Request) -> Response:
        """Has every change sent to an address, signed."""
        try:
            given = NewEndpoint.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        self._portal.events.install(str(given.url), given.secret)
        return json_reply({"url": str(given.url)})

    async def edit(self, request: Request) -> Response:
        """A person changes a record, or archives it where no properties are given."""
        portal = self._portal
        try:
            given = Edit.model_validate_json(await request.body())
            record = portal.records.get(given.kind, given.id)
            if record is None:
                return json_reply({"error": "no such record"}, HTTPStatus.NOT_FOUND)
            portal.events.source = BY_PERSON
            writer = Writer(portal, given.kind)
            if given.properties is None:
                writer.archive(record)
            else:
                writer.apply(writer.plan(record, given.properties))
        except ValidationError as error:
            return refusal(error)
        except HubSpotError as error:
            return json_reply(error.body(), error.status)
        finally:
            portal.events.source = BY_API
        return json_reply(whole(record))

    async def add_owners(self, request: Request) -> Response:
        """Adds owners from a list of `{email, firstName, lastName}`; answers with them."""
        try:
            wanted = _OWNERS.validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        now_ms = self._portal.now_ms()
        added = [
            self._portal.owners.add(one.email, one.first_name, one.last_name, now_ms)
            for one in wanted
        ]
        return json_reply({"results": [owner.reply() for owner in added]})

    async def show_settings(self, _: Request) -> Response:
        """The settings in force."""
        return json_reply(self._portal.settings.model_dump())

    async def change_settings(self, request: Request) -> Response:
        """Changes the settings given; the others stay."""
        try:
            given = orjson.loads(await request.body())
            known = self._portal.settings.model_dump()
            settings = PortalSettings.model_validate({**known, **given})
        except ValidationError as error:
            return refusal(error)
        except (orjson.JSONDecodeError, TypeError):
            return json_reply({"error": "a JSON object is wanted"}, HTTPStatus.BAD_REQUEST)
        self._portal.apply_settings(settings)
        return json_reply(settings.model_dump())

    def _dumped(self, record: Record) -> dict[str, Any]:
        links = {
            kind.value: [str(target_id) for target_id, _ in targets]
            for kind in ObjectKind
            if (targets := self._portal.links.targets(record, kind))
        }
        return whole(record) | {"associations": links}
