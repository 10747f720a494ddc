"""Three systems that all edit come to rest, whatever breaks on the way, and no write loops.

calendar.live and two CRMs, two-way. People edit at any of them; webhooks come late, twice and out
of order; calls fail, replies get lost, processes die between any two steps.
"""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.unit.two_way_scene import MINUTE, PLACES, SECOND, World

from calstream_core.sealing import KeyStore
from calstream_schemas.entities import Entity

VENDORS = ("calendar_live", "lowering", "cutting")
vendors = st.sampled_from(VENDORS)
contact_fields = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["Jo Park", " jo park ", "Joanna Parkinson-Featherstone", None]),
        "firm": st.sampled_from(["Northwind", "NORTHWIND", "x" * 300, None]),
    },
)
START = 1_900_000_020 * SECOND + 123_456
starts = st.sampled_from([START, START + 1, START + 7 * SECOND, START + 90 * MINUTE])
booking_fields = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.sampled_from(["Trial", "Product TRIAL", "  a trial of the whole product"]),
        "state": st.sampled_from(["confirmed", "cancelled", "completed"]),
    },
)


edits = st.one_of(
    st.tuples(vendors, st.just("contact"), contact_fields),
    st.tuples(vendors, st.just("booking"), booking_fields),
)


@pytest.fixture(scope="module", autouse=True)
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    Agreement.keys = KeyStore(tmp_path_factory.mktemp("keys"))
    Agreement.loop = asyncio.new_event_loop()
    yield
    Agreement.loop.close()


def check_agreement(world: World) -> None:
    """Every vendor holds the truth, in its own form of it."""
    for entity in world.truth.entities.values():
        for vendor in world.vendors.values():
            held = [t for t in vendor.things.values() if t.owner == entity.id]
            if not held:
                assert not vendor.makes_objects, f"{vendor.name} has no {entity.key}"
                continue
            assert len(held) == 1, f"{vendor.name} has {entity.key} twice"
            for name, text in held[0].fields.items():
                wanted = _wanted(entity, name)
                lost = vendor.lose(name, wanted) or None if wanted else None
                assert text == lost, f"{vendor.name} {name}: {text!r}, the truth is {wanted!r}"


def _wanted(entity: Entity, name: str) -> str | None:
    value = entity.values.get(PLACES[entity.kind][name][1])
    return None if value is None else str(value)


class Agreement(RuleBasedStateMachine):
    keys: KeyStore
    loop: asyncio.AbstractEventLoop

    @initialize()
    def begin(self) -> None:
        self.world = World(self.keys, self.loop)
        fields = {"mail": "Jo@Example.com", "title": "Jo Park", "firm": "Northwind"}
        self.contact = self.world.enter("calendar_live", None, "contact", fields)
        times = {"begins": str(START), "ends": str(START + 30 * MINUTE)}
        told = {"subject": "Trial", "state": "confirmed", **times}
        self.booking = self.world.enter("calendar_live", None, "booking", told)
        self.world.rest()
        check_agreement(self.world)
        self._new_account()

    def _new_account(self) -> None:
        self.before = self.world.writes()
        self.faults = {name: vendor.faults_met for name, vendor in self.world.vendors.items()}
        self.edits = self.restarts = 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.come_to_rest()

    def enters(self, name: str, kind: str, fields: dict[str, str | None]) -> None:
        vendor = self.world.vendors[name]
        (id_,) = (i for i, t in vendor.things.items() if t.kind == kind)
        self.world.enter(name, id_, kind, fields)
        self.edits += len(fields)

    @rule(name=vendors, fields=contact_fields)
    def edits_a_contact(self, name: str, fields: dict[str, str | None]) -> None:
        self.enters(name, "contact", fields)

    @rule(name=vendors, fields=booking_fields)
    def edits_a_booking(self, name: str, fields: dict[str, str | None]) -> None:
        self.enters(name, "booking", fields)

    @rule(name=vendors, start=starts)
    def moves_a_booking(self, name: str, start: int) -> None:
        self.enters(name, "booking", {"begins": str(start), "ends": str(start + 30 * MINUTE)})

    @rule(name=vendors, place=st.integers(0, 5), keep=st.booleans())
    def a_webhook_comes(self, name: str, place: int, keep: bool) -> None:
        if self.world.vendors[name].outbox:
            self.world.deliver(name, place, keep=keep)

    @rule(most=st.integers(1, 4))
    def resolves(self, most: int) -> None:
        self.world.resolve(most)

    @rule(name=vendors, most=st.integers(1, 4))
    def a_sink_reads(self, name: str, most: int) -> None:
        self.world.nodes[name].read(most)

    @rule(
        name=vendors,
        fault=st.sampled_from(["", "", "", "defer", "drop", "die-before", "die-after"]),
    )
    def a_sink_works(self, name: str, fault: str) -> None:
        node = self.world.nodes[name]
        if fault:
            node.faults.append(fault)
        self.world.settle(name)

    @rule(name=vendors)
    def a_process_starts_anew(self, name: str) -> None:
        self.world.nodes[name].start()
        self.restarts += 1

    @rule()
    def time_passes(self) -> None:
        self.world.now += 5 * SECOND

    @rule()
    def come_to_rest(self) -> None:
        world = self.world
        world.rest()
        check_agreement(world)
        for name, count in world.writes().items():
            broken = world.vendors[name].faults_met - self.faults[name] + self.restarts
            assert count - self.before[name] <= 2 * (self.edits + broken) + 1, name
        # a redelivery of everything is no news
        before = world.writes()
        for vendor in world.vendors.values():
            for id_ in vendor.things:
                vendor.tell(id_)
        world.rest()
        assert world.writes() == before
        self._new_account()


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, min_size=1, max_size=4))
def test_what_somebody_enters_is_the_truth_and_costs_each_other_system_one_write(
    made: list[tuple[str, str, dict[str, str | None]]],
) -> None:
    machine = Agreement()
    machine.begin()
    world = machine.world
    for name, kind, fields in made:
        before = world.writes()
        (thing,) = (t for t in world.vendors[name].things.values() if t.kind == kind)
        held = dict(thing.fields)
        machine.enters(name, kind, fields)
        world.rest()
        check_agreement(world)
        (entity,) = (e for e in world.truth.entities.values() if e.kind == kind)
        for field, text in fields.items():
            kept = world.vendors[name].lose(field, text) or None if text else None
            if kept != held[field]:  # else the vendor has noticed no change
                assert _wanted(entity, field) == kept
        for other, count in world.writes().items():
            # what a vendor cuts unforeseen is offered to it again with the next change
            most = other != name or not world.vendors[other].tells_itself
            assert count - before[other] <= most, other
