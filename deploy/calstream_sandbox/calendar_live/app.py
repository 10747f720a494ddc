"""The HTTP side: the delivery log of calendar.live's API, and the control of the simulator."""

import base64
import binascii
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from calstream_sandbox.delivery_log import DeliveryState
from calstream_sandbox.sender import Endpoint, WebhookSender


class NewEndpoint(BaseModel):
    """Where a workspace's webhooks are to go."""

    model_config = ConfigDict(extra="forbid")

    workspace: str
    url: AnyHttpUrl
    secret: str


class NewDelivery(BaseModel):
    """A webhook to be sent. `body` is a JSON object, or raw bytes in base64.

    Attributes:
        wait: answer only when the delivery is settled, at most `wait_seconds` later.
    """

    model_config = ConfigDict(extra="forbid")

    workspace: str
    body: dict[str, Any] | str
    delivery_id: str | None = None
    copies: int = Field(default=1, ge=1, le=1000)
    secret: str | None = None
    wait: bool = False
    wait_seconds: float = Field(default=60.0, gt=0, le=600)

    def raw_body(self) -> bytes:
        """The bytes to send; raises binascii.Error for a text that is no base64."""
        if isinstance(self.body, str):
            return base64.b64decode(self.body, validate=True)
        return orjson.dumps(self.body)


class CalendarLiveApi:
    """Request handlers of calendar.live and of its control."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender

    async def list_deliveries(self, request: Request) -> Response:
        """GET /v1/webhook_deliveries?since=&status=&workspace=, oldest first."""
        query = request.query_params
        try:
            since = datetime.fromisoformat(query["since"]) if "since" in query else None
            state = DeliveryState(query["status"]) if "status" in query else None
        except ValueError:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "since or status")
        if since is not None and since.tzinfo is None:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "since has no time zone")
        found = self._sender.log.select(since=since, state=state, workspace=query.get("workspace"))
        return _json({"data": [delivery.reply() for delivery in found]})

    async def redeliver(self, request: Request) -> Response:
        """POST /v1/webhook_deliveries/{id}/redeliver: 202, same delivery id."""
        delivery_id = request.path_params["delivery_id"]
        delivery = self._sender.log.find(delivery_id)
        if delivery is None:
            return _error(HTTPStatus.NOT_FOUND, "not_found", f"no delivery {delivery_id}")
        self._sender.redeliver(delivery)
        return _json(delivery.reply(), HTTPStatus.ACCEPTED)

    async def set_endpoint(self, request: Request) -> Response:
        """POST /_control/endpoint."""
        try:
            wanted = NewEndpoint.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid(error)
        self._sender.endpoints[wanted.workspace] = Endpoint(str(wanted.url), wanted.secret)
        return _json({"workspace": wanted.workspace, "url": str(wanted.url)})

    async def send(self, request: Request) -> Response:
        """POST /_control/deliveries: answers with the entry of the log."""
        try:
            wanted = NewDelivery.model_validate_json(await request.body())
            raw_body = wanted.raw_body()
        except ValidationError as error:
            return _invalid(error)
        except binascii.Error:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "body is no base64")
        if wanted.workspace not in self._sender.endpoints:
            message = f"workspace {wanted.workspace} has no endpoint"
            return _error(HTTPStatus.NOT_FOUND, "not_found", message)
        delivery = self._sender.submit(
            wanted.workspace,
            raw_body,
            delivery_id=wanted.delivery_id,
            copies=wanted.copies,
            secret=wanted.secret,
        )
        if wanted.wait:
            await self._sender.settle([delivery], timeout_seconds=wanted.wait_seconds)
        return _json({"data": [delivery.reply()]})

    async def reset(self, _: Request) -> Response:
        """POST /_control/reset: no endpoints, no deliveries."""
        await self._sender.reset()
        return Response(status_code=HTTPStatus.NO_CONTENT)


def build_calendar_live(sender: WebhookSender) -> list[BaseRoute]:
    """The routes to mount under the vendor's name."""
    api = CalendarLiveApi(sender)
    log = "/v1/webhook_deliveries"
    control = [
        Route("/endpoint", api.set_endpoint, methods=["POST"]),
        Route("/deliveries", api.send, methods=["POST"]),
        Route("/reset", api.reset, methods=["POST"]),
    ]
    return [
        Route(log, api.list_deliveries, methods=["GET"]),
        Route(log + "/{delivery_id}/redeliver", api.redeliver, methods=["POST"]),
        Mount("/_control", routes=control),
    ]


def _json(content: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    error = {"code": code, "message": message, "request_id": f"req_{uuid4().hex[:16]}"}
    return _json({"error": error}, status)


def _invalid(error: ValidationError) -> Response:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    message = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
    return _error(HTTPStatus.BAD_REQUEST, "invalid_request", message)
