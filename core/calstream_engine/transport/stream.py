"""Streams that acknowledge what was handled, and nothing else.

Stock Faust acknowledges an event when the agent's body is left, however it is left: also by an
exception, and when it is cancelled. Here an event is acknowledged when the body asks for the next
one. What raised stays the stream's `current_event`, for the agent to bury, and the stream goes on
for whoever iterates over it next.
"""

import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NoReturn

import faust
from faust.exceptions import Skip
from faust.streams import _current_event
from faust.types import EventT
from mode.utils.futures import maybe_async

from calstream_core.errors import Code, ConfigError
from calstream_engine.transport.messages import EngineMessage
from calstream_engine.transport.schema import Undecodable


class Stream(faust.Stream[Any]):
    """A stream of a topic that the engine's consumer reads, or of any other channel."""

    _started_by_iteration = False

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterates over the values; each is acknowledged when the next is asked for."""
        iterator: AsyncGenerator[Any, None] = self._values()
        self._active_agens.add(iterator)
        return iterator

    async def _values(self) -> AsyncGenerator[Any, None]:
        self._finalized = True
        if await self.maybe_start():
            self._started_by_iteration = True
        channel = aiter(self.channel) if not hasattr(self.channel, "__anext__") else self.channel
        try:
            while not self.should_stop:
                event, value = await self._next_event(channel)
                if value is not self._skipped_value:
                    self.events_total += 1
                    yield value
                # not in a `finally`: what raised is not acknowledged
                if event is not None and (self.enable_acks or value is self._skipped_value):
                    await self.ack(event)
                self.current_event = None
        except StopAsyncIteration:
            pass  # the agent is being stopped
        finally:
            self._channel_stop_iteration(self.channel)
        # not in the `finally`: an iteration that was left is followed by another
        if self._started_by_iteration:
            self._started_by_iteration = False
            await self.stop()
            self.service_reset()

    async def _next_event(self, channel: AsyncIterator[Any]) -> tuple[EventT[Any] | None, Any]:
        """The next event that is still ours, with its value."""
        while True:
            found = await anext(channel)
            if not isinstance(found, EventT):
                self.current_event = None
                return None, await self._processed(found)
            message = found.message
            if isinstance(message, EngineMessage):
                if not message.claim.active:
                    self._consumer.abandon(message)
                    continue
                if isinstance(found.value, Undecodable):
                    if await self._consumer.bury(message, found.value.error):
                        await self.ack(found)
                    continue
            _current_event.set(weakref.ref(found))
            self.current_event = found
            return found, await self._processed(found.value)

    async def _processed(self, value: Any) -> Any:
        try:
            for processor in self._processors:
                value = await maybe_async(processor(value))
            return await self.on_merge(value)
        except Skip:
            return self._skipped_value

    @property
    def _consumer(self) -> Any:
        return self.app.consumer

    def take(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refused: it acknowledges a whole buffer, also when handling it failed.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED,
            "Streams can't `take`: Faust acknowledges the whole buffer even if handling it failed.",
            hint="Use a batch agent: `calstream_engine.batch_agent`.",
        )

    take_events = take_with_timestamp = noack_take = take
