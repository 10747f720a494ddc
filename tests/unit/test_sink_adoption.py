"""An object that a vendor has already is adopted, unless another entity of ours has it."""

import pytest
from tests.unit.test_sink_convergence import _decided, _person, _two, _World

from calstream_core.errors import Code
from calstream_core.sealing import KeyStore
from calstream_schemas.ledger import LedgerState
from calstream_schemas.observations import Fact
from calstream_sinks.runner.survivors import other_holder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


async def test_an_object_is_never_adopted_by_a_second_entity(keys: KeyStore) -> None:
    world = _World(keys)
    world.start()
    world.observe(_person(1, 1, "info@northwind.example", "Jo"))
    await world.rest()
    del world.vendor.objects["1"]["owner"]  # as with a vendor that can't keep our id
    world.observe(_person(2, 2, "info@northwind.example", "Kim"))
    await world.rest()
    jo, kim = world.truth.entities.values()
    assert world.vendor.objects["1"]["title"] == "Jo"
    assert world.ledger[jo.key].state is LedgerState.DONE
    taken = world.ledger[kim.key]
    assert (taken.state, taken.error_code) == (LedgerState.DEAD, Code.OBJECT_TAKEN)
    assert jo.key in (taken.error_message or "")
    assert world.dead == [kim.key]
    # another address, and it has an object of its own
    world.observe(_person(2, 3, "kim@example.com", "Kim"))
    await world.rest()
    assert world.ledger[kim.key].external_id == "2"
    assert world.vendor.objects["1"]["title"] == "Jo"


async def test_an_object_of_somebody_who_was_merged_into_one_may_be_adopted(
    keys: KeyStore,
) -> None:
    world, jo, kim = await _two(keys)
    world.observe(_decided(3, Fact.MERGE, kim, jo))
    await world.rest()
    assert other_holder(world.truth.entities[jo.key], "2", world.view, "played") is None
    assert other_holder(world.truth.entities[jo.key], "9", world.view, "played") is None
