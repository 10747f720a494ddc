"""What HubSpot's replies mean for us: one table by status, one by category of a row's error.

HubSpot's own messages quote the values that it refuses, so they are never passed on: only codes,
property names and the correlation id, by which HubSpot's support finds the call.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NoReturn

import httpx

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_sinks.api import Deferred, Missing, Outcome, Refused

HINT = "Check the token and its scopes, then run `calstream sink check` for this sink."
MISSING_PROPERTY = "PROPERTY_DOESNT_EXIST"

_PROPERTY_IN_MESSAGE = re.compile(r"propertyName=(\w+)|\"name\"\s*:\s*\"(\w+)\"")
# An upsert by a property of ours that is not there, or was made by hand and is not unique.
_NOT_UNIQUE = "by non-unique"
_EXISTING_ID = re.compile(r"Existing ID:\s*(\d+)")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")


class Trouble(StrEnum):
    """What a failure means for the changes of the call."""

    REFUSED = "refused"  # nothing was written; the same again will be refused again
    TAKEN = "taken"  # nothing was written; another contact has the e-mail address
    GONE = "gone"  # nothing was written; an object that was named is not there
    DENIED = "denied"  # nothing was written; a person must change the settings
    BUSY = "busy"  # nothing was written; HubSpot asks to wait
    DOWN = "down"  # nothing was written; HubSpot was not reached
    UNKNOWN = "unknown"  # it may have been written


STATUS: Mapping[int, Trouble] = {
    400: Trouble.REFUSED,
    401: Trouble.DENIED,
    403: Trouble.DENIED,
    404: Trouble.GONE,
    409: Trouble.TAKEN,
    423: Trouble.BUSY,
    429: Trouble.BUSY,
    477: Trouble.BUSY,  # the account moves to another data centre
    503: Trouble.DOWN,
    521: Trouble.DOWN,  # 521 and 523: the proxy did not reach HubSpot
    523: Trouble.DOWN,
}
"""What a status means. Other 4xx: REFUSED. Other 5xx, such as 502, 504 and 524: UNKNOWN, because a
proxy gave up waiting for an answer. Anything else: DOWN. 4xx without JSON: DOWN, it is a proxy's.
"""

CATEGORY: Mapping[str, Trouble] = {
    "CONFLICT": Trouble.TAKEN,
    "OBJECT_NOT_FOUND": Trouble.GONE,
    "RATE_LIMITS": Trouble.BUSY,
    "MISSING_SCOPES": Trouble.DENIED,
    "INTERNAL_ERROR": Trouble.UNKNOWN,
}
"""What the category of one row's error in a batch reply means. Any other: REFUSED."""

WAIT_SECONDS: Mapping[str, float] = {"TEN_SECONDLY_ROLLING": 10, "SECONDLY": 1, "DAILY": 900}
"""How long to wait by the policy of a 429 without Retry-After; a window is rolling."""
_LOCKED, _LOCKED_SECONDS = 423, 2.0

