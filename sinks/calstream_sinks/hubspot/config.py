"""What can be set for a HubSpot sink: the keys of `[sinks.<id>]` that are HubSpot's."""

from typing import Annotated

from pydantic import Field, StringConstraints

from calstream_core.settings import SecretReference
from calstream_sinks.api import SinkConfig

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+[^\s?#/]$")]
ApiVersion = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")]


class HubSpotConfig(SinkConfig):
    """One HubSpot account.

    Attributes:
        token: the token of a service key, private app or project app with static authentication.
        base_url: where the API is, without a slash at the end.
        api_version: the dated version in every path; written for and tested with 2026-09.
        search_settle_seconds: how long HubSpot's search may still miss a meeting that was made.
        timeout_seconds: how long one call may be silent.
    """

    token: SecretReference
    base_url: BaseUrl = "https://api.hubapi.com"
    api_version: ApiVersion = "2026-09"
    search_settle_seconds: float = Field(default=30, ge=0, le=600)
    timeout_seconds: float = Field(default=20, gt=0, le=120)
