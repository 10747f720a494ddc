"""Waiting for what other tasks, threads and the broker do, which they tell only on asking."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

PATIENCE_SECONDS = 60.0
"""For what takes a second or two; a loaded machine may need much longer."""


async def eventually(question: Callable[[], Any | Awaitable[Any]]) -> Any:
    """The first answer that is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = question()
            if isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.02)