_STOPPING = frozenset({Trouble.DENIED, Trouble.BUSY, Trouble.DOWN, Trouble.UNKNOWN})
_BATCH_CODES = frozenset({Code.SINK_MISCONFIGURED, Code.RATE_LIMITED, Code.SINK_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call, or one row of it, did not do what was asked.

    Attributes:
        summary: for people, free of personal data.
        codes: HubSpot's codes of what is wrong.
        fields: the properties at fault.
        blamed: the ids and trace ids that HubSpot names.
        existing_id: the object that has the value already.
    """

    trouble: Trouble
    summary: str
    codes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    blamed: frozenset[str] = frozenset()
    existing_id: str | None = None
    retry_after_seconds: float | None = None

    @property
    def stops(self) -> bool:
        """Whether it is no use to send more calls now."""
        return self.trouble in _STOPPING

    def unsent(self) -> "Failure":
        """The same for what was not sent because of it."""
        unknown = self.trouble is Trouble.UNKNOWN
        return replace(self, trouble=Trouble.DOWN) if unknown else self


def failure_of_reply(reply: httpx.Response) -> Failure:
    """Why a reply other than 2xx came."""
    body = json_object(reply)
    status = reply.status_code
    client_error, server_error = reply.is_client_error, reply.is_server_error
    if body is None and client_error and status not in (401, 423, 429, 477):
        return Failure(Trouble.DOWN, f"HubSpot answered {status} with something that is not JSON.")
    fallback = Trouble.REFUSED if client_error else Trouble.DOWN
    trouble = STATUS.get(status, Trouble.UNKNOWN if server_error else fallback)
    found = _failure(trouble, str(status), body or {})
    if trouble is Trouble.GONE and (body or {}).get("category") != "OBJECT_NOT_FOUND":
        return replace(found, trouble=Trouble.DENIED)  # no such path: wrong address or version
    if trouble is Trouble.BUSY:
        return replace(found, retry_after_seconds=_wait_seconds(reply, body or {}))
    return found


def failure_of_row(error: Mapping[str, Any]) -> Failure:
    """Why one row of a batch was not written, from an entry of the reply's `errors`."""
    category = str(error.get("category") or "")
    return _failure(CATEGORY.get(category, Trouble.REFUSED), "one row", error)


def json_object(reply: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of a reply; None if it holds anything else."""
    try:
        body = reply.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def outcome_of(failure: Failure) -> Outcome:
    """What a failure means for a change of an object that is there."""
    match failure.trouble:
        case Trouble.REFUSED | Trouble.TAKEN:
            field = "email" if failure.trouble is Trouble.TAKEN else ""
            fields = failure.fields or (field,)
            return Refused(Code.VENDOR_REFUSED, failure.summary, fields[0])
        case Trouble.GONE:
            return Missing()
        case Trouble.DENIED:
            return Deferred(Code.SINK_MISCONFIGURED, failure.summary)
        case Trouble.BUSY:
            return Deferred(Code.RATE_LIMITED, failure.summary, failure.retry_after_seconds)
        case Trouble.DOWN:
            return Deferred(Code.SINK_UNAVAILABLE, failure.summary, failure.retry_after_seconds)
        case Trouble.UNKNOWN:
            return Deferred(Code.OUTCOME_UNKNOWN, failure.summary, unknown=True)


def raise_failure(failure: Failure) -> NoReturn:
    """Raises what a failure means for a whole call.

    Raises:
        ConfigError: a person must change something.
        UnavailableError: later it may work.
    """
    if failure.trouble in (Trouble.DENIED, Trouble.REFUSED, Trouble.GONE, Trouble.TAKEN):
        raise ConfigError(Code.SINK_MISCONFIGURED, failure.summary, hint=HINT)
    busy = failure.trouble is Trouble.BUSY
    raise UnavailableError(
        Code.RATE_LIMITED if busy else Code.SINK_UNAVAILABLE,
        failure.summary,
        retry_after_seconds=failure.retry_after_seconds,
    )


def raise_if_nothing_was_done(outcomes: Iterable[Outcome]) -> None:
    """Turns a batch of which nothing could be tried into the error that concerns all of it.

    Raises:
        ConfigError: HubSpot did not let us in.
        UnavailableError: HubSpot was not reached, or asks to wait.
    """
    waiting: list[Deferred] = []
    for outcome in outcomes:
        if not isinstance(outcome, Deferred) or outcome.unknown or outcome.code not in _BATCH_CODES:
            return
        waiting.append(outcome)
    for outcome in waiting:
        if outcome.code is Code.SINK_MISCONFIGURED:
            raise ConfigError(outcome.code, outcome.message, hint=HINT)
    if waiting:
        longest = max(waiting, key=lambda outcome: outcome.retry_after_seconds or 0)
        raise UnavailableError(
            longest.code, longest.message, retry_after_seconds=longest.retry_after_seconds
        )


def _failure(trouble: Trouble, what: str, error: Mapping[str, Any]) -> Failure:
    details = [item for item in error.get("errors") or () if isinstance(item, Mapping)]
    contexts = [_context(item) for item in (error, *details)]
    message = str(error.get("message") or "")
    if trouble is Trouble.REFUSED and _NOT_UNIQUE in message:
        return Failure(Trouble.DENIED, "The property by which HubSpot should upsert is not unique.")
    fields = [
        name
        for context in contexts
        for names in (context.get("propertyName", ()), context.get("properties", ()))
        for name in names
    ]
    if not fields:
        fields = [a or b for a, b in _PROPERTY_IN_MESSAGE.findall(message)]
    blamed = [*_context(error).get("objectWriteTraceId", ()), *_context(error).get("ids", ())]
    codes = [str(item["code"]) for item in details if _CODE.fullmatch(str(item.get("code")))]
    existing = _EXISTING_ID.search(message)
    said = [str(error.get("category") or ""), *codes, str(error.get("policyName") or "")]
    reasons = ", ".join(dict.fromkeys(word for word in said if _CODE.fullmatch(word)))
    summary = f"HubSpot answered {what}" if what.isdigit() else f"HubSpot did not take {what}"
    summary += f": {reasons}" if reasons else ""
    summary += f" for {', '.join(dict.fromkeys(fields))}" if fields else ""
    if isinstance(correlation := error.get("correlationId"), str):
        summary += f" (correlation id {correlation[:36]})"
    return Failure(
        trouble,
        summary + ".",
        codes=tuple(codes),
        fields=tuple(dict.fromkeys(fields)),
        blamed=frozenset(blamed),
        existing_id=existing.group(1) if existing else None,
    )


def _context(error: Mapping[str, Any]) -> dict[str, list[str]]:
    """The context of an error. The specification says lists of strings; JSON in a string occurs."""
    context = error.get("context")
    if isinstance(context, str):
        try:
            context = json.loads(context)
        except ValueError:
            return {}
    if not isinstance(context, Mapping):
        return {}
    return {
        str(name): [str(value) for value in values]
        for name, values in context.items()
        if isinstance(values, list)
    }


def _wait_seconds(reply: httpx.Response, body: Mapping[str, Any]) -> float | None:
    """How long HubSpot asks to wait. Retry-After is documented for 477 only; a 429 may have it."""
    try:
        return max(0.0, float(reply.headers["Retry-After"]))
    except (KeyError, ValueError):
        if reply.status_code == _LOCKED:
            return _LOCKED_SECONDS
        return WAIT_SECONDS.get(str(body.get("policyName")))
