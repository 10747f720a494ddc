"""calendar.live and two CRMs around one truth, two-way: model vendors that lose, the rest is real.

The resolver, the sinks' delivery, their decisions and ledgers are the real ones. Played are the
vendors, which change what they are given, and Kafka: the log, where each reader stands in it, and
what is durable when a process dies.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from calstream_core.errors import Code
from calstream_core.sealing import KeyStore
from calstream_core.settings import KafkaSettings, Pattern
from calstream_engine import Schedule, Work
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec
from calstream_processors.resolve.ownership import PATTERNS
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Copy, Entity, NaturalId, Stamp, Values, kind_of_key
from calstream_schemas.ledger import LedgerEntry, LedgerState, decode_ledger_entry
from calstream_schemas.observations import Fact, Observation, Statement, decode_observation
from calstream_sinks.api import (
    Applied,
    Change,
    Deferred,
    FieldValues,
    Found,
    Held,
    Manifest,
    Missing,
    NotWanted,
    Outcome,
    Projection,
    Sink,
    SinkConfig,
    Snapshot,
    View,
    Waiting,
)
from calstream_sinks.runner.delivery import Delivery
from calstream_sinks.runner.journal import LEDGER, Journal
from calstream_sinks.runner.view import LocalView

SECOND = 1_000_000
MINUTE = 60 * SECOND
KINDS = ("contact", "booking")

# the vendors' name of a field: our group and field
PLACES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "contact": {
        "mail": ("email", "email"),
        "title": ("name", "full_name"),
        "firm": ("company", "company"),
    },
    "booking": {
        "subject": ("title", "title"),
        "begins": ("schedule", "start_at"),
        "ends": ("schedule", "end_at"),
        "state": ("status", "status"),
    },
}
_TIMES = frozenset({"begins", "ends"})

Lose = Callable[[str, str], str]
"""What a vendor makes of the text in one of its fields."""


class Died(BaseException):
    """The process was killed here."""


def trims(name: str, text: str) -> str:
    """Rounds times to seconds, and trims the rest."""
    return str(int(text) // SECOND * SECOND) if name in _TIMES else text.strip()


def lowers(name: str, text: str) -> str:
    """Lower case, and no more than 255 letters; times to the minute."""
    if name in _TIMES:
        return str(int(text) // MINUTE * MINUTE)
    return text.strip().lower()[:255].strip()


def cuts(name: str, text: str) -> str:
    """No more than 20 letters; times as they are."""
    return text if name in _TIMES else text.strip()[:20].strip()


@dataclass
class Thing:
    """An object of a vendor. `owner` is our id of it where we have written one."""

    kind: str
    fields: dict[str, str | None] = field(default_factory=dict)
    owner: str | None = None
    modified_at: int = 0


@dataclass
class Vendor:
    """Holds objects, loses a part of what it is given, and tells of every change by webhook."""

    name: str
    role: str
    lose: Lose
    makes_objects: bool
    tells_itself: bool
    clock: Callable[[], int]
    things: dict[str, Thing] = field(default_factory=dict)
    outbox: list[Observation] = field(default_factory=list)
    writes: int = 0
    faults_met: int = 0

    def put(self, id_: str | None, kind: str, fields: FieldValues, owner: str | None) -> str:
        """Takes fields in as the vendor does; a change is told."""
        if id_ is None:
            known = [i for i, t in self.things.items() if owner and t.owner == owner]
            id_ = known[0] if known else f"{self.name}-{len(self.things) + 1}"
        thing = self.things.setdefault(id_, Thing(kind))
        after = thing.fields | {
            n: (self.lose(n, v) or None) if v else None for n, v in fields.items()
        }
        if after != thing.fields or (owner and thing.owner != owner):
            thing.fields, thing.owner = after, owner or thing.owner
            thing.modified_at = self.clock()
            self.tell(id_)
        return id_

    def tell(self, id_: str) -> None:
        """A webhook with the whole object, and one time for all of it, as vendors send them."""
        thing = self.things[id_]
        stamp = Stamp(-1, thing.modified_at, by_self=False)
        groups = in_groups(thing.kind, thing.fields, thing.fields)
        self.outbox.append(
            Observation(
                id=f"{self.name}/{id_}/{thing.modified_at}",
                workspace="acme",
                fact=Fact.STATE,
                kind=thing.kind,
                natural_id=NaturalId(self.name, thing.kind, id_),
                role=self.role,
                received_at=thing.modified_at,
                occurred_at=thing.modified_at,
                statements=tuple(Statement(g, v, stamp) for g, v in sorted(groups.items())),
                about=thing.owner,
            )
        )


def in_groups(kind: str, fields: FieldValues, touched: Collection[str]) -> dict[str, Values]:
    """A vendor's fields in our groups: each of which a field is touched."""
    groups: dict[str, dict[str, str | int | None]] = {}
    for name, (group, ours) in PLACES[kind].items():
        if name in fields:
            text = fields[name]
            value = int(text) if text and name in _TIMES else text
            groups.setdefault(group, {})[ours] = value
    spoken = {PLACES[kind][name][0] for name in touched if name in PLACES[kind]}
    return {group: values for group, values in groups.items() if group in spoken}


