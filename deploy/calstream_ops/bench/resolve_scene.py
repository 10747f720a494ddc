"""What the resolver's bench works on: a workspace that knows many people, and what they book."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from calstream_core.sealing import KeyStore
from calstream_ops.bench.bookings import WORKSPACE, Bookings
from calstream_processors.normalise import normalise
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.keys_ahead import keys_ahead
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities.avro import encode_entity, entity_headers
from calstream_schemas.webhooks import ReceivedWebhook, encode_received

COUNTRY = "US"

_AT_ONCE = 1000
_SEED = 1

T = TypeVar("T")


class Written(NamedTuple):
    """A record to be written."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] | None = None


class Scene(NamedTuple):
    """All that is written before or while processors run.

    Attributes:
        state: the entities that are known before.
        warm_up: webhooks that come first.
        webhooks: those that are measured.
    """

    state: Sequence[Written]
    warm_up: Sequence[Written]
    webhooks: Sequence[Written]


def make_scene(keys: KeyStore, *, people: int, warm_up: int, webhooks: int) -> Scene:
    """Makes people up, what they book, and the truth of the people; takes a minute for 200,000."""
    bookings = Bookings(_SEED, people)
    state = list(_known(bookings.people(), keys))
    sealer = keys.sealer(WORKSPACE)
    raws = [
        Written(WORKSPACE.encode(), encode_received(webhook, sealer))
        for webhook in islice(bookings.webhooks(warm_up + webhooks), warm_up + webhooks)
    ]
    return Scene(state, raws[:warm_up], raws[warm_up:])


def _known(webhooks: Iterable[ReceivedWebhook], keys: KeyStore) -> Iterator[Written]:
    """The entities that webhooks give, by the functions of the processors."""
    sealer = keys.sealer(WORKSPACE)
    workspace = Workspace(IdentityIndex(sealer.keyed_hash))
    for some in in_parts(webhooks, _AT_ONCE):
        observations = [one for webhook in some for one in normalise(webhook, COUNTRY).observations]
        sealer.make(keys_ahead(workspace, observations, workspace.rules))
        for observation in observations:
            for entity in resolve(workspace, observation, workspace.rules):
                workspace.put(entity)
                value, headers = encode_entity(entity, sealer), entity_headers(entity, sealer)
                yield Written(entity.key.encode(), value, headers)
        workspace.trim(_AT_ONCE)


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The same, so many at a time."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
