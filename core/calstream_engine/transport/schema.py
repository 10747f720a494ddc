"""How messages are decoded: batches not at all, records without ever raising.

Stock Faust acknowledges a record that can't be decoded and throws the error into the agent. Here
the error becomes the event's value; the stream buries the record before the agent sees it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import faust
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.types import AppT, EventT, Message

Decode = Callable[..., Awaitable[EventT[Any]]]
OnDecodeError = Callable[[Exception, Message], Awaitable[None]]


async def _nobody(_error: Exception, _message: Message) -> None:
    """Is never called: errors are told by the event's value."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for the value of a record that can't be decoded."""

    error: Exception


class RecordSchema(faust.Schema[Any, Any]):
    """Decodes one record."""

    def compile(
        self,
        app: AppT,
        *,
        on_key_decode_error: OnDecodeError = _nobody,
        on_value_decode_error: OnDecodeError = _nobody,
        default_propagate: bool = False,  # noqa: ARG002 - the base's signature
    ) -> Decode:
        """Makes the function that decodes the messages of a channel."""
        decode = super().compile(
            app,
            on_key_decode_error=on_key_decode_error,
            on_value_decode_error=on_value_decode_error,
            default_propagate=True,
        )

        async def decode_or_tell(message: Message, *, propagate: bool = True) -> EventT[Any]:  # noqa: ARG001 - the base's signature
            try:
                event = await decode(message, propagate=True)
            except (KeyDecodeError, ValueDecodeError) as error:
                event = app.create_event(None, Undecodable(error), message.headers, message)
            assert event is not None
            return event

        return decode_or_tell


class BatchSchema(faust.Schema[Any, Any]):
    """Hands a batch over as it is."""

    def compile(
        self,
        app: AppT,
        *,
        on_key_decode_error: OnDecodeError = _nobody,  # noqa: ARG002 - the base's signature
        on_value_decode_error: OnDecodeError = _nobody,  # noqa: ARG002 - the base's signature
        default_propagate: bool = False,  # noqa: ARG002 - the base's signature
    ) -> Decode:
        """Makes the function that decodes the messages of a channel."""
        create_event = app.create_event

        async def decode(message: Message, *, propagate: bool = True) -> EventT[Any]:  # noqa: ARG001 - the base's signature
            event: EventT[Any] = create_event(None, message.value, {}, message)
            return event

        return decode
