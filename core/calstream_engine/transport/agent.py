"""Agents whose failures lose nothing.

Stock Faust acknowledges the record over which an agent stumbled, crashes the actor, and has its
supervisor make another, which may take five seconds. Here the record goes to the dead letters and
the same actor goes on behind it; where the app has no place for them, the worker stops before it.
"""

from collections.abc import AsyncIterable, Awaitable
from typing import Any

from faust.agents import Agent as FaustAgent

from calstream_core.errors import Code, ConfigError
from calstream_engine.transport.messages import EngineMessage


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
        super().__init__(*args, **options)

    async def _execute_actor(self, coro: Awaitable[Any], aref: Any) -> None:
        await super()._execute_actor(self._go_on(coro, aref), aref)

    async def _go_on(self, running: Awaitable[Any], actor: Any) -> None:
        """Runs the agent's function, and again behind each record that it failed at.

        Raises:
            Exception: a failure that is not settled; the supervisor deals with it.
        """
        while True:
            try:
                await running
            except Exception as error:
                if not await self._settled(actor, error):
                    raise
                if self._on_error is not None:
                    await self._on_error(self, error)
                running = self._begun_anew(actor)
            else:
                return

    async def _settled(self, actor: Any, error: Exception) -> bool:
        """Buries the record that the agent failed at; whether there was one and it is buried."""
        consumer: Any = self.app.consumer
        if isinstance(error, ConfigError):  # about the agent and not about a record
            consumer.crash_app(error)
            return False
        stream = actor.stream.get_active_stream()
        event, stream.current_event = stream.current_event, None
        if event is None or not isinstance(event.message, EngineMessage):
            return False
        if await consumer.bury(event.message, error):
            await stream.ack(event)
        return True

    def _begun_anew(self, actor: Any) -> Awaitable[Any]:
        actor.it = self.fun(actor.stream)
        if isinstance(actor.it, AsyncIterable):
            return self._slurp(actor, aiter(actor))
        found: Awaitable[Any] = actor.it
        return found
