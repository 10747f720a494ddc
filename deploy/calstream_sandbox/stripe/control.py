"""The control of the simulator: what a customer, a bank and time do. Not part of Stripe."""

from http import HTTPStatus
from typing import Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calstream_sandbox.desk_control import DeskControl, refusal, told
from calstream_sandbox.stripe.account import Account, AccountSettings
from calstream_sandbox.stripe.checkout import Checkout
from calstream_sandbox.stripe.errors import StripeError


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewEndpoint(_Body):
    """Where events are to go, and what signs them."""

    url: AnyHttpUrl
    secret: str = Field(min_length=1)


class Pay(_Body):
    """What the customer does on a session's page."""

    outcome: Literal["succeeded", "declined", "processing"] = "succeeded"
    email: str | None = None
    name: str | None = None


class Settle(_Body):
    """What the bank says of a payment that was on its way."""

    succeeded: bool


class Advance(_Body):
    """Time that passes."""

    seconds: float = Field(gt=0)


class Redeliver(_Body):
    """Sends an event again."""

    event: str


class Control:
    """Request handlers under `/stripe/_control`. A body that does not fit is answered 400."""

    def __init__(self, account: Account, checkout: Checkout) -> None:
        self._account = account
        self._checkout = checkout

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/reset", self.reset, methods=["POST"]),
            Route("/dump", self.dump, methods=["GET"]),
            Route("/endpoints", self.add_endpoint, methods=["POST"]),
            Route("/endpoints", self.clear_endpoints, methods=["DELETE"]),
            Route("/sessions/{id}/pay", self.pay, methods=["POST"]),
            Route("/sessions/{id}/settle", self.settle, methods=["POST"]),
            Route("/advance", self.advance, methods=["POST"]),
            Route("/redeliver", self.redeliver, methods=["POST"]),
            Route("/settings", self.settings, methods=["GET", "POST"]),
            *DeskControl(self._account.desk).routes(),
        ]

    async def reset(self, _: Request) -> Response:
        """Back to a new account, without endpoints."""
        await self._account.sender.reset()
        self._account.reset()
        self._checkout.forget()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def dump(self, _: Request) -> Response:
        """Every object by kind, and the idempotency keys."""
        self._checkout.expire_due()
        kinds = {kind: list(found.values()) for kind, found in self._account.things.items()}
        deliveries = [each.reply() for each in self._account.sender.log.select()]
        keys = dict(self._account.keys.report())
        return told({**kinds, "deliveries": deliveries, "idempotency_keys": keys})

    async def add_endpoint(self, request: Request) -> Response:
        """Has every event sent to an address."""
        try:
            given = NewEndpoint.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        return told({"id": self._account.add_endpoint(str(given.url), given.secret)})

    async def clear_endpoints(self, _: Request) -> Response:
        """Sends nothing more to anyone."""
        await self._account.sender.reset()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def pay(self, request: Request) -> Response:
        """The customer pays, or tries to."""
        try:
            given = Pay.model_validate_json(await request.body() or b"{}")
            self._checkout.expire_due()
            session = self._session(request)
            self._checkout.pay(session, given.outcome, given.email, given.name)
        except ValidationError as error:
            return refusal(error)
        except StripeError as error:
            return told(error.body(""), error.status)
        return told(session)

    async def settle(self, request: Request) -> Response:
        """The bank's word on a payment that was on its way."""
        try:
            given = Settle.model_validate_json(await request.body())
            session = self._session(request)
            self._checkout.settle(session, succeeded=given.succeeded)
        except ValidationError as error:
            return refusal(error)
        except StripeError as error:
            return told(error.body(""), error.status)
        return told(session)

    async def advance(self, request: Request) -> Response:
        """Moves the account's time ahead; sessions whose time is up expire."""
        try:
            given = Advance.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        self._account.advance(given.seconds)
        self._checkout.expire_due()
        return told({"now": self._account.now()})

    async def redeliver(self, request: Request) -> Response:
        """Sends an event again, as `stripe events resend` does."""
        try:
            given = Redeliver.model_validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        return told({"data": [each.reply() for each in self._account.redeliver(given.event)]})

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

    def _session(self, request: Request) -> dict[str, object]:
        return self._account.find("checkout.session", request.path_params["id"], "session")
