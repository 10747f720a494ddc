"""The control of the simulator: hosts, the app's endpoint, time. Not part of Zoom."""

import secrets
from http import HTTPStatus
from typing import Any

import httpx
import orjson
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.desk_control import DeskControl, refusal, told
from calstream_sandbox.sender import Endpoint
from calstream_sandbox.zoom.account import ENDPOINT, Account, AccountSettings
from calstream_sandbox.zoom.signature import delivery_headers, encrypted_token

_VALIDATION_SECONDS = 3


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewEndpoint(_Body):
    """Where the app's events are to go, and its Secret Token."""

    url: AnyHttpUrl
    secret: str = Field(min_length=1)


class NewUser(_Body):
    """A host."""

    email: str
    first_name: str = ""
    last_name: str = ""


class Advance(_Body):
    """Time that passes."""

    seconds: float = Field(gt=0)


class Control:
    """Request handlers under `/zoom/_control`. A body that does not fit is answered 400."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/reset", self.reset, methods=["POST"]),
            Route("/dump", self.dump, methods=["GET"]),
            Route("/endpoint", self.set_endpoint, methods=["POST"]),
            Route("/users", self.add_user, methods=["POST"]),
            Route("/advance", self.advance, methods=["POST"]),
            Route("/settings", self.settings, methods=["GET", "POST"]),
            *DeskControl(self._account.desk).routes(),
        ]

    async def reset(self, _: Request) -> Response:
        """Back to a new account without an endpoint."""
        await self._account.sender.reset()
        self._account.reset()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def dump(self, _: Request) -> Response:
        """Every host, meeting and webinar with its registrants, and the deliveries."""
        account = self._account
        held = [
            each.thing | {"registrants": list(each.registrants.values())}
            for each in account.held.values()
        ]
        deliveries = [each.reply() for each in account.sender.log.select()]
        found = {"users": list(account.users.values()), "deliveries": deliveries}
        for kind in ("meeting", "webinar"):
            found[f"{kind}s"] = [each for each in held if each["kind"] == kind]
        return told(found)

    async def set_endpoint(self, request: Request) -> Response:
        """Asks an address whether it is the app's; events go there only when it has shown it."""
        try:
            given = NewEndpoint.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        url = str(given.url)
        self._account.sender.endpoints.pop(ENDPOINT, None)
        fault = await self._ask(url, given.secret)
        if fault is not None:
            return told({"validated": False, "reason": fault}, HTTPStatus.BAD_REQUEST)
        self._account.sender.endpoints[ENDPOINT] = Endpoint(url, given.secret)
        return told({"validated": True, "url": url})

    async def add_user(self, request: Request) -> Response:
        """Adds a host."""
        try:
            given = NewUser.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        return told(self._account.add_user(given.email, given.first_name, given.last_name))

    async def advance(self, request: Request) -> Response:
        """Moves the account's time ahead."""
        try:
            given = Advance.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        self._account.advance(given.seconds)
        return told({"now": self._account.now_seconds()})

    async def settings(self, request: Request) -> Response:
        """The settings in force; with a body, those given are changed first."""
        if request.method == "POST":
            try:
                changes = AccountSettings.model_validate_json(await request.body())
            except ValidationError as error:
                return refusal(error)
            kept = self._account.settings.model_dump()
            kept |= changes.model_dump(exclude_unset=True)
            self._account.apply_settings(AccountSettings(**kept))
        return told(self._account.settings.model_dump())

    async def _ask(self, url: str, secret: str) -> str | None:
        """Sends `endpoint.url_validation`; what is wrong with the answer, or None."""
        token = secrets.token_urlsafe(16)
        question = {
            "event": "endpoint.url_validation",
            "event_ts": int(self._account.now_seconds() * 1000),
            "payload": {"plainToken": token},
        }
        body = orjson.dumps(question)
        headers = delivery_headers(secret, body, int(self._account.now_seconds()))
        try:
            async with httpx.AsyncClient(timeout=_VALIDATION_SECONDS, trust_env=False) as client:
                reply = await client.post(url, content=body, headers=headers)
            answer: Any = orjson.loads(reply.content)
        except httpx.HTTPError as error:
            return f"no answer: {type(error).__name__}"
        except orjson.JSONDecodeError:
            return "the answer is not JSON"
        if reply.status_code != HTTPStatus.OK:
            return f"the answer has the status {reply.status_code}"
        wanted = {"plainToken": token, "encryptedToken": encrypted_token(secret, token)}
        return None if answer == wanted else "the answer is not the token and its HMAC"
