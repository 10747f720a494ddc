"""Agents whose failures lose nothing.

Stock Faust acknowledges the record over which an agent stumbled, and restarts the agent behind it.
Here the record goes to the dead letters first; where the app has none, the worker stops before it.
"""

import asyncio
from typing import Any

from faust.agents import Agent as FaustAgent
from faust.types import AgentT

from calstream_engine.transport.messages import EngineMessage


class Agent(FaustAgent):
    """An agent as Faust's manual describes it, on the engine's transport."""

    def __init__(self, *args: Any, **options: Any) -> None:
        users = options.pop("on_error", None)

        async def on_error(agent: AgentT[Any], error: BaseException) -> None:
            if users is not None:
                await users(agent, error)
            await self._settle_failure(error)

        super().__init__(*args, on_error=on_error, **options)

    async def _settle_failure(self, error: BaseException) -> None:
        for actor in list(self._actors):
            event = actor.stream.get_active_stream().current_event
            task = actor.actor_task
            failed = task is not None and (task.done() or task is asyncio.current_task())
            if not failed or event is None or not isinstance(event.message, EngineMessage):
                continue
            consumer: Any = self.app.consumer
            if await consumer.bury(event.message, error):
                await actor.stream.ack(event)
            actor.stream.current_event = None
