"""Calls to HubSpot's API. A failure is a value, so that a batch that was half done stays known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx

from calstream_core.settings import read_secret
from calstream_sinks.hubspot.config import HubSpotConfig
from calstream_sinks.hubspot.errors import Failure, Trouble, failure_of_reply, json_object

Answer = dict[str, Any] | Failure

MAX_OBJECTS_PER_CALL = 100
_MAX_CONNECT_SECONDS = 5.0

# Raised before the request is on its way, so the call was not made.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HubSpotClient:
    """One account's API in one dated version. Sends each call once; repeats are the runner's.

    The token is read for every call, so a replaced secret counts from the next call on.
    """

    def __init__(self, http: httpx.AsyncClient, config: HubSpotConfig) -> None:
        self._http = http
        self._config = config
        total = config.timeout_seconds
        self._timeout = httpx.Timeout(total, connect=min(total, _MAX_CONNECT_SECONDS))

    def objects(self, object_type: str, action: str = "") -> str:
        """The path of an action on CRM objects, for example `batch/read`."""
        path = f"/crm/objects/{self._config.api_version}/{object_type}"
        return f"{path}/{action}" if action else path

    def associations(self, from_type: str, to_type: str, action: str) -> str:
        """The path of an action on the associations of one object type with another."""
        return f"/crm/associations/{self._config.api_version}/{from_type}/{to_type}/{action}"

    def properties(self, object_type: str, action: str = "") -> str:
        """The path of the properties of an object type, or of their `groups`."""
        path = f"/crm/properties/{self._config.api_version}/{object_type}"
        return f"{path}/{action}" if action else path

    async def get(self, path: str, **query: str) -> Answer:
        """Asks for something."""
        return _as_read(await self._send("GET", path, query=query))

    async def read(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Asks for something by a POST that changes nothing."""
        return _as_read(await self._send("POST", path, body=body))

    async def write(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Changes something. UNKNOWN means that it may have been done all the same."""
        return await self._send("POST", path, body=body)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        token = read_secret(self._config.token, "HubSpot").decode("ascii", "replace")
        try:
            reply = await self._http.request(
                method,
                path,
                json=body,
                params=query or None,
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=self._timeout,
            )
        except _NOT_SENT as error:
            return Failure(Trouble.DOWN, f"HubSpot was not reached: {type(error).__name__}.")
        except httpx.RequestError as error:
            return Failure(Trouble.UNKNOWN, f"No answer from HubSpot: {type(error).__name__}.")
        if not reply.is_success:
            return failure_of_reply(reply)
        if not reply.content:
            return {}
        answer = json_object(reply)
        if answer is None:
            return Failure(
                Trouble.UNKNOWN,
                f"HubSpot answered {reply.status_code} with something that is not JSON.",
            )
        return answer


def results_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a reply's `results`."""
    return _entries(answer, "results")


def errors_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a batch reply's `errors`, for the rows that were not done."""
    return _entries(answer, "errors")


def _entries(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = answer.get(name)
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def _as_read(answer: Answer) -> Answer:
    """A call that changes nothing was either answered or not."""
    if isinstance(answer, Failure) and answer.trouble is Trouble.UNKNOWN:
        return replace(answer, trouble=Trouble.DOWN)
    return answer
