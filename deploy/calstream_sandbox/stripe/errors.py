"""Stripe's errors: `{"error": {type, code, message, param, ...}}` with their statuses."""

from http import HTTPStatus
from typing import Any

_DOCS = "https://stripe.com/docs/error-codes"


class StripeError(Exception):
    """An answer that is an error.

    Attributes:
        status: the HTTP status.
        error: what stands in `error`.
        headers: that come with it.
        executed: whether the call had begun, so that its answer is kept for its idempotency key.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.headers = headers or {}
        self.error: dict[str, Any] = {"message": message, "type": kind}
        if code is not None:
            self.error |= {"code": code, "doc_url": f"{_DOCS}/{code.replace('_', '-')}"}
        if param is not None:
            self.error["param"] = param
        self.error |= more

    def body(self, request_id: str) -> dict[str, Any]:
        """The reply's body."""
        log = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**self.error, "request_log_url": log}}


def invalid_request(
    message: str, *, code: str | None = None, param: str | None = None, **more: Any
) -> StripeError:
    """400: the request can't be carried out as it is."""
    kind = "invalid_request_error"
    return StripeError(HTTPStatus.BAD_REQUEST, kind, message, code=code, param=param, **more)


def required(param: str) -> StripeError:
    """400: a parameter is missing."""
    return invalid_request(
        f"Missing required param: {param}.", code="parameter_missing", param=param
    )


def missing(
    kind: str, given: str, param: str, *, status: int = HTTPStatus.NOT_FOUND
) -> StripeError:
    """404 for an id in the path, 400 for one in a parameter."""
    return StripeError(
        status,
        "invalid_request_error",
        f"No such {kind}: '{given}'",
        code="resource_missing",
        param=param,
    )


def not_played(param: str) -> StripeError:
    """400: Stripe has it, the simulator has not."""
    return invalid_request(f"{param} is not played by the sandbox.", param=param)


def rate_limited(reason: str) -> StripeError:
    """429, with the limit that was hit in its header."""
    return StripeError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "invalid_request_error",
        "Request rate limit exceeded. You can learn more about rate limits here "
        "https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers={"stripe-rate-limited-reason": reason, "stripe-should-retry": "true"},
    )


def card_declined(decline_code: str, **more: Any) -> StripeError:
    """402: the bank says no. The call was carried out."""
    return StripeError(
        HTTPStatus.PAYMENT_REQUIRED,
        "card_error",
        "Your card has insufficient funds."
        if decline_code == "insufficient_funds"
        else "Your card was declined.",
        code="card_declined",
        executed=True,
        decline_code=decline_code,
        **more,
    )


def trouble(status: int) -> StripeError:
    """An error of Stripe's own."""
    message = "An unknown error occurred; the sandbox was asked for it."
    kind = "api_error"
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "invalid_request_error"
    return StripeError(status, kind, message, executed=True)
