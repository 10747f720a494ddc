"""Faults on request: what a test or a person wants to go wrong, and for which requests."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_EFFECTS = ("status", "error", "applied_then_dropped", "html", "hang_seconds", "malformed")


class Fault(BaseModel):
    """One thing to go wrong. At most one effect; a latency may stand alone or come before it.

    Attributes:
        path_prefix: the start of the path below the vendor's base URL.
        skip: how many matching requests pass unharmed first.
        count: how many matching requests it hits after that.
        applied: the request is carried out before the fault shows.
        status: the reply is an error with this status; 429 carries `policy_name`, or what the
            vendor says most often where that is empty.
        error: the reply is an error of this name, at a vendor whose errors have names (Slack).
        retry_after: the header `Retry-After` in any form, in place of seconds.
        applied_then_dropped: the request is carried out, then the connection breaks in the reply.
        html: 200 with a page of HTML, as a proxy gives; not carried out unless `applied`.
        hang_seconds: no reply for so long, or until the client goes away; then a broken connection.
        malformed: the request is carried out, and its JSON reply is cut in half.
    """

    model_config = ConfigDict(extra="forbid")

    path_prefix: str = "/"
    method: str | None = None
    skip: int = Field(default=0, ge=0)
    count: int = Field(default=1, ge=1)
    applied: bool = False
    latency_seconds: float = Field(default=0.0, ge=0)
    status: int | None = Field(default=None, ge=400, le=599)
    error: str | None = None
    retry_after_seconds: int | None = Field(default=None, ge=0)
    retry_after: str | None = None
    policy_name: str = ""
    applied_then_dropped: bool = False
    html: bool = False
    hang_seconds: float | None = Field(default=None, gt=0)
    malformed: bool = False

    @model_validator(mode="after")
    def _has_one_effect(self) -> Self:
        effects = [name for name in _EFFECTS if getattr(self, name)]
        if len(effects) > 1:
            raise ValueError(f"one effect at a time, not {' and '.join(effects)}")
        if not effects and not self.latency_seconds:
            raise ValueError(f"nothing goes wrong: give latency_seconds or {', '.join(_EFFECTS)}")
        return self

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After`, where one is asked for."""
        seconds = None if self.retry_after_seconds is None else str(self.retry_after_seconds)
        wait = self.retry_after or seconds
        return {} if wait is None else {"retry-after": wait}

    @property
    def effective(self) -> bool:
        """False for a latency alone: the request is answered as usual, later."""
        return any(getattr(self, name) for name in _EFFECTS)

    @property
    def carries_out(self) -> bool:
        """Whether the request is carried out."""
        return self.applied or self.applied_then_dropped or self.malformed

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is of the kind that this fault waits for."""
        return path.startswith(self.path_prefix) and self.method in {None, method}


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that hits one request."""

    fault: Fault
    cleared: asyncio.Event

    async def delay(self, seconds: float) -> None:
        """Lets this time pass; less of it when the faults are cleared meanwhile."""
        with suppress(TimeoutError):  # the time is up: the usual end
            await asyncio.wait_for(self.cleared.wait(), seconds)


class FaultQueue:
    """Faults in the order they were asked for; a request gets the first that fits."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._cleared = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Puts a fault at the end."""
        self._waiting.append(fault.model_copy())

    def clear(self) -> None:
        """Drops every fault that has not shown yet, and ends the delays under way."""
        self._waiting.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def waiting(self) -> list[Fault]:
        """The faults still to come, with what is left of `skip` and `count`."""
        return list(self._waiting)

    def take(self, method: str, path: str) -> Strike | None:
        """The fault that hits a request, counted off; None when it passes unharmed."""
        for fault in self._waiting:
            if not fault.matches(method, path):
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            fault.count -= 1
            if not fault.count:
                self._waiting.remove(fault)
            return Strike(fault, self._cleared)
        return None