class ModelSink(Sink[SinkConfig]):
    """Makes one vendor's objects agree with the truth."""

    manifest = Manifest("model", "Model", "crm", KINDS, max_batch=10, settle_seconds=2)
    config_model = SinkConfig
    vendor: Vendor
    faults: list[str]

    def project(self, entity: Entity, view: View) -> Projection | Waiting | NotWanted:
        del view
        if not self.vendor.makes_objects and not entity.copies_of(self.vendor.name):
            return NotWanted("nobody has entered it there")
        texts = {
            name: _text(entity.values.get(ours))
            for name, (_group, ours) in PLACES[entity.kind].items()
        }
        if self.vendor.tells_itself:  # it is documented what the vendor makes of it
            texts = {n: (self.vendor.lose(n, v) or None) if v else None for n, v in texts.items()}
        return Projection(texts)

    def held(self, kind: str, copy: Copy) -> Held:
        fields: dict[str, str | None] = {}
        edited: set[str] = set()
        for name, (group, ours) in PLACES[kind].items():
            register = copy.registers.get(group)
            if register is not None:
                fields[name] = _text(register.values.get(ours))
                if not register.by_self:
                    edited.add(name)
        return Held(fields, frozenset(edited))

    def statements(
        self, kind: str, fields: FieldValues, touched: Collection[str]
    ) -> Mapping[str, Values]:
        return in_groups(kind, fields, touched)

    async def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        return [self._deliver(change) for change in changes]

    def _deliver(self, change: Change) -> Outcome:
        fault = self.faults.pop(0) if self.faults else ""
        self.vendor.faults_met += bool(fault)
        if fault == "die-before":
            raise Died
        if fault == "defer":
            return Deferred(Code.SINK_UNAVAILABLE, "not now")
        if change.external_id is not None and change.external_id not in self.vendor.things:
            return Missing()
        if change.external_id is None and (there := self._there_already(change)):
            return Found(self._snapshot(there))
        self.vendor.writes += 1
        entity = change.entity
        id_ = self.vendor.put(change.external_id, entity.kind, change.fields, entity.id)
        if fault == "die-after":
            raise Died
        if fault == "drop":
            return Deferred(Code.OUTCOME_UNKNOWN, "connection lost", unknown=True)
        return Applied(self._snapshot(id_))

    def _there_already(self, change: Change) -> str | None:
        mail = change.projection.fields.get("mail")
        for id_, thing in self.vendor.things.items():
            if thing.owner is None and (
                NaturalId(self.vendor.name, thing.kind, id_) in change.entity.copies
                or (mail is not None and thing.fields.get("mail") == mail)
            ):
                thing.owner = change.entity.id
                return id_
        return None

    async def lookup(self, kind: str, external_ids: Sequence[str]) -> Mapping[str, Snapshot | None]:
        del kind
        return {i: self._snapshot(i) if i in self.vendor.things else None for i in external_ids}

    def _snapshot(self, id_: str) -> Snapshot:
        thing = self.vendor.things[id_]
        said = in_groups(thing.kind, thing.fields, thing.fields)
        return Snapshot(id_, dict(thing.fields), said, thing.modified_at)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class Node:
    """The process of one sink: what is durable of it, and what a restart loses."""

    def __init__(self, world: "World", vendor: Vendor) -> None:
        self.world, self.vendor = world, vendor
        self.ledger: dict[str, LedgerEntry] = {}
        self.faults: list[str] = []
        self.position = 0
        self.start()

    def start(self) -> None:
        """Begins with what is durable: the ledger, and the truth as far as it was read."""
        name = self.vendor.name
        self.view = LocalView()
        self.schedule = Schedule(KINDS, kind_of_key, lambda: self.world.now)
        sink = ModelSink(SinkConfig(), None)  # type: ignore[arg-type]  # asks nothing of it
        sink.vendor, sink.faults = self.vendor, self.faults
        sink.manifest = Manifest(name, name, self.vendor.role, KINDS, 10, settle_seconds=2)  # type: ignore[misc]  # a role each
        kafka = KafkaSettings(partitions=1)
        journal = Journal(name, kafka, self, self.world.keys, self.view)  # type: ignore[arg-type]  # plays the writer
        self.delivery = Delivery(
            name,
            sink,
            view=self.view,
            schedule=self.schedule,
            journal=journal,
            keys=self.world.keys,
            now=lambda: self.world.now,
            suspect=lambda _keys: None,
        )
        for key, entry in self.ledger.items():
            self.view.put_ledger(0, key, entry)
        newest = {entity.key: entity for entity in self.world.versions[: self.position]}
        for entity in newest.values():
            self._arrive(entity)

    # the writer: all of a work is durable when it returns, or nothing is
    def work(self, partition: int) -> Work:
        table = f"sink.{self.vendor.name}.ledger"
        return Work(partition, {LEDGER: (TableSpec(LEDGER, table), MemoryStore())})

    async def write(self, work: Work) -> None:
        for record in work.sent:
            observation = decode_observation(record.value or b"", self.world.keys.sealer)
            assert not isinstance(observation, Poison), observation
            self.world.log.append(observation)
        for key, value in work[LEDGER].changes():
            entry = decode_ledger_entry(value or b"")
            assert not isinstance(entry, Poison)
            self.ledger[key.decode()] = entry

    def read(self, most: int) -> bool:
        """Takes versions of the truth in; False if there were none."""
        versions = self.world.versions[self.position : self.position + most]
        for entity in versions:
            self._arrive(entity)
        self.position += len(versions)
        return bool(versions)

    def _arrive(self, entity: Entity) -> None:
        if self.view.put_entity(0, entity):
            for key in {entity.key, *self.view.waiting_for(entity.key)}:
                self.schedule.add(key)

    async def settle(self) -> bool:
        """Does what is due now; False if nothing was."""
        taking = asyncio.ensure_future(self.schedule.take(10))
        await asyncio.sleep(0)
        if not taking.done():
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            return False
        keys = taking.result()
        try:
            await self.delivery.settle(keys)
        except Died:
            self.start()
            return True
        for key in keys:
            self.schedule.done(key)
        return True

    @property
    def rests(self) -> bool:
        return all(e.state in {LedgerState.DONE, LedgerState.DEAD} for e in self.ledger.values())


