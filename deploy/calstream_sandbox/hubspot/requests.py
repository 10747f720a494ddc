"""Reading requests: bodies, query parameters and object types, refused as HubSpot refuses them."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from calstream_sandbox.hubspot.bodies import Body
from calstream_sandbox.hubspot.errors import HubSpotError, invalid
from calstream_sandbox.hubspot.kinds import ObjectKind, find_kind

MAX_BATCH = 100

_BodyT = TypeVar("_BodyT", bound=Body)


async def read_body(request: Request, model: type[_BodyT]) -> _BodyT:
    """The JSON body; raises HubSpotError 415 for another type, 400 for JSON that does not fit."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise HubSpotError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "VALIDATION_ERROR",
            f"Unsupported media type {content_type}",
        )
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise _invalid_json(error) from None


def _invalid_json(error: ValidationError) -> HubSpotError:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    missing = [
        ".".join(str(part) for part in one["loc"]) for one in found if one["type"] == "missing"
    ]
    if missing:
        reason = f"Some required fields were not set: [{', '.join(missing)}]"
    else:
        reason = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])} {one['msg']}".strip() for one in found
        )
    return invalid(f"Invalid input JSON on line 1, column 2: {reason}")


def object_kind(request: Request, parameter: str = "object_type") -> ObjectKind:
    """The kind that a path names; raises HubSpotError 400."""
    name = request.path_params[parameter]
    kind = find_kind(name)
    if kind is None:
        raise invalid(f"Unable to infer object type from: {name}")
    return kind


def names(request: Request, parameter: str) -> list[str]:
    """A list parameter, given with commas, repeated, or both."""
    given = request.query_params.getlist(parameter)
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def kinds(request: Request, parameter: str) -> list[ObjectKind]:
    """A list parameter of object types; raises HubSpotError 400."""
    found: list[ObjectKind] = []
    for name in names(request, parameter):
        kind = find_kind(name)
        if kind is None:
            raise invalid(f"Unable to infer object type from: {name}")
        found.append(kind)
    return found


def flag(request: Request, parameter: str) -> bool:
    """A boolean parameter, in any case, false by default; raises HubSpotError 400."""
    value = request.query_params.get(parameter, "false").lower()
    if value not in {"true", "false"}:
        raise invalid(f"{parameter} is true or false, not {value}")
    return value == "true"


def number(request: Request, parameter: str, *, default: int, highest: int) -> int:
    """A number from 1 to `highest`; raises HubSpotError 400."""
    value = request.query_params.get(parameter, str(default))
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= highest):
        raise invalid(f"{parameter} is a number from 1 to {highest}, not {value}")
    return int(value)


def cursor(request: Request) -> int:
    """The paging cursor, 0 at the start; raises HubSpotError 400."""
    return read_cursor(request.query_params.get("after"))


def read_cursor(value: str | None) -> int:
    """A paging cursor of ours; raises HubSpotError 400 for another text."""
    if not value:
        return 0
    if not (value.isascii() and value.isdecimal()):
        raise invalid(f"{value} is not a paging cursor")
    return int(value)


def refuse_history(asked_for: Sequence[str]) -> None:
    """Raises HubSpotError 400: the simulator keeps no history of values."""
    if asked_for:
        raise invalid("propertiesWithHistory is not played by the sandbox")


def check_batch(ids: Sequence[object], *, limit: int = MAX_BATCH) -> None:
    """Raises HubSpotError 400 for too many inputs or for two that are the same."""
    if len(ids) > limit:
        raise invalid(f"Inputs size can not exceed {limit}, it is {len(ids)}")
    if len(set(ids)) < len(ids):
        twice = sorted({str(one) for one, count in Counter(ids).items() if count > 1})
        raise invalid(
            f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique",
            context={"ids": twice},
        )
