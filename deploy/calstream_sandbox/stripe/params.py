"""Types of parameters, strict as Stripe's are, and Stripe's words for what does not fit."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as ModelError
from pydantic_core import ErrorDetails, PydanticCustomError

from calstream_sandbox.stripe.errors import StripeError, invalid_request, not_played, required
from calstream_sandbox.stripe.form import parameter

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_CURRENCY = re.compile(r"[a-zA-Z]{3}")
_MAX_METADATA = 50
_MAX_KEY = 40
_MAX_VALUE = 500
_MODEL_CODES = {
    "int_type": "Invalid integer",
    "bool_type": "Invalid boolean",
    "string_type": "Invalid string",
    "model_type": "Invalid object",
    "model_attributes_type": "Invalid object",
    "dict_type": "Invalid object",
    "list_type": "Invalid array",
}


def _integer(given: object) -> object:
    if not isinstance(given, str) or _INTEGER.fullmatch(given) is None:
        raise PydanticCustomError("parameter_invalid_integer", "Invalid integer: {x}", {"x": given})
    return int(given)


def _boolean(given: object) -> object:
    if given not in {"true", "false"}:
        raise PydanticCustomError("invalid", "Invalid boolean: {x}", {"x": given})
    return given == "true"


def _url(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise PydanticCustomError("url_invalid", "Not a valid URL")
    return given


def _email(given: str) -> str:
    if _EMAIL.fullmatch(given) is None:
        raise PydanticCustomError("email_invalid", "Invalid email address: {x}", {"x": given})
    return given


def _currency(given: str) -> str:
    if _CURRENCY.fullmatch(given) is None:
        raise PydanticCustomError("invalid", "Invalid currency: {x}.", {"x": given})
    return given.lower()


def _array(given: object) -> object:
    if isinstance(given, Mapping) and all(key.isdecimal() for key in given):
        return [given[key] for key in sorted(given, key=int)]
    return given


def _metadata(given: object) -> object:
    if given == "":
        return {}
    if not isinstance(given, Mapping):
        return given
    if len(given) > _MAX_METADATA:
        raise PydanticCustomError(
            "invalid", "Metadata can have at most 50 keys, {x} were given", {"x": len(given)}
        )
    for key, value in given.items():
        if len(key) > _MAX_KEY or (isinstance(value, str) and len(value) > _MAX_VALUE):
            raise PydanticCustomError(
                "invalid",
                "Metadata keys have at most 40 characters, values at most 500: {x}",
                {"x": key},
            )
    return given


_T = TypeVar("_T")
Text = Annotated[str, StringConstraints(min_length=1, max_length=5000)]
Integer = Annotated[int, BeforeValidator(_integer)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Url = Annotated[Text, BeforeValidator(lambda given: _url(given) if given else given)]
Email = Annotated[Text, BeforeValidator(lambda given: _email(given) if given else given)]
Currency = Annotated[Text, BeforeValidator(lambda given: _currency(given) if given else given)]
Array = Annotated[list[_T], BeforeValidator(_array)]
Metadata = Annotated[dict[str, str], BeforeValidator(_metadata)]


class Params(BaseModel):
    """The parameters of one call.

    Attributes:
        not_played: those that Stripe has besides, as one text with blanks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    not_played: ClassVar[str] = ""

    expand: Array[Text] = Field(default_factory=list)


class Part(BaseModel):
    """A group of parameters within others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_ParamsT = TypeVar("_ParamsT", bound=Params)


def read_params(given: Mapping[str, Any], model: type[_ParamsT]) -> _ParamsT:
    """The parameters as a model.

    Raises:
        StripeError: they don't fit; the first that does not is told, as Stripe does.
    """
    try:
        return model.model_validate(given)
    except ModelError as error:
        raise _refusal(error.errors(include_url=False), model) from None


def _refusal(errors: list[ErrorDetails], model: type[Params]) -> StripeError:
    # Stripe looks at names first, then at what is missing, then at values
    order = {"extra_forbidden": 0, "missing": 1}
    first = min(errors, key=lambda each: order.get(each["type"], 2))
    name, kind = parameter(first["loc"]), first["type"]
    if kind == "missing":
        return required(name)
    if kind == "extra_forbidden" and name in model.not_played.split():
        return not_played(name)
    code, message = _told(name, first)
    return invalid_request(message, code=code, param=name)


def _told(name: str, error: ErrorDetails) -> tuple[str | None, str]:
    """The code and the words for a value that does not fit."""
    context, given = error.get("ctx", {}), error["input"]
    known = {
        "extra_forbidden": ("parameter_unknown", f"Received unknown parameter: {name}"),
        "literal_error": (
            None,
            f"Invalid {name}: must be one of {str(context.get('expected')).replace(chr(39), '')}",
        ),
        "string_too_long": (
            None,
            f"Invalid string: {name} must be at most {context.get('max_length')} characters",
        ),
        "string_too_short": (
            "parameter_invalid_empty",
            f"You passed an empty string for '{name}'; '{name}' cannot be unset.",
        ),
        **{kind: (None, f"{what}: {given}") for kind, what in _MODEL_CODES.items()},
    }
    code = None if error["type"] == "invalid" else error["type"]
    return known.get(error["type"], (code, error["msg"]))
