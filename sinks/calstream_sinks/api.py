"""What a sink is: the contract between a vendor's code and the runner.

A sink says what an entity looks like at its vendor (`project`) and makes it so (`deliver`). The
runner owns everything else: order, batches, retries, the ledger, announcements, metrics. So a sink
holds no sleep, no retry loop, no thread, no metric name and no state that must survive it.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar, final

import httpx
from pydantic import BaseModel, ConfigDict

from calstream_core.errors import Code
from calstream_schemas.entities import Copy, Entity, Values
from calstream_schemas.erasure_facts import Done

API_VERSION = 1
"""The version of this contract; a sink names the one that it was written for."""

FieldValues = Mapping[str, str | None]
"""A vendor's fields by the vendor's names. None empties a field."""


class SinkConfig(BaseModel):
    """The base of a sink's own settings: the keys of `[sinks.<id>]` that are not the runner's."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ConfigT = TypeVar("ConfigT", bound=SinkConfig)


class Effect(StrEnum):
    """What a write does beyond the vendor's database; decides what a resync may repeat."""

    STATE = "state"
    MESSAGE = "message"
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a sink is and can do; readable without credentials.

    Attributes:
        name: its type, as in `type = "hubspot"`.
        title: for people.
        role: what the system is in the rules: `crm`, `meetings`, `payments`.
        kinds: the kinds of entity it writes, in the order in which a resync takes them.
        max_batch: the most changes that one `deliver` takes.
        settle_seconds: after a call with an unknown outcome, how long a lookup may still miss
            what the call made.
    """

    name: str
    title: str
    role: str
    kinds: tuple[str, ...]
    max_batch: int
    effect: Effect = Effect.STATE
    settle_seconds: float = 0
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True)
class Link:
    """A relation to another object of the same vendor."""

    object_type: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Projection:
    """How an entity should look at the vendor. Equal projections need no write."""

    fields: FieldValues
    links: frozenset[Link] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The entity can't be written before the entity with this key has an id at the vendor."""

    key: str


@dataclass(frozen=True, slots=True)
class NotWanted:
    """This entity is none of the sink's business, or not yet."""

    reason: str


class View(Protocol):
    """The runner's local copy of `entities`, as far as this sink may look."""

    def entity(self, key: str) -> Entity | None:
        """The newest version of an entity, if it is known."""

    def referring(self, kind: str, field: str, entity_id: str) -> Iterable[Entity]:
        """The entities of a kind whose reference field points to an entity, by id."""

    def external_id(self, key: str) -> str | None:
        """The id of an entity at this vendor, once it was written there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entity that must be made so at the vendor.

    Attributes:
        fields: what to write: every field of the projection for a new object, else those that
            differ from what the vendor holds.
        external_id: the object's id, if there is one already.
        operation_id: the same for every attempt; usable as an idempotency key.
        outcome_unknown: an earlier attempt may have been applied. Look before creating.
    """

    entity: Entity
    projection: Projection
    fields: FieldValues
    operation_id: str
    external_id: str | None = None
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the vendor holds of one object.

    Attributes:
        fields: in the vendor's names.
        statements: the same as our groups, as far as they have a place in the catalogue.
        modified_at: the vendor's time of the last change, in microseconds.
    """

    external_id: str
    fields: FieldValues
    statements: Mapping[str, Values]
    modified_at: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The vendor confirmed the write, and holds this now."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Found:
    """Nothing was written: the vendor already has an object for the entity.

    The runner tells the resolver what it holds; the change comes again with the id.
    """

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing was written: the object with the stored id is no longer there."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The vendor will not take it, however often. It goes to the dead letters."""

    code: Code
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now: try again. `unknown` says that the call may have been applied all the same."""

    code: Code
    message: str
    retry_after_seconds: float | None = None
    unknown: bool = False


Outcome = Applied | Found | Missing | Refused | Deferred


@dataclass(frozen=True, slots=True)
class Going:
    """One entity of which the vendor must keep nothing.

    Attributes:
        external_ids: the objects that we know of; empty where no id was ever learned. Then an
            object may be there all the same, from a call whose answer was lost.
    """

    entity: Entity
    external_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """The vendor's answer for one entity; `detail` is for people, free of personal data."""

    done: Done
    detail: str = ""


