"""The running sinks process, as the command line sees it: what it still has to do, resyncs."""

from dataclasses import dataclass
from typing import Any, Self

import httpx

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.settings import Settings
from calstream_core.stack_state import read_stack
from calstream_ops.stack_processes import SINKS

_TIMEOUT_SECONDS = 15
_NOT_PENDING = frozenset({"dead"})


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How one sink does.

    Attributes:
        fault: what keeps it from working, or None.
        pending: entities that are not settled, by ledger state, and `ready` for those at work.
        resync: how far the last resync is, as the runner tells it; None where there was none.
    """

    fault: str | None
    pending: dict[str, int]
    resync: dict[str, Any] | None

    @property
    def dead(self) -> int:
        """Entities that were given up."""
        return self.pending.get("dead", 0)

    @property
    def unsettled(self) -> int:
        """Entities that something will still be done for."""
        return sum(count for state, count in self.pending.items() if state not in _NOT_PENDING)

    @property
    def is_busy(self) -> bool:
        """Whether a resync goes on or something is left to do."""
        running = self.resync is not None and bool(self.resync["running"])
        return running or self.unsettled > 0


class SinksProcess:
    """Asks the health listener of the sinks process. A context manager.

    Args:
        address: HOST:PORT of its health listener.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = httpx.Client(
            base_url=f"http://{address}",
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            headers={"X-Calstream-Action": "1"},
        )

    @classmethod
    def find(cls, settings: Settings, address: str | None = None) -> Self:
        """The process at an address, by default the one of the stack on this machine.

        Raises:
            UnavailableError: no address is given, and none runs here.
        """
        if address is not None:
            return cls(address)
        stack = read_stack(settings.state.directory)
        process = stack.find(SINKS) if stack else None
        if process is None or not process.identity.is_alive():
            raise UnavailableError(
                Code.STACK_NOT_RUNNING,
                "No sinks process runs on this machine.",
                hint="Start it with `calstream up`, or name one elsewhere with --address.",
            )
        return cls(process.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def show(self) -> dict[str, SinkStatus]:
        """How every sink of the process does.

        Raises:
            UnavailableError: it does not answer.
        """
        return {
            sink_id: SinkStatus(its["fault"], its["pending"], its["resync"])
            for sink_id, its in self._post("/v1/sinks", {}).items()
        }

    def resync(self, sink_id: str, mode: str) -> None:
        """Starts a resync; one that runs already goes on.

        Raises:
            CalstreamError: the process refuses.
            UnavailableError: it does not answer.
        """
        self._post("/v1/sinks/resync", {"sink": sink_id, "mode": mode})

    def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        try:
            reply = self._client.post(path, json=body)
            answer: Any = reply.json()
        except (httpx.RequestError, httpx.InvalidURL, ValueError) as error:
            raise UnavailableError(
                Code.STACK_NOT_RUNNING,
                f"The sinks process does not answer at {self._address}: {type(error).__name__}.",
                hint="`calstream status` shows how it does.",
            ) from error
        if reply.is_success and isinstance(answer, dict):
            return answer
        raise _refusal(answer)


def _refusal(answer: Any) -> CalstreamError:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict) or error.get("code") not in set(Code):
        return UnavailableError(
            Code.STACK_NOT_RUNNING, "Something else than a sinks process answers there."
        )
    return CalstreamError(
        Code(error["code"]), str(error.get("message", "")), hint=str(error.get("hint", ""))
    )
