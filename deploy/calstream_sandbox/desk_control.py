"""The part of the control that every vendor has: faults, and what was asked."""

from http import HTTPStatus
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.faults import Fault
from calstream_sandbox.gate import Desk

_FAULTS = TypeAdapter[list[Fault] | Fault](list[Fault] | Fault)


class DeskControl:
    """Request handlers under `/NAME/_control`. A body that does not fit is answered 400."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/faults", self.add_faults, methods=["POST"]),
            Route("/faults", self.list_faults, methods=["GET"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/requests", self.list_requests, methods=["GET"]),
            Route("/requests", self.clear_requests, methods=["DELETE"]),
        ]

    async def add_faults(self, request: Request) -> Response:
        """Queues one fault or a list of them; see `faults.Fault`."""
        try:
            given = _FAULTS.validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        for fault in [given] if isinstance(given, Fault) else given:
            self._desk.faults.add(fault)
        return self._faults()

    async def list_faults(self, _: Request) -> Response:
        """The faults still to come."""
        return self._faults()

    async def clear_faults(self, _: Request) -> Response:
        """Drops the faults still to come."""
        self._desk.faults.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def list_requests(self, _: Request) -> Response:
        """Counts of all requests, and the newest of them."""
        return told(self._desk.journal.report())

    async def clear_requests(self, _: Request) -> Response:
        """Empties the journal."""
        self._desk.journal.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _faults(self) -> Response:
        return told({"faults": [fault.model_dump() for fault in self._desk.faults.waiting()]})


def told(content: Any, status: int = HTTPStatus.OK) -> Response:
    """A reply of the control."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def refusal(error: ValidationError) -> Response:
    """The reply to a body that does not fit."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return told({"error": found}, HTTPStatus.BAD_REQUEST)
