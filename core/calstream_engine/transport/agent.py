"""Agents whose failures lose nothing.

Stock Faust acknowledges the record over which an agent stumbled, and restarts the agent behind it.
Here the record goes to the dead letters first; where the app has none, the worker stops before it.
"""

import asyncio
from typing import Any

import structlog
from faust.agents import Agent as FaustAgent
from faust.types import AgentT

from calstream_core.errors import Code, ConfigError
from calstream_engine.transport.messages import EngineMessage

_log = structlog.get_logger()


class Agent(FaustAgent):
    """An agent as Faust's manual describes it, on the engine's transport.

    Raises:
        ConfigError: an option that Faust's own rebalance would be needed for.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        if options.get("isolated_partitions"):
            raise ConfigError(
                Code.ENGINE_UNSUPPORTED,
                "Agents can't have isolated partitions: the engine moves partitions one by one.",
                hint="A batch is of one partition: `calstream_engine.batch_agent`.",
            )
        users = options.pop("on_error", None)

        async def on_error(agent: AgentT[Any], error: BaseException) -> None:
            if users is not None:
                try:
                    await users(agent, error)
                except Exception:  # noqa: BLE001 - the record is settled all the same
                    _log.exception("an agent's on_error failed", agent=agent.name)
            await self._settle_failure(error)

        super().__init__(*args, on_error=on_error, **options)

    async def _settle_failure(self, error: BaseException) -> None:
        consumer: Any = self.app.consumer
        if isinstance(error, ConfigError):  # about the agent and not about a record
            consumer.crash_app(error)
            return
        for actor in list(self._actors):
            event = actor.stream.get_active_stream().current_event
            task = actor.actor_task
            failed = task is not None and (task.done() or task is asyncio.current_task())
            if not failed or event is None or not isinstance(event.message, EngineMessage):
                continue
            if await consumer.bury(event.message, error):
                await actor.stream.ack(event)
            actor.stream.current_event = None
