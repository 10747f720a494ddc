"""The simulator as one ASGI application: key, limits, idempotency, then the call."""

import asyncio
import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from calstream_sandbox.faults import Fault
from calstream_sandbox.gate import Gate, path_below
from calstream_sandbox.stripe.account import API_VERSION, Account
from calstream_sandbox.stripe.api import Api, Call
from calstream_sandbox.stripe.checkout import Checkout
from calstream_sandbox.stripe.control import Control
from calstream_sandbox.stripe.errors import StripeError, invalid_request, rate_limited, trouble
from calstream_sandbox.stripe.form import parse_form
from calstream_sandbox.stripe.idempotency import Kept

_VERSION = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(\.[a-z_]+)?(; .+)?")
_FORM = "application/x-www-form-urlencoded"


def build_stripe(account: Account) -> list[BaseRoute]:
    """The routes to mount under the vendor's name."""
    checkout = Checkout(account)
    vendor = Vendor(account, checkout)
    return [
        Mount("/_control", routes=Control(account, checkout).routes()),
        Mount("/", app=Gate(vendor, account.desk, vendor.fault_reply)),
    ]


class Vendor:
    """Stripe's API as an ASGI application."""

    def __init__(self, account: Account, checkout: Checkout) -> None:
        self._account = account
        self._checkout = checkout
        self._timer: asyncio.TimerHandle | None = None
        self._calls = [
            (method, re.compile(path.replace("{id}", "([^/]+)")), path, call)
            for (method, path), call in Api(account, checkout).calls().items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        request_id = self._account.new_id("req")
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        headers = {"request-id": request_id, "stripe-version": API_VERSION}
        if key is not None:
            headers["idempotency-key"] = key
        try:
            kept, replayed = await self._answer(request, key, request_id, headers)
        except StripeError as error:
            kept, replayed = _kept(error, request_id), False
            headers |= error.headers
        if replayed:
            headers |= {"idempotent-replayed": "true", "original-request": kept.request_id}
        reply = Response(kept.body, kept.status, headers, media_type="application/json")
        await reply(scope, receive, send)

    def fault_reply(self, fault: Fault) -> Response:
        """The error that a fault asks for, as Stripe writes it."""
        status = fault.status or HTTPStatus.BAD_GATEWAY
        too_many = status == HTTPStatus.TOO_MANY_REQUESTS
        error = rate_limited(fault.policy_name or "global-rate") if too_many else trouble(status)
        request_id = self._account.new_id("req")
        headers = {"request-id": request_id, **error.headers, **fault.headers}
        kept = _kept(error, request_id)
        return Response(kept.body, status, headers, media_type="application/json")

    async def _answer(
        self, request: Request, key: str | None, request_id: str, headers: dict[str, str]
    ) -> tuple[Kept, bool]:
        account = self._account
        self._authorise(request)
        version = request.headers.get("stripe-version", API_VERSION)
        if _VERSION.fullmatch(version) is None:
            raise invalid_request(f"Invalid Stripe API version: {version}")
        headers["stripe-version"] = version
        path = path_below(request.scope)
        call, id_, template = self._find(request.method, path)
        reason = account.limits.refusal(f"{request.method} {template}", account.now_seconds())
        if reason is not None:
            raise rate_limited(reason)
        body = await request.body()
        params = _params(request, body)
        if key is not None:
            kept = account.keys.begin(key, request.method, path, body, account.now_seconds())
            if kept is not None:
                return kept, True
        try:
            if request.method == "POST" and account.settings.processing_seconds:
                await asyncio.sleep(account.settings.processing_seconds)  # as was asked for
            account.request = {"id": request_id, "idempotency_key": key}
            kept = self._execute(call, params, id_, request_id)
        except BaseException:
            if key is not None:
                account.keys.release(key)
            raise
        if key is not None:
            account.keys.keep(key, kept)
        return kept, False

    def _execute(self, call: Call, params: Mapping[str, Any], id_: str, request_id: str) -> Kept:
        self._checkout.expire_due()
        try:
            return Kept(HTTPStatus.OK, orjson.dumps(call(params, id_)), request_id)
        except StripeError as error:
            if error.executed:
                return _kept(error, request_id)
            raise
        finally:
            self._account.request = {"id": None, "idempotency_key": None}
            self._await_expiry()

    def _await_expiry(self) -> None:
        """Has the next session end when its time is up, whether anyone asks or not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._checkout.next_expiry()
        if due is not None:
            wait_seconds = max(0.0, due - self._account.now_seconds())
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait_seconds, self._checkout.expire_due)

    def _authorise(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except ValueError:
                given = ""
        if not given:
            raise StripeError(
                HTTPStatus.UNAUTHORIZED,
                "invalid_request_error",
                "You did not provide an API key. You need to provide your API key in the "
                "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                "YOUR_SECRET_KEY').",
                headers={"www-authenticate": 'Bearer realm="Stripe"'},
            )
        if given != self._account.key:
            shown = f"{given[:8]}{'*' * 8}"
            raise StripeError(
                HTTPStatus.UNAUTHORIZED,
                "invalid_request_error",
                f"Invalid API Key provided: {shown}",
                headers={"www-authenticate": 'Bearer realm="Stripe"'},
            )

    def _find(self, method: str, path: str) -> tuple[Call, str, str]:
        for verb, pattern, template, call in self._calls:
            fitting = pattern.fullmatch(path)
            if verb == method and fitting is not None:
                return call, fitting[1] if fitting.groups() else "", template
        raise StripeError(
            HTTPStatus.NOT_FOUND,
            "invalid_request_error",
            f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, "
            "remove the trailing slash. If you are trying to retrieve an object, make sure you "
            "passed a valid (non-empty) identifier in your code.",
        )


def _params(request: Request, body: bytes) -> dict[str, Any]:
    if request.method != "POST":
        return parse_form(request.url.query)
    if request.url.query:
        raise invalid_request("Invalid request: parameters of a POST go into its body.")
    content_type = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if body and content_type != _FORM:
        raise invalid_request(
            f"Invalid request (check that your POST content type is {_FORM}). If you have "
            "questions, we can help at https://support.stripe.com/."
        )
    try:
        return parse_form(body.decode())
    except UnicodeDecodeError as error:
        raise invalid_request("Invalid request: the body is no UTF-8.") from error


def _kept(error: StripeError, request_id: str) -> Kept:
    return Kept(error.status, orjson.dumps(error.body(request_id)), request_id)
