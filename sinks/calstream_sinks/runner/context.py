"""What the runner lends a sink: HTTP clients that time out, count and name themselves."""

from dataclasses import dataclass, field

import httpx

from calstream_core.metrics import SINK_REQUESTS

_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16)


@dataclass
class RunnerContext:
    """Fulfils `SinkContext`. Whoever made it closes it."""

    sink_id: str
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    def http(self, base_url: str) -> httpx.AsyncClient:
        """A client with time-outs, metrics and a user agent; closed by the runner."""

        async def count(response: httpx.Response) -> None:
            SINK_REQUESTS.labels(
                self.sink_id, response.request.method, f"{response.status_code // 100}xx"
            ).inc()

        client = httpx.AsyncClient(
            base_url=base_url,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            headers={"User-Agent": "calstream"},
            event_hooks={"response": [count]},
            follow_redirects=False,
            trust_env=False,
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Closes every client."""
        for client in self._clients:
            await client.aclose()