ErasureOutcome = Erased | Deferred


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` looked at. A fault has a hint that says what to do."""

    name: str
    ok: bool
    message: str
    hint: str = ""


class SinkContext(Protocol):
    """What the runner lends a sink."""

    @property
    def sink_id(self) -> str:
        """The id under which it is configured."""

    def http(self, base_url: str) -> httpx.AsyncClient:
        """A client with time-outs, metrics and a user agent; the runner closes it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the vendor holds of an entity as far as its copy tells, in the vendor's fields.

    Attributes:
        fields: only those that the copy speaks of.
        edited: those that somebody else than Calstream wrote there last.
    """

    fields: FieldValues = field(default_factory=dict)
    edited: frozenset[str] = frozenset()


class Sink(ABC, Generic[ConfigT]):
    """The base of every sink. One instance serves all workspaces, in one event loop."""

    manifest: ClassVar[Manifest]
    config_model: ClassVar[type[SinkConfig]]

    @final
    def __init__(self, config: ConfigT, context: SinkContext) -> None:
        self.config = config
        self.context = context

    async def open(self) -> None:
        """Called once before any delivery. May raise ConfigError or UnavailableError."""

    async def close(self) -> None:
        """Called once after the last delivery."""

    async def check(self) -> Sequence[Finding]:
        """Looks whether the vendor is set up for us, by real calls that change nothing."""
        return ()

    async def setup(self) -> Sequence[str]:
        """Creates at the vendor what `check` misses; returns what was made, for people."""
        return ()

    @property
    def settle_seconds(self) -> float:
        """The manifest's, unless the configuration says otherwise."""
        return self.manifest.settle_seconds

    def affected(self, entity: Entity) -> Iterable[str]:
        """The keys of the entities to look at again when this one has changed."""
        return (entity.key,) if entity.kind in self.manifest.kinds else ()

    @abstractmethod
    def project(self, entity: Entity, view: View) -> Projection | Waiting | NotWanted:
        """How the entity should look at the vendor. Pure: no I/O, no clock."""

    @abstractmethod
    def held(self, kind: str, copy: Copy) -> Held:
        """What the vendor holds according to its copy, in the projection's terms. Pure."""

    @abstractmethod
    def statements(
        self, kind: str, fields: FieldValues, touched: Collection[str]
    ) -> Mapping[str, Values]:
        """The vendor's fields in our groups: each group of which a field is in `touched`. Pure.

        Values are as the vendor would tell them (trimmed, split, rounded), so that the vendor's
        echo of a write equals the announcement of it.
        """

    @abstractmethod
    async def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Makes the changes at the vendor.

        Called with changes of one kind, at most `max_batch`, no key twice; never again for a key
        before it returned. Each change gets its outcome, in the same order. Delivering a change
        twice leaves the vendor as once. UnavailableError and ConfigError concern the whole batch;
        any other exception counts as unknown outcomes and as a bug of the sink.
        """

    async def erase(self, kind: str, going: Sequence[Going]) -> Sequence[ErasureOutcome]:
        """Deletes people at the vendor, and the bookings that had nobody else, for ever.

        Called with entities of one kind, at most `max_batch`; their values may be gone already.
        Each gets its outcome, in the same order. Doing it twice leaves the vendor as once.
        UnavailableError and ConfigError concern the whole batch. By default a person must do it.
        """
        del kind
        return [Erased(Done.UNABLE, "delete it there by hand")] * len(going)

    @abstractmethod
    async def lookup(self, kind: str, external_ids: Sequence[str]) -> Mapping[str, Snapshot | None]:
        """What the vendor holds of these objects; None where there is no such object."""
