"""The thread of the membership, without a thread: what a command does to the client, and when."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from tests.unit.engine.fakes import PLACE

from calstream_core.errors import UnavailableError
from calstream_engine.claim import Claim
from calstream_engine.membership import GroupSettings, Membership
from calstream_engine.records import Batch, Place

pytestmark = pytest.mark.usefixtures("quiet")


class FakeClient:
    """A librdkafka consumer that knows where each partition is read, and which are paused."""

    def __init__(self) -> None:
        self.positions: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self.refusals: list[int] = []

    def seek(self, target: TopicPartition) -> None:
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop(0)))
        self.positions[Place(target.topic, target.partition)] = target.offset

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in {PLACE, *self.positions}]

    def pause(self, targets: Sequence[TopicPartition]) -> None:
        self.paused |= {Place(one.topic, one.partition) for one in targets}

    def resume(self, targets: Sequence[TopicPartition]) -> None:
        self.paused -= {Place(one.topic, one.partition) for one in targets}

    def poll(self, _seconds: float) -> None:
        """There is nothing to read."""

    def incremental_assign(self, targets: Sequence[TopicPartition]) -> None:
        """Taken note of by the pause that follows."""

    incremental_unassign = incremental_assign


class Deaf:
    """A listener that is told and does nothing."""

    def on_assigned(self, claims: Sequence[Claim]) -> None: ...

    async def on_revoked(self, claims: Sequence[Claim], *, lost: bool) -> dict[Place, int]:
        del claims, lost
        return {}

    def on_batches(self, batches: Sequence[tuple[Claim, Batch]]) -> None: ...

    def on_end(self, ends: Sequence[tuple[Claim, int]]) -> None: ...

    def on_failed(self, error: Exception) -> None: ...


class Scene:
    """A membership with a fake client; what its thread would do is called by hand."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.membership = Membership(GroupSettings("broker", "orders"), Deaf())
        self.membership._consumer = self.client  # type: ignore[assignment]  # a fake one
        self.membership._topics = [PLACE.topic]

    def assign(self) -> Claim:
        client: Any = self.client
        self.membership._assigned(client, [TopicPartition(*PLACE)])
        return self.membership._claims[PLACE]

    def revoke(self) -> None:
        self.membership._ended([TopicPartition(*PLACE)])

    def turn(self) -> None:
        """What the thread does between two reads."""
        self.membership._obey()


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calstream_engine.membership._STALL_SECONDS", 0.0)


async def test_a_partition_is_paused_until_it_is_known_where_to_read(scene: Scene) -> None:
    claim = scene.assign()
    assert scene.client.paused == {PLACE}
    scene.membership.read_from(claim, 42)
    scene.turn()
    assert scene.client.positions == {PLACE: 42}
    assert scene.client.paused == set()


async def test_a_seek_that_comes_too_early_is_tried_again(scene: Scene) -> None:
    claim = scene.assign()
    scene.client.refusals = [KafkaError._STATE, KafkaError._STATE]
    scene.membership.read_from(claim, 42)
    for _ in range(2):
        scene.turn()
        assert scene.client.positions == {}
        assert scene.client.paused == {PLACE}
    scene.turn()
    assert scene.client.positions == {PLACE: 42}
    assert scene.client.paused == set()


async def test_a_seek_that_is_refused_for_good_ends_the_thread(scene: Scene) -> None:
    claim = scene.assign()
    scene.client.refusals = [KafkaError._FATAL]
    scene.membership.read_from(claim, 42)
    with pytest.raises(KafkaException):
        scene.turn()


async def test_a_partition_that_is_revoked_before_it_is_read_is_not_read(scene: Scene) -> None:
    claim = scene.assign()
    scene.membership.read_from(claim, 42)
    scene.revoke()
    scene.turn()
    assert scene.client.positions == {}


async def test_a_partition_that_comes_again_is_read_under_its_new_claim_only(scene: Scene) -> None:
    old = scene.assign()
    scene.membership.read_from(old, 42)
    scene.revoke()
    new = scene.assign()
    scene.turn()
    assert scene.membership._claims[PLACE] is new
    assert scene.client.positions == {}
    scene.membership.read_from(new, 50)
    scene.turn()
    assert scene.client.positions == {PLACE: 50}


@pytest.mark.usefixtures("_no_patience")
async def test_without_room_only_what_was_read_before_goes_on(scene: Scene) -> None:
    other = Place(PLACE.topic, PLACE.partition + 1)
    claim = scene.assign()
    scene.membership.read_from(claim, 42)
    scene.turn()
    client: Any = scene.client
    scene.membership._assigned(client, [TopicPartition(*other)])
    scene.membership._claims[other].restored = True  # and the seek is still on its way
    scene.membership._in_flight = 10**9
    assert not scene.membership._has_room()
    assert scene.client.paused == {other}


async def test_who_has_left_reads_nothing_and_answers_no_question(scene: Scene) -> None:
    claim = scene.assign()
    scene.membership._consumer = None
    scene.membership._left.set()
    scene.membership.read_from(claim, 42)
    with pytest.raises(UnavailableError):
        await scene.membership.ends([PLACE])
    assert scene.client.positions == {}
