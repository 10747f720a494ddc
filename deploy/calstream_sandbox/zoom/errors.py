"""Zoom's errors: `{code, message, errors[]}`, their codes beside HTTP's."""

from http import HTTPStatus
from typing import Any

VALIDATION = 300
NOT_POSSIBLE = 3000
NO_SUCH_USER = 1001
NO_SUCH_OBJECT = 3001
HOST = 3027
OVER = 3038
FULL = 3043
TOKEN_EXPIRED = 124


class ZoomError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        fields: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message}
        if fields:
            self.body["errors"] = fields
        self.headers = headers or {}


def invalid(fields: list[dict[str, str]]) -> ZoomError:
    """400: fields that don't fit, each with its message."""
    return ZoomError(HTTPStatus.BAD_REQUEST, VALIDATION, "Validation Failed.", fields=fields)


def invalid_field(field: str, message: str = "Invalid field.") -> ZoomError:
    """400: one field does not fit."""
    return invalid([{"field": field, "message": message}])


def not_possible(message: str, code: int = NOT_POSSIBLE) -> ZoomError:
    """400: the object does not allow it."""
    return ZoomError(HTTPStatus.BAD_REQUEST, code, message)


def no_such_user(user: str) -> ZoomError:
    """404: there is no such host."""
    return ZoomError(HTTPStatus.NOT_FOUND, NO_SUCH_USER, f"User does not exist: {user}.")


def no_such(kind: str, id_: str) -> ZoomError:
    """404: the meeting or webinar is not there, or not any more."""
    return ZoomError(HTTPStatus.NOT_FOUND, NO_SUCH_OBJECT, f"{kind} does not exist: {id_}.")


def bad_token(message: str = "Invalid access token.") -> ZoomError:
    """401: the token is unknown or too old."""
    return ZoomError(HTTPStatus.UNAUTHORIZED, TOKEN_EXPIRED, message)


def too_many(message: str, headers: dict[str, str]) -> ZoomError:
    """429, with the limit in its headers."""
    return ZoomError(
        HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.TOO_MANY_REQUESTS, message, headers=headers
    )
