"""How ingest learns whether the broker takes webhooks."""

import asyncio

import pytest
from structlog.testing import capture_logs

from calstream_ingest import broker
from calstream_ingest.broker import BrokerHealth


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_ASK_EVERY_SECONDS", 0.001)


async def until(health: BrokerHealth, fault: str | None) -> None:
    async with asyncio.timeout(10):
        while health.fault() != fault:  # noqa: ASYNC110 - the thread that asks gives no sign
            await asyncio.sleep(0.001)


async def test_a_broker_that_goes_and_comes_is_noticed_without_any_webhook() -> None:
    state: list[str | None] = [None]
    health = BrokerHealth(lambda: state[0])
    with capture_logs() as logs:
        watching = asyncio.create_task(health.watch())
        await until(health, None)
        state[0] = "gone"
        await until(health, "gone")
        state[0] = None
        await until(health, None)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    # one line for each change, however often it is asked
    assert [line["log_level"] for line in logs] == ["error", "info"]


async def test_a_failed_record_is_a_fault_until_one_is_confirmed() -> None:
    health = BrokerHealth(lambda: None)
    assert health.fault() is None
    health.failed("not confirmed")
    assert health.fault() == "not confirmed"
    health.confirmed()
    assert health.fault() is None
