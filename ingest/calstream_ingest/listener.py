"""The HTTP server: granian's embedded one, in this process and event loop."""

import asyncio
import socket
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from calstream_core.errors import Code, ConfigError, UnavailableError

_MAX_CONNECTIONS = 800  # granian makes further ones wait; below the usual 1,024 open files
_BACKLOG = 1024
_HEADERS_SECONDS = 10  # idle connections are closed after this too
_HEADER_BYTES = 64 * 1024
_START_SECONDS = 10
_LOOK_SECONDS = 0.02
# granian's own loggers write to standard output; ours all go to standard error
_LOGS: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}

_log = structlog.get_logger()


class Listener:
    """Serves an ASGI application over HTTP/1.1.

    Args:
        app: the application; gets `http` scopes only.
        listen: HOST:PORT; port 0 takes a free one.

    Attributes:
        host: the IP address that is listened at.
        port: the port.

    Raises:
        ConfigError: the address can't be listened at.
    """

    def __init__(self, app: Any, listen: str) -> None:
        self.host, self.port = _free_address(listen)
        self._server = Server(
            app,
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_MAX_CONNECTIONS,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEADERS_SECONDS * 1000, max_buffer_size=_HEADER_BYTES
            ),
            log_level=LogLevels.error,
            log_dictconfig=_LOGS,
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when connections are accepted.

        Raises:
            UnavailableError: the server ended or does not listen within ten seconds.
        """
        self._serving = asyncio.create_task(self._server.serve())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._accepts():
                    if self._serving.done():
                        raise self._ended(self._serving)
                    # granian does not tell when it listens; asking is all there is
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise UnavailableError(
                Code.PROCESS_FAILED, f"The HTTP server does not listen after {_START_SECONDS} s."
            ) from error

    async def run_until(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set.

        Raises:
            UnavailableError: the server ended by itself.
        """
        assert self._serving is not None, "not started"
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((self._serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._serving.done():
            raise self._ended(self._serving)

    async def close(self, patience_seconds: float) -> None:
        """Accepts nothing more, and returns when the last request has been answered.

        Args:
            patience_seconds: after which those that are left are cut off.
        """
        if self._serving is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call]  # granian leaves it without types
        _, late = await asyncio.wait((self._serving,), timeout=patience_seconds)
        if late:
            _log.warning("requests were cut off", after_seconds=patience_seconds)
            self._serving.cancel()

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    @staticmethod
    def _ended(serving: asyncio.Task[None]) -> UnavailableError:
        error = serving.exception()
        # granian appends a stack of its own to the message
        reason = str(error).partition("\n")[0] if error else "no reason given"
        return UnavailableError(Code.PROCESS_FAILED, f"The HTTP server ended: {reason}.")


def _free_address(listen: str) -> tuple[str, int]:
    """The IP address and port to listen at, when nobody else does.

    Granian takes no host names and shares a port with other processes of the same user; so a
    second ingest on one port would start, and each would get a part of the webhooks.
    """
    host, _, port = listen.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # as granian does: connections that were closed a moment ago don't count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            taken = probe.getsockname()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"Ingest can't listen at {listen}: {error}.",
            hint="Does another process? Otherwise set another ingest.listen.",
        ) from error
    return str(taken[0]), int(taken[1])
