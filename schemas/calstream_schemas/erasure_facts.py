"""What the facts `erase` and `erased` say: what is asked for, and what a system answers."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import orjson

from calstream_core.errors import Code, RecordError


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """What is asked for when a person is to be erased.

    Attributes:
        deadline: microseconds; the keys are destroyed by then, whatever else is not done.
        systems: the sinks that are waited for until then.
    """

    deadline: int
    systems: tuple[str, ...] = ()

    def encode(self) -> str:
        """As JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def decode(cls, text: str) -> "ErasureOrder":
        """The inverse.

        Raises:
            RecordError: it is no order.
        """
        body = _object(text)
        try:
            systems = tuple(str(each) for each in body["systems"])
            return cls(int(body["deadline"]), systems)
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(error) from error


class Done(StrEnum):
    """What a system did."""

    DELETED = "deleted"  # the object is gone there
    NOTHING = "nothing"  # it had nothing, or no longer
    REFUSED = "refused"  # it would not; a person must see to it
    UNABLE = "unable"  # the sink can't erase; a person must see to it
    KEYS_DESTROYED = "keys_destroyed"  # what the log holds can't be opened any more


@dataclass(frozen=True, slots=True)
class Receipt:
    """A system's answer for one entity.

    Attributes:
        system: a sink, or `calstream` for the keys.
        entity: `kind/id` of what was erased there; empty for the keys.
        done: what it did.
        at: when, microseconds.
        detail: for people, free of personal data.
        seen: for the keys, how many facts that came again are swept too.
    """

    system: str
    entity: str
    done: Done
    at: int
    detail: str = ""
    seen: int = 0

    def encode(self) -> str:
        """As JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def decode(cls, text: str) -> "Receipt":
        """The inverse.

        Raises:
            RecordError: it is no receipt.
        """
        return cls.of(_object(text))

    @classmethod
    def of(cls, body: dict[str, Any]) -> "Receipt":
        """A receipt from its fields.

        Raises:
            RecordError: they are no receipt's.
        """
        try:
            return cls(
                str(body["system"]),
                str(body["entity"]),
                Done(body["done"]),
                int(body["at"]),
                str(body["detail"]),
                int(body.get("seen", 0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(error) from error


def _object(text: str) -> dict[str, Any]:
    try:
        body = orjson.loads(text)
    except ValueError as error:
        raise _unreadable(error) from error
    if not isinstance(body, dict):
        raise _unreadable(TypeError("no object"))
    return body


def _unreadable(error: Exception) -> RecordError:
    return RecordError(Code.RECORD_UNREADABLE, f"not a fact of an erasure: {error!r}")
