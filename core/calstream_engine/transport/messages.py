"""How records reach Faust's agents: as messages that know their claim."""

from typing import Any

from faust.types.tuples import TP, ConsumerMessage, Message

from calstream_engine.claim import Claim
from calstream_engine.records import Batch, Record, offset_of, weight_of
from calstream_engine.watermark import Span

_MILLISECONDS = 1000.0


class EngineMessage(ConsumerMessage):
    """A message under a claim: one record, or a batch of them as its value.

    Attributes:
        claim: under which it was read.
        span: what is done once it is acknowledged.
        weight: what it takes of the room in flight.
    """

    __slots__ = ("claim", "span", "weight")

    claim: Claim
    span: Span
    weight: int


def record_message(claim: Claim, record: Record, span: Span) -> EngineMessage:
    """One record, as agents of Faust's manual expect it."""
    _kind, milliseconds = record.timestamp()
    message = _message(
        claim, offset_of(record), record.key(), record.value(), milliseconds / _MILLISECONDS
    )
    message.headers = record.headers() or []
    message.span = span
    message.weight = weight_of([record])
    return message


def batch_message(claim: Claim, batch: Batch, span: Span) -> EngineMessage:
    """A batch as one message."""
    message = _message(claim, offset_of(batch.records[0]), None, batch, 0.0)
    message.span = span
    message.weight = batch.weight
    return message


def has_ended(message: Message) -> bool:
    """Whether it was read under a claim that has ended: nothing done for it counts any more."""
    return isinstance(message, EngineMessage) and message.claim.ended


def _message(claim: Claim, offset: int, key: Any, value: Any, at: float) -> EngineMessage:
    message = EngineMessage(
        claim.place.topic,
        claim.place.partition,
        offset,
        at,
        0,
        None,
        key,
        value,
        None,
        0,
        0,
        TP(claim.place.topic, claim.place.partition),
    )
    message.claim = claim
    return message
