"""A sink brings its vendor to the truth, whatever breaks: crashes, lost replies, refusals.

The real delivery, ledger and resolver run in process; only Kafka's producer and the vendor are
played. The process "dies" at a chosen step and starts again from what was durable by then.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.errors import Code
from calstream_core.sealing import KeyStore
from calstream_core.settings import KafkaSettings
from calstream_engine import Schedule, Work
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
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
    Refused,
    Sink,
    SinkConfig,
    Snapshot,
    View,
    Waiting,
)
from calstream_sinks.runner.delivery import Delivery
from calstream_sinks.runner.journal import LEDGER, Journal
from calstream_sinks.runner.resync import ResyncMode, ResyncProgress, Verifier
from calstream_sinks.runner.view import LocalView

_FIELDS = {"mail": "email", "title": "name"}  # the vendor's name of a field: our group
_OURS = {"mail": "email", "title": "full_name"}


class _Died(BaseException):
    """The process was killed here."""


_ANSWERS: dict[str, Outcome] = {
    "defer": Deferred(Code.SINK_UNAVAILABLE, "not now"),
    "refuse": Refused(Code.VENDOR_REFUSED, "no", "title"),
}


@dataclass
class _Vendor:
    """Holds objects; trims what it is given, as vendors do."""

    objects: dict[str, dict[str, str | None]] = field(default_factory=dict)
    clock: int = 0
    calls: int = 0
    next_id: int = 1

    def write(self, id_: str | None, owner: str, fields: FieldValues) -> str:
        self.clock += 1
        if id_ is None:
            known = [i for i, o in self.objects.items() if o.get("owner") == owner]
            id_ = known[0] if known else str(self.next_id)
            self.next_id += not known
        held = self.objects.setdefault(id_, {})
        held |= {n: v.strip() if v else v for n, v in fields.items()} | {"owner": owner}
        return id_


class _Sink(Sink[SinkConfig]):
    """Writes contacts to the vendor, by an idempotent upsert as a unique property allows it."""

    manifest = Manifest("played", "Played", "crm", ("contact",), max_batch=10, settle_seconds=2)
    config_model = SinkConfig
    vendor: _Vendor
    faults: list[str]

    def project(self, entity: Entity, view: View) -> Projection | Waiting | NotWanted:
        del view
        if not entity.values.get("email"):
            return NotWanted("no address")
        values = {v: entity.values.get(ours) for v, ours in _OURS.items()}
        return Projection({n: str(v).strip() if v else None for n, v in values.items()})

    def held(self, kind: str, copy: Copy) -> Held:
        del kind
        told = {v: copy.registers[g] for v, g in _FIELDS.items() if g in copy.registers}
        return Held(
            {v: _text(register.values[_OURS[v]]) for v, register in told.items()},
            frozenset(v for v, register in told.items() if not register.by_self),
        )

    def statements(
        self, kind: str, fields: FieldValues, touched: Collection[str]
    ) -> Mapping[str, Values]:
        del kind
        return {_FIELDS[n]: {_OURS[n]: fields[n]} for n in touched if n in fields and n in _FIELDS}

    async def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        return [self._deliver(change) for change in changes]

    def _deliver(self, change: Change) -> Outcome:
        self.vendor.calls += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "die-before":
            raise _Died
        if fault in _ANSWERS:
            return _ANSWERS[fault]
        if change.external_id is not None and change.external_id not in self.vendor.objects:
            return Missing()
        if change.external_id is None:
            for id_, held in self.vendor.objects.items():
                if held.get("mail") == change.projection.fields["mail"] and "owner" not in held:
                    return Found(self._snapshot(id_))
        id_ = self.vendor.write(change.external_id, change.entity.id, change.fields)
        if fault == "die-after":
            raise _Died
        if fault == "drop":
            return Deferred(Code.OUTCOME_UNKNOWN, "connection lost", unknown=True)
        if fault == "bug":
            raise KeyError(fault)
        return Applied(self._snapshot(id_))

    async def lookup(self, kind: str, external_ids: Sequence[str]) -> Mapping[str, Snapshot | None]:
        del kind
        return {i: self._snapshot(i) if i in self.vendor.objects else None for i in external_ids}

    def _snapshot(self, id_: str) -> Snapshot:
        held = self.vendor.objects[id_]
        return Snapshot(id_, dict(held), self.statements("contact", held, held), self.vendor.clock)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _World:
    """Durable: entities, ledger and the vendor. Everything else starts anew with `start`."""

    def __init__(self, keys: KeyStore, *, die_at_send: int = -1) -> None:
        self.keys = keys
        self.truth = Workspace()
        self.ledger: dict[str, LedgerEntry] = {}
        self.dead: list[str] = []
        self.vendor = _Vendor()
        self.faults: list[str] = []
        self.suspected: list[frozenset[str]] = []
        self.now = 1_000_000_000
        self.sends = 0
        self.die_at_send = die_at_send
        self.deaths = 0

    def start(self) -> None:
        self.view = LocalView()
        self.schedule = Schedule(("contact",), kind_of_key, lambda: self.now)
        sink = _Sink(SinkConfig(), None)  # type: ignore[arg-type]  # this sink asks nothing of it
        sink.vendor, sink.faults = self.vendor, self.faults
        kafka = KafkaSettings(partitions=1)
        journal = Journal("played", kafka, self, self.keys, self.view)  # type: ignore[arg-type]
        self.delivery = Delivery(
            "played",
            sink,
            view=self.view,
            schedule=self.schedule,
            journal=journal,
            keys=self.keys,
            now=lambda: self.now,
            suspect=self.suspected.append,
        )
        self.verifier = Verifier("played", sink, self.view, journal, self.delivery)
        for key, entry in self.ledger.items():
            self.view.put_ledger(0, key, entry)
        for entity in self.truth.entities.values():
            self._arrive(entity)

    # the writer: all of a work is durable when it returns, or nothing is
    def work(self, partition: int) -> Work:
        return Work(partition, {LEDGER: (TableSpec(LEDGER, "sink.played.ledger"), MemoryStore())})

    async def write(self, work: Work) -> None:
        self.sends += 1
        if self.sends - 1 == self.die_at_send:
            raise _Died
        for record in work.sent:
            if record.topic == "observations":
                observation = decode_observation(record.value or b"", self.keys.sealer)
                assert not isinstance(observation, Poison)
                self.observe(observation)
            else:
                self.dead.append((record.key or b"").decode())
        for key, value in work[LEDGER].changes():
            if value is None:
                del self.ledger[key.decode()]
                continue
            entry = decode_ledger_entry(value or b"")
            assert not isinstance(entry, Poison)
            self.ledger[key.decode()] = entry

    def observe(self, observation: Observation) -> None:
        for entity in resolve(self.truth, observation, CALENDAR_TO_CRM):
            self.truth.put(entity)
            self._arrive(entity)

    def _arrive(self, entity: Entity) -> None:
        if self.view.put_entity(0, entity):
            for key in {entity.key, *self.view.waiting_for(entity.key)}:
                self.schedule.add(key)

    async def rest(self) -> None:
        """Works, and lets time pass, until nothing is due any more; restarts after a death."""
        for _ in range(60):
            try:
                while True:
                    async with asyncio.timeout(0.001):
                        keys = await self.schedule.take(10)
                    await self.delivery.settle(keys)
                    for key in keys:
                        self.schedule.done(key)
            except TimeoutError:
                if all(
                    e.state in {LedgerState.DONE, LedgerState.DEAD} for e in self.ledger.values()
                ):
                    return
                self.now += 400_000_000
            except _Died:
                self.deaths += 1
                self.start()
        pytest.fail(f"does not come to rest: {self.ledger}")


def _said(at: int, **groups: Mapping[str, str]) -> Observation:
    return Observation(
        id=f"o{at}",
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=NaturalId("calendar_live", "attendee", "att_1"),
        role="calendar",
        received_at=at,
        occurred_at=at,
        statements=tuple(
            Statement(group, values, Stamp(-1, at, by_self=False))
            for group, values in groups.items()
        ),
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


FAULTS = ("", "", "", "defer", "drop", "bug", "die-before", "die-after")


@settings(max_examples=150, deadline=None)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=5),
    die_at_send=st.integers(-1, 14),
    names=st.lists(st.sampled_from(["Jo", " Jo ", "Joanna"]), min_size=1, max_size=3),
)
def test_whatever_breaks_there_is_one_object_and_it_has_the_truth(
    keys: KeyStore, faults: list[str], die_at_send: int, names: list[str]
) -> None:
    async def scenario() -> _World:
        world = _World(keys, die_at_send=die_at_send)
        world.faults = list(faults)
        world.start()
        for at, name in enumerate(names, start=1):
            world.observe(_said(at, email={"email": "jo@example.com"}, name={"full_name": name}))
            await world.rest()
        return world

    world = asyncio.run(scenario())
    (held,) = world.vendor.objects.values()
    assert (held["mail"], held["title"]) == ("jo@example.com", names[-1].strip())


async def test_without_faults_a_change_is_one_call(keys: KeyStore) -> None:
    world = _World(keys)
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    assert world.vendor.calls == 1
    world.observe(_said(2, name={"full_name": "Joanna"}))
    await world.rest()
    assert world.vendor.calls == 2
    world.start()
    await world.rest()
    assert world.vendor.calls == 2


async def test_somebody_who_is_there_already_is_adopted_and_keeps_their_name(
    keys: KeyStore,
) -> None:
    world = _World(keys)
    world.vendor.objects["7"] = {"mail": "jo@example.com", "title": "Joanna P."}
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    assert set(world.vendor.objects) == {"7"}
    assert world.vendor.objects["7"]["title"] == "Joanna P."
    (entity,) = world.truth.entities.values()
    assert entity.values["full_name"] == "Joanna P."
    assert world.ledger[entity.key].external_id == "7"


async def test_what_is_refused_is_dead_until_it_changes(keys: KeyStore) -> None:
    world = _World(keys)
    world.faults = ["refuse"]
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    (key,) = world.ledger
    assert world.ledger[key].state is LedgerState.DEAD
    assert world.ledger[key].error_field == "title"
    assert world.dead == [key]
    world.observe(_said(2, name={"full_name": "Joanna"}))
    await world.rest()
    assert world.ledger[key].state is LedgerState.DONE


async def test_a_dead_letter_stays_dead_when_the_announcement_comes_round(
    keys: KeyStore,
) -> None:
    world = _World(keys)
    world.faults = ["refuse", "refuse", "refuse"]
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    assert world.vendor.calls == 1
    assert len(world.dead) == 1


@pytest.mark.parametrize("looked_meanwhile", [True, False])
async def test_what_is_forgotten_leaves_the_ledger_too(
    keys: KeyStore, looked_meanwhile: bool
) -> None:
    world = _World(keys)
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    (entity,) = world.truth.entities.values()
    world.truth.forget(entity)
    if looked_meanwhile:
        world.view.drop_entity(entity.key)
        world.schedule.add(entity.key)
    else:  # the tombstone itself is gone when the sink comes back
        world.start()
        assert world.view.left_over(0, ["booking"]) == []
        for key in world.view.left_over(0, ["contact"]):
            world.schedule.add(key)
    await world.rest()
    assert world.ledger == {}
    assert world.view.ledger(entity.key) is None
    assert world.vendor.calls == 1


async def test_verify_finds_what_was_deleted_and_what_was_edited(keys: KeyStore) -> None:
    world = _World(keys)
    world.start()
    world.observe(_said(1, email={"email": "jo@example.com"}, name={"full_name": "Jo"}))
    await world.rest()
    (key,) = world.ledger
    (id_,) = world.vendor.objects
    del world.vendor.objects[id_]
    progress = ResyncProgress(ResyncMode.VERIFY)
    await world.verifier.check([key], ResyncMode.VERIFY, progress, world.now)
    world.schedule.add(key)
    await world.rest()
    (held,) = world.vendor.objects.values()
    assert (progress.missing, held["title"]) == (1, "Jo")
    held["mail"] = "edited@example.com"
    world.vendor.clock += 1
    await world.verifier.check([key], ResyncMode.VERIFY, progress, world.now)
    world.schedule.add(key)
    await world.rest()
    assert (progress.different, held["mail"]) == (1, "jo@example.com")


def _person(number: int, at: int, email: str, name: str) -> Observation:
    said = _said(at, email={"email": email}, name={"full_name": name})
    natural_id = NaturalId("calendar_live", "attendee", f"att_{number}")
    return replace(said, natural_id=natural_id)


def _decided(at: int, fact: Fact, about: Entity, other: Entity | None = None) -> Observation:
    decision = NaturalId("calstream", "decision", str(at))
    return replace(
        _said(at),
        fact=fact,
        natural_id=decision,
        about=about.id,
        other=other.id if other else None,
        decided_by="dana",
    )


async def _two(keys: KeyStore, *, first_is_written: bool = True) -> tuple[_World, Entity, Entity]:
    world = _World(keys)
    world.faults = [] if first_is_written else ["refuse"]
    world.start()
    world.observe(_person(1, 1, "jo@example.com", "Jo"))
    await world.rest()
    world.observe(_person(2, 2, "kim@example.com", "Kim"))
    await world.rest()
    jo, kim = world.truth.entities.values()
    return world, jo, kim


async def test_of_two_that_were_merged_only_the_survivor_is_written(keys: KeyStore) -> None:
    world, jo, kim = await _two(keys)
    world.observe(_decided(3, Fact.MERGE, kim, jo))
    await world.rest()
    assert {id_: o["title"] for id_, o in world.vendor.objects.items()} == {"1": "Kim", "2": "Kim"}
    calls = world.vendor.calls
    world.observe(_person(2, 4, "kim@example.com", "Kimberly"))
    await world.rest()
    assert world.vendor.calls == calls + 1
    assert {id_: o["title"] for id_, o in world.vendor.objects.items()} == {
        "1": "Kimberly",
        "2": "Kim",
    }
    assert world.ledger[kim.key].state is LedgerState.DONE


async def test_a_survivor_without_an_object_takes_over_the_losers(keys: KeyStore) -> None:
    world, jo, kim = await _two(keys, first_is_written=False)
    (id_,) = world.vendor.objects
    world.observe(_decided(3, Fact.MERGE, kim, jo))
    await world.rest()
    world.start()
    await world.rest()
    assert set(world.vendor.objects) == {id_}
    assert world.ledger[jo.key].external_id == id_


async def test_after_an_unmerge_each_has_an_object_of_its_own(keys: KeyStore) -> None:
    world, jo, kim = await _two(keys, first_is_written=False)
    (id_,) = world.vendor.objects
    world.observe(_decided(3, Fact.MERGE, kim, jo))
    await world.rest()
    world.observe(_decided(4, Fact.UNMERGE, kim))
    await world.rest()
    mails = {
        key: world.vendor.objects[world.ledger[key].external_id or ""]["mail"]
        for key in (jo.key, kim.key)
    }
    assert mails == {jo.key: "jo@example.com", kim.key: "kim@example.com"}
    assert world.ledger[kim.key].external_id == id_
    assert len(world.vendor.objects) == 2


async def test_a_resync_leaves_a_merged_entity_to_its_survivor(keys: KeyStore) -> None:
    world, jo, kim = await _two(keys)
    world.observe(_decided(3, Fact.MERGE, kim, jo))
    await world.rest()
    before = {id_: dict(held) for id_, held in world.vendor.objects.items()}
    for mode in (ResyncMode.VERIFY, ResyncMode.REWRITE):
        await world.verifier.check([jo.key, kim.key], mode, ResyncProgress(mode), world.now)
        for key in (jo.key, kim.key):
            world.schedule.add(key)
        await world.rest()
    assert world.vendor.objects == before
