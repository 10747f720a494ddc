"""The control API of the simulator, for tests, the demo and people. Not part of HubSpot."""

from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.hubspot.faults import Fault
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal, PortalSettings
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.replies import json_reply, no_content, whole


class NewOwner(BaseModel):
    """An owner to be added."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    email: str
    first_name: str = ""
    last_name: str = ""


_FAULTS = TypeAdapter[list[Fault] | Fault](list[Fault] | Fault)
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
            Route("/faults", self.add_faults, methods=["POST"]),
            Route("/faults", self.list_faults, methods=["GET"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/requests", self.list_requests, methods=["GET"]),
            Route("/requests", self.clear_requests, methods=["DELETE"]),
            Route("/settings", self.show_settings, methods=["GET"]),
            Route("/settings", self.change_settings, methods=["POST"]),
        ]

    async def wipe(self, _: Request) -> Response:
        """Removes every object; properties, owners, settings and faults stay."""
        self._portal.wipe()
        return no_content()

    async def reset(self, _: Request) -> Response:
        """Back to the account of the start."""
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

    async def add_owners(self, request: Request) -> Response:
        """Adds owners from a list of `{email, firstName, lastName}`; answers with them."""
        try:
            wanted = _OWNERS.validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        now_ms = self._portal.now_ms()
        added = [
            self._portal.owners.add(one.email, one.first_name, one.last_name, now_ms)
            for one in wanted
        ]
        return json_reply({"results": [owner.reply() for owner in added]})

    async def add_faults(self, request: Request) -> Response:
        """Queues one fault or a list of them; see `faults.Fault`."""
        try:
            given = _FAULTS.validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error)
        for fault in [given] if isinstance(given, Fault) else given:
            self._portal.faults.add(fault)
        return self._faults()

    async def list_faults(self, _: Request) -> Response:
        """The faults still to come."""
        return self._faults()

    async def clear_faults(self, _: Request) -> Response:
        """Drops the faults still to come."""
        self._portal.faults.clear()
        return no_content()

    async def list_requests(self, _: Request) -> Response:
        """Counts of all requests, and the newest of them."""
        return json_reply(self._portal.journal.report())

    async def clear_requests(self, _: Request) -> Response:
        """Empties the journal."""
        self._portal.journal.clear()
        return no_content()

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
            return _refusal(error)
        except (orjson.JSONDecodeError, TypeError):
            return json_reply({"error": "a JSON object is wanted"}, HTTPStatus.BAD_REQUEST)
        self._portal.apply_settings(settings)
        return json_reply(settings.model_dump())

    def _faults(self) -> Response:
        waiting = [fault.model_dump() for fault in self._portal.faults.waiting()]
        return json_reply({"faults": waiting})

    def _dumped(self, record: Record) -> dict[str, Any]:
        links = {
            kind.value: [str(target_id) for target_id, _ in targets]
            for kind in ObjectKind
            if (targets := self._portal.links.targets(record, kind))
        }
        return whole(record) | {"associations": links}


def _refusal(error: ValidationError) -> Response:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return json_reply({"error": found}, HTTPStatus.BAD_REQUEST)
