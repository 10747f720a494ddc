"""The runner has a vendor erase people: after what is under way, until it has answered, once."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from calstream_core.errors import Code, UnavailableError
from calstream_core.sealing import KeyStore
from calstream_core.settings import KafkaSettings
from calstream_engine import Schedule, Work
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec
from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Values, kind_of_key
from calstream_schemas.erasure_facts import Done, Receipt
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_schemas.observations import Fact, Observation, decode_observation
from calstream_sinks.api import (
    Change,
    Deferred,
    Erased,
    ErasureOutcome,
    FieldValues,
    Going,
    Held,
    Manifest,
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

KEY = "acme/contact/c1"
SECOND = 1_000_000


class PlainSink(Sink[SinkConfig]):
    """Can't erase; notes what it is asked to write."""

    manifest = Manifest("played", "Played", "crm", ("contact",), max_batch=10)
    config_model = SinkConfig
    written: list[str]

    def project(self, entity: Entity, view: View) -> Projection | Waiting | NotWanted:
        del view
        return Projection({"mail": str(entity.values.get("email"))})

    def held(self, kind: str, copy: Copy) -> Held:
        del kind, copy
        return Held()

    def statements(
        self, kind: str, fields: FieldValues, touched: Collection[str]
    ) -> Mapping[str, Values]:
        del kind, fields, touched
        return {}

    async def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        self.written += [change.entity.key for change in changes]
        return [Deferred(Code.SINK_UNAVAILABLE, "not now")] * len(changes)

    async def lookup(self, kind: str, external_ids: Sequence[str]) -> Mapping[str, Snapshot | None]:
        del kind
        return dict.fromkeys(external_ids)


class ErasingSink(PlainSink):
    """Answers what it is told to, or raises it."""

    answers: list[ErasureOutcome | Exception]
    asked: list[Going]

    async def erase(self, kind: str, going: Sequence[Going]) -> Sequence[ErasureOutcome]:
        assert kind == "contact"
        self.asked += going
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(going)


@dataclass
class Runner:
    """The delivery of one sink; what it writes is durable at once."""

    sink: PlainSink
    keys: KeyStore
    now: int = 1_000 * SECOND
    observed: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view = LocalView()
        self.schedule = Schedule(("contact",), kind_of_key, lambda: self.now)
        kafka = KafkaSettings(partitions=1)
        journal = Journal("played", kafka, self, self.keys, self.view)  # type: ignore[arg-type]  # played
        self.sink.written = []
        self.delivery = Delivery(
            "played",
            self.sink,
            view=self.view,
            schedule=self.schedule,
            journal=journal,
            keys=self.keys,
            now=lambda: self.now,
            suspect=lambda _: None,
        )

    def work(self, partition: int) -> Work:
        return Work(partition, {LEDGER: (TableSpec(LEDGER, "ledger"), MemoryStore())})

    async def write(self, work: Work) -> None:
        for record in work.sent:
            observation = decode_observation(record.value or b"", self.keys.sealer)
            assert isinstance(observation, Observation)
            self.observed.append(observation)

    def settle(self) -> LedgerEntry | None:
        asyncio.run(self.delivery.settle([KEY]))
        return self.view.ledger(KEY)

    def receipts(self) -> list[Receipt]:
        return [
            one.erasure
            for one in self.observed
            if one.fact is Fact.ERASED and isinstance(one.erasure, Receipt)
        ]


def person(**more: int | None) -> Entity:
    natural_id = NaturalId("played", "contact", "77")
    entity = Entity("acme", "contact", "c1", 5, 0, Cause("o", 0, 0))
    return replace(entity, copies={natural_id: Copy(natural_id, "crm")}, **more)  # type: ignore[arg-type]  # checked at run time


def entry(state: LedgerState, **more: str | int) -> LedgerEntry:
    given = LedgerEntry(state, 4, "op", 1, projection_hash="hash")
    return replace(given, **more)  # type: ignore[arg-type]  # names are checked at run time


@pytest.fixture
def runner(keys: KeyStore) -> Runner:
    sink = ErasingSink(SinkConfig(), None)  # type: ignore[arg-type]  # it asks nothing of it
    sink.asked, sink.answers = [], [Erased(Done.DELETED, "ids 77")]
    made = Runner(sink, keys)
    made.view.put_entity(0, person(erasing_since=9))
    return made


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


def sink_of(runner: Runner) -> ErasingSink:
    assert isinstance(runner.sink, ErasingSink)
    return runner.sink


def test_the_vendor_erases_every_object_and_the_ledger_forgets_them(runner: Runner) -> None:
    runner.view.put_ledger(0, KEY, entry(LedgerState.DONE, external_id="78"))
    after = runner.settle()
    assert [one.external_ids for one in sink_of(runner).asked] == [("77", "78")]
    assert after is not None
    assert (after.state, after.external_id, after.projection_hash) == (
        LedgerState.ERASED,
        None,
        None,
    )
    (receipt,) = runner.receipts()
    assert (receipt.system, receipt.entity, receipt.done) == ("played", "contact/c1", Done.DELETED)
    runner.settle()  # it has answered
    assert len(runner.receipts()) == 1
    assert runner.sink.written == []


def test_a_call_that_may_be_under_way_ends_first(runner: Runner) -> None:
    due_at = runner.now + 30 * SECOND
    runner.view.put_ledger(0, KEY, entry(LedgerState.INTENT, due_at=due_at))
    assert runner.settle() == entry(LedgerState.INTENT, due_at=due_at)
    assert sink_of(runner).asked == []
    runner.now = due_at
    after = runner.settle()
    assert after is not None
    assert after.state is LedgerState.ERASED


@pytest.mark.parametrize(
    "trouble",
    [
        Deferred(Code.RATE_LIMITED, "wait", 3),
        UnavailableError(Code.SINK_UNAVAILABLE, "down"),
        KeyError("a bug"),
    ],
    ids=["deferred", "unavailable", "bug"],
)
def test_it_is_tried_until_the_vendor_answers_also_after_the_deadline(
    runner: Runner, trouble: ErasureOutcome | Exception
) -> None:
    sink_of(runner).answers = [trouble, Erased(Done.NOTHING)]
    runner.view.put_ledger(0, KEY, entry(LedgerState.DONE, external_id="78"))
    parked = runner.settle()
    assert parked is not None
    assert (parked.state, parked.external_id, parked.attempts) == (LedgerState.RETRY, "78", 1)
    assert parked.due_at is not None
    assert runner.receipts() == []
    runner.now = parked.due_at
    # the keys were destroyed meanwhile: the last version has no copies
    runner.view.put_entity(0, replace(person(erased_at=runner.now - 1), copies={}, version=6))
    after = runner.settle()
    assert after is not None
    assert after.state is LedgerState.ERASED
    assert [receipt.done for receipt in runner.receipts()] == [Done.NOTHING]
    assert sink_of(runner).asked[-1].external_ids == ("78",)


def test_a_sink_that_can_t_erase_says_so(keys: KeyStore) -> None:
    runner = Runner(PlainSink(SinkConfig(), None), keys)  # type: ignore[arg-type]  # it asks nothing
    runner.view.put_entity(0, person(erasing_since=9))
    runner.settle()
    assert [receipt.done for receipt in runner.receipts()] == [Done.UNABLE]


def test_who_was_erased_is_never_written_again(runner: Runner) -> None:
    runner.settle()
    runner.view.put_entity(0, replace(person(erased_at=runner.now + 1), version=6))
    runner.now += 2
    runner.settle()
    assert runner.sink.written == []
    assert len(runner.receipts()) == 1
