"""Request bodies. Zoom ignores fields that it does not know; what it knows must fit."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as ModelError
from starlette.requests import Request

from calstream_sandbox.zoom.errors import ZoomError, invalid, invalid_field

_TIME_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S")
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"


def _time(given: object) -> object:
    if isinstance(given, str):
        for form in _TIME_FORMS:
            try:
                datetime.strptime(given, form)  # noqa: DTZ007 - the zone is a field of its own
            except ValueError:
                continue
            return given
    raise ValueError("Invalid field.")


def _zone(given: object) -> object:
    if not isinstance(given, str):
        raise ValueError("Invalid field.")  # noqa: TRY004 - pydantic takes ValueError alone
    try:
        ZoneInfo(given)
    except (OSError, ValueError, KeyError) as error:  # the last where there is none
        raise ValueError("Invalid field.") from error
    return given


Time = Annotated[str, BeforeValidator(_time)]
Zone = Annotated[str, BeforeValidator(_zone)]
Email = Annotated[str, StringConstraints(max_length=128, pattern=f"^{_EMAIL}$")]
Name = Annotated[str, StringConstraints(max_length=64)]


class Body(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class TrackingField(Body):
    """A marker that is kept with a meeting."""

    field: str
    value: str = ""


class GatheringSettings(Body):
    """The settings that are played; the others are kept nowhere.

    Attributes:
        approval_type: 0 registers at once, 1 after the host's word, 2 needs no registration.
    """

    approval_type: Literal[0, 1, 2] | None = None
    registration_type: Literal[1, 2, 3] | None = None
    registrants_email_notification: bool | None = None
    registrants_confirmation_email: bool | None = None
    waiting_room: bool | None = None
    join_before_host: bool | None = None
    mute_upon_entry: bool | None = None
    host_video: bool | None = None
    participant_video: bool | None = None
    auto_recording: Literal["local", "cloud", "none"] | None = None
    audio: Literal["both", "telephony", "voip", "thirdParty"] | None = None
    contact_email: str | None = None
    contact_name: str | None = None
    email_notification: bool | None = None
    meeting_authentication: bool | None = None


class Gathering(Body):
    """A meeting or a webinar, as it is made and changed."""

    topic: Annotated[str, StringConstraints(max_length=200)] | None = None
    type: int | None = None
    start_time: Time | None = None
    timezone: Zone | None = None
    duration: Annotated[int, Field(ge=1, le=1440)] | None = None
    agenda: Annotated[str, StringConstraints(max_length=2000)] | None = None
    password: Annotated[str, StringConstraints(max_length=10)] | None = None
    settings: GatheringSettings | None = None
    tracking_fields: list[TrackingField] | None = None
    recurrence: dict[str, Any] | None = None


class NewRegistrant(Body):
    """A person who wants to come."""

    email: Email
    first_name: Name
    last_name: Name | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    phone: str | None = None
    comments: str | None = None
    industry: str | None = None
    job_title: str | None = None
    org: str | None = None
    auto_approve: bool | None = None


class ManyRegistrants(Body):
    """Up to 30 people at once."""

    auto_approve: bool | None = None
    registrants: Annotated[list[NewRegistrant], Field(max_length=30)]


class RegistrantId(Body):
    """A registrant, by id or e-mail."""

    id: str | None = None
    email: str | None = None


class StatusChange(Body):
    """What becomes of registrants."""

    action: Literal["approve", "cancel", "deny"]
    registrants: Annotated[list[RegistrantId], Field(max_length=30)] = Field(default_factory=list)


class End(Body):
    """The end of a meeting."""

    action: Literal["end", "recover"] | None = None
    status: Literal["end"] | None = None


_BodyT = TypeVar("_BodyT", bound=Body)


async def read_body(request: Request, model: type[_BodyT]) -> _BodyT:
    """The JSON body as a model; raises ZoomError."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise ZoomError(415, 300, "Unsupported Content Type")
    try:
        return model.model_validate_json(await request.body())
    except ModelError as error:
        fields = [
            {
                "field": ".".join(str(part) for part in each["loc"]),
                "message": "Missing field." if each["type"] == "missing" else "Invalid field.",
            }
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        if fields == [{"field": "", "message": "Invalid field."}]:
            raise ZoomError(400, 300, "Request Body should be a valid JSON object.") from None
        raise invalid(fields) from None


def number(request: Request, name: str, *, default: int, highest: int) -> int:
    """A number of the query, from 1; raises ZoomError."""
    given = request.query_params.get(name, str(default))
    if not (given.isascii() and given.isdecimal() and 1 <= int(given) <= highest):
        raise invalid_field(name)
    return int(given)
