"""The engine's unit tests say nothing: what they provoke would fill the screen."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True, scope="session")
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield
