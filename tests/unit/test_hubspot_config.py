"""The settings of a HubSpot sink, and its token."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
from pydantic import ValidationError

from calstream_core.errors import Code, ConfigError
from calstream_sinks.hubspot import HubSpotConfig, HubSpotSink
from calstream_sinks.runner.context import RunnerContext

CONFIG = HubSpotConfig.model_validate({"token": {"env": "HUBSPOT_TOKEN"}})


@dataclass
class AnsweringHubSpot:
    """A context whose HubSpot answers everything in one way."""

    answer: Callable[[httpx.Request], httpx.Response]
    sink_id: str = "hubspot"

    def http(self, base_url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base_url, transport=httpx.MockTransport(self.answer))


async def test_a_sink_without_its_token_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBSPOT_TOKEN", raising=False)
    with pytest.raises(ConfigError) as raised:
        await HubSpotSink(CONFIG, RunnerContext("hubspot")).open()
    assert raised.value.code is Code.SECRET_MISSING


async def test_a_replaced_token_counts_from_the_next_call_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens: list[str] = []

    def keep_token(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers["Authorization"])
        return httpx.Response(200, json={"results": []})

    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-sandbox")
    sink = HubSpotSink(CONFIG, AnsweringHubSpot(keep_token))
    await sink.open()
    await sink.lookup("contact", ["1"])
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-new")
    await sink.lookup("contact", ["1"])
    assert tokens == ["Bearer pat-sandbox", "Bearer pat-new"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "api.hubapi.com"),
        ("base_url", "https://api.hubapi.com/"),
        ("api_version", "v3"),
        ("search_settle_seconds", -1),
        ("tokn", "x"),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        HubSpotConfig.model_validate({"token": {"env": "HUBSPOT_TOKEN"}, key: value})


def test_how_long_search_lags_is_a_setting() -> None:
    sink = HubSpotSink(CONFIG, RunnerContext("hubspot"))
    assert sink.settle_seconds == HubSpotSink.manifest.settle_seconds
    given = {"token": {"env": "HUBSPOT_TOKEN"}, "search_settle_seconds": 0.5}
    config = HubSpotConfig.model_validate(given)
    assert HubSpotSink(config, RunnerContext("hubspot")).settle_seconds == 0.5
