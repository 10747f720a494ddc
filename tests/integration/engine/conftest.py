"""Topics of a test's own on the broker that tests share, and workers that none leaves behind."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from tests.integration.engine.topics import Topics
from tests.integration.engine.workers import Workers


@pytest.fixture(autouse=True, scope="session")
def quiet() -> Iterator[None]:
    """What these tests provoke would fill the screen."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
def topics(broker: str) -> Iterator[Topics]:
    """Makes topics, writes to them and reads them."""
    with Topics(broker) as made:
        yield made


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Runs apps in this process."""
    made = Workers()
    yield made
    await made.close()