class World:
    """All of it, with one clock."""

    def __init__(self, keys: KeyStore, loop: asyncio.AbstractEventLoop) -> None:
        self.keys = keys
        self.loop = loop
        self.now = 1_800_000_000 * SECOND
        self.rules = PATTERNS[Pattern.TWO_WAY]
        self.truth = Workspace()
        self.log: list[Observation] = []
        self.position = 0
        self.versions: list[Entity] = []
        self.vendors = {
            name: Vendor(name, role, lose, makes, knows, lambda: self.now)
            for name, role, lose, makes, knows in (
                ("calendar_live", "calendar", trims, False, True),
                ("lowering", "crm", lowers, True, True),
                ("cutting", "crm", cuts, True, False),
            )
        }
        self.nodes = {name: Node(self, vendor) for name, vendor in self.vendors.items()}

    def enter(self, name: str, id_: str | None, kind: str, fields: FieldValues) -> str:
        """Somebody works at a vendor."""
        self.now += SECOND
        return self.vendors[name].put(id_, kind, fields, None)

    def deliver(self, name: str, place: int, *, keep: bool = False) -> None:
        """A webhook arrives; with `keep` it will come again."""
        outbox = self.vendors[name].outbox
        said = outbox[place % len(outbox)]
        if not keep:
            outbox.remove(said)
        self.log.append(said)

    def resolve(self, most: int) -> bool:
        """Resolves observations in the order of the log; False if there were none."""
        taken = self.log[self.position : self.position + most]
        self.position += len(taken)
        for observation in taken:
            for entity in resolve(self.truth, observation, self.rules):
                self.truth.put(entity)
                self.versions.append(entity)
        return bool(taken)

    def settle(self, name: str) -> bool:
        self.now += 1000  # a call takes a moment
        return self.loop.run_until_complete(self.nodes[name].settle())

    def rest(self, most: int = 200) -> None:
        """Lets everything arrive and be done; fails where it does not end."""
        for _ in range(most):
            moved = self.resolve(100)
            for name, vendor in self.vendors.items():
                moved |= bool(vendor.outbox)
                while vendor.outbox:
                    self.deliver(name, 0)
                moved |= self.nodes[name].read(100)
                moved |= self.settle(name)
            if not moved:
                if all(node.rests for node in self.nodes.values()):
                    return
                self.now += 400 * SECOND
        raise AssertionError("\n".join(["does not come to rest:", *map(_told, self.log[-24:])]))

    def writes(self) -> dict[str, int]:
        return {name: vendor.writes for name, vendor in self.vendors.items()}


def _told(observation: Observation) -> str:
    said = [(s.group, s.values, s.stamp) for s in observation.statements]
    return f"{observation.fact} {observation.natural_id}: {said}"
