"""One webhook in, observations and problems out: the entry of the pure part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from calstream_core.errors import Code, RecordError
from calstream_core.sealing import Erased
from calstream_processors.normalise import calendar_live
from calstream_processors.normalise.body import Body, Problem
from calstream_processors.normalise.calendar_live_reading import SYSTEM
from calstream_schemas.observations import Observation
from calstream_schemas.webhooks import ReceivedWebhook


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of a webhook.

    Attributes:
        observations: in the order in which they must be resolved.
        problems: what could not be used, though the rest was.
        kept_raw: what could not be read and was kept as it was given; nothing is missing.
        outcome: `observed`, `unknown` for a type that the contract does not name, `no_normaliser`
            for a source that is verified and kept but not read yet, or `erased` where the key of
            its day was destroyed.
    """

    observations: tuple[Observation, ...]
    problems: tuple[Problem, ...]
    outcome: str
    kept_raw: tuple[Problem, ...] = ()


Reader = Callable[[ReceivedWebhook, Body, str], tuple[list[Observation], str]]

_READERS: Mapping[str, Reader] = {SYSTEM: calendar_live.read}


def normalise(webhook: ReceivedWebhook, default_country: str) -> Normalised:
    """Turns a webhook into observations; pure.

    Args:
        webhook: as it was received.
        default_country: for phone numbers without one.

    Raises:
        RecordError: nothing of it can be used; it belongs to the dead letters.
    """
    reader = _READERS.get(webhook.source)
    if reader is None:
        # it is genuine, and stays in `webhooks`: no dead letter, which would count as a fault
        return Normalised((), (), "no_normaliser")
    if isinstance(webhook.body, Erased):
        return Normalised((), (), "erased")
    body = Body(_parse(webhook.body))
    observations, outcome = reader(webhook, body, default_country)
    return Normalised(tuple(observations), tuple(body.problems), outcome, tuple(body.kept_raw))


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RecordError(Code.JSON_INVALID, f"The body is not JSON: {error.msg}.") from error
    if not isinstance(parsed, dict):
        raise RecordError(Code.BODY_INVALID, "The body is not a JSON object.")
    return parsed
