"""A log of observations in which much happens, and the resolver's stage run over it in memory.

    python -m tests.unit.resolver_scene DIRECTORY BATCH_RECORDS SLICE_ENTITIES

resolves the log that lies in a directory and prints a hash of all that it wrote, by topic.
"""

import hashlib
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from calstream_core.sealing import KeyStore, open_keys
from calstream_core.settings import Settings
from calstream_engine.records import Batch, Headers, Place
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec, Work
from calstream_processors.normalise import normalise
from calstream_processors.resolve.agent import ResolveStage
from calstream_processors.resolve.audit import WRITER
from calstream_processors.resolve.ownership import PATTERNS
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas import refolds
from calstream_schemas.audit import Link
from calstream_schemas.entities import Entity, NaturalId, Stamp, entity_id
from calstream_schemas.entities.avro import decode_entity
from calstream_schemas.observations import (
    Fact,
    Observation,
    Statement,
    encode_observation,
    observation_id,
    rules_changed,
    tick,
)
from calstream_schemas.resolver_state import audit_head_key
from calstream_schemas.topics import (
    AUDIT,
    CONFLICTS,
    ENTITIES,
    ERASURES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    RESOLVER_STATE,
)
from calstream_schemas.webhooks import ReceivedWebhook

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)
DAY = 24 * 60 * 60 * 1_000_000
NOW = 1_795_166_102_000_000  # 2026-11-20T09:15:02Z


class MemoryRecord:
    """A record of the log. Fulfils the engine's `Record`."""

    def __init__(self, offset: int, value: bytes) -> None:
        self._offset = offset
        self._value = value

    def topic(self) -> str:
        return OBSERVATIONS.name

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return self._value

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0

    def __len__(self) -> int:
        return len(self._value)


Written = tuple[bytes | None, bytes | None, Headers | None]


class ResolverRun:
    """The resolver over one partition, with a log that it may write to itself.

    Attributes:
        log: the observations, encoded, with those that the resolver sent.
        written: what was committed, by topic.
        rejected: the offsets of the observations that were refused.

    Args:
        keys: the key store.
        log: the observations so far.
        delay: behind how many of those that are left comes what the resolver sends; all by default.
    """

    def __init__(
        self, keys: KeyStore, log: Iterable[bytes], delay: Callable[[int], int] = lambda left: left
    ) -> None:
        self.keys = keys
        self._delay = delay
        self.log = list(log)
        self.position = 0
        self.written: defaultdict[str, list[Written]] = defaultdict(list)
        self.rejected: list[int | None] = []
        self.outcomes: list[dict[str, int]] = []
        self._settings = Settings.model_validate({"kafka": {"partitions": 1}})
        self._tables = {
            topic.name: (
                TableSpec(topic.name, topic.name, every_version=topic is not RESOLVER_STATE),
                MemoryStore(),
            )
            for topic in (ENTITIES, MATCH_REVIEWS, CONFLICTS, ERASURES, RESOLVER_STATE)
        }
        self.restart()

    def restart(self) -> None:
        """Forgets what is not in the tables, as a worker that is killed does."""
        self._stage = ResolveStage(self._settings, self.keys)
        self._stage.restored(0, self._work())

    def step(self, records: int, *, commit: bool = True) -> None:
        """Resolves the next records as one batch; a batch that is not committed never was."""
        chosen = self.log[self.position : self.position + records]
        batch = [MemoryRecord(self.position + n, raw) for n, raw in enumerate(chosen)]
        end = self.position + len(batch)
        work = self._work()
        self._stage.handle(Batch(Place(OBSERVATIONS.name, 0), batch, end), work)
        if not commit:
            self._stage.rolled_back(0)
            return
        self.position = end
        self.rejected += [one.record.offset() for one in work.rejected]
        self.outcomes.append(work.outcomes)
        for table in work.tables.values():
            for out in table.outgoing(0):
                self.written[out.topic].append((out.key, out.value, out.headers))
            table.store.apply(table.changes(), 0)
        for out in work.sent:
            if out.topic == OBSERVATIONS.name:
                at = self.position + self._delay(len(self.log) - self.position)
                self.log.insert(at, out.value or b"")
            else:
                self.written[out.topic].append((out.key, out.value, out.headers))
        self._stage.committed(0)

    def run(self, batch_records: int = 100) -> "ResolverRun":
        """Resolves all that is left."""
        while self.position < len(self.log):
            self.step(batch_records)
        return self

    def run_until(self, position: int) -> "ResolverRun":
        """Resolves up to a place in the log."""
        while self.position < position:
            self.step(1)
        return self

    def entities(self) -> dict[str, Entity]:
        """The newest version of each entity."""
        found = {}
        for key, value in self._tables[ENTITIES.name][1].items():
            entity = decode_entity(value, self.keys.sealer)
            assert isinstance(entity, Entity)
            found[key.decode()] = entity
        return found

    def audit(self) -> list[bytes]:
        """The audit as it lies in the topic."""
        return [value or b"" for _key, value, _headers in self.written[AUDIT.name]]

    def head(self) -> Link:
        """Where the audit's chain stands by `resolver.state`."""
        raw = self.state(audit_head_key(WRITER))
        assert raw is not None
        return Link.decode(raw)

    def state(self, key: bytes) -> bytes | None:
        """What `resolver.state` has."""
        return self._tables[RESOLVER_STATE.name][1].get(key)

    def _work(self) -> Work:
        return Work(0, dict(self._tables))


def digest(written: Sequence[Written]) -> str:
    """A hash over keys, values and headers, in the order of each key."""
    by_key: defaultdict[bytes, Any] = defaultdict(hashlib.sha256)
    for key, value, headers in written:
        for part in (value or b"", *(text for _, text in headers or ())):
            by_key[key or b""].update(len(part).to_bytes(4, "big") + part)
    return hashlib.sha256(
        b"".join(key + each.digest() for key, each in sorted(by_key.items()))
    ).hexdigest()


def a_busy_log(workspaces: Sequence[str], bookings: int, seed: int = 1) -> list[Observation]:
    """Bookings made, moved, paid and cancelled; edits in a CRM; decisions; other rules; repeats."""
    chance = random.Random(seed)
    log: list[Observation] = []
    for workspace in workspaces:
        told = list(_calendar_says(workspace, bookings, chance))
        people = _people(told)
        told += _crm_says(workspace, people, chance)
        told += _gone(workspace, people[-3:], len(people))
        told += chance.sample(told, len(told) // 8)
        chance.shuffle(told)
        late = [each for each in told if each.fact is Fact.GONE]  # nothing is said of them later
        told = [each for each in told if each not in late] + late
        for number, days in enumerate((1, 3, 9, 60, 120)):
            told.insert(len(told) * (number + 3) // 7, tick(workspace, NOW + days * DAY))
        for number, decided in enumerate(_decisions(workspace, people)):
            told.insert(len(told) * (number + 14) // 19, decided)
        for number, pattern in enumerate(PATTERNS.values()):
            rules = rules_changed(workspace, pattern, f"change/{number}", NOW + number)
            told.insert(len(told) * (number + 1) // 4, rules)
        log += told
    # the workspaces' lives run side by side; each keeps its order
    places = {name: iter([one for one in log if one.workspace == name]) for name in workspaces}
    order = [one.workspace for one in log]
    chance.shuffle(order)
    return [next(places[name]) for name in order]


def _calendar_says(workspace: str, bookings: int, chance: random.Random) -> Iterator[Observation]:
    calendar = Calendar(workspace, seed=f"busy-{workspace}")
    webhooks: list[Webhook] = []
    for number in range(bookings):
        who = number % max(1, bookings * 4 // 5)  # some book again, some share a mailbox
        address = f"p{who - who % 8 // 7}+{who % 2}@example.com"
        person = calendar.add_attendee(address, f"Person {who}", company=f"Company {who % 5}")
        kind = EventType("trial", "Trial", paid=number % 3 == 0, price_minor=100)
        begin = START + timedelta(hours=number)
        end, answers = begin + timedelta(minutes=30), (("team_size", "51-200"),)
        slot = Booking(HOST, kind, begin, end, "America/New_York", answers=answers)
        event, told = calendar.book(slot, person)
        moved = begin + timedelta(days=1)
        told += calendar.reschedule(event, moved, moved + timedelta(minutes=30))
        if kind.paid:
            told += calendar.pay(event, person)
        if chance.random() < 0.3:
            told += calendar.cancel(event, person)
        webhooks += told
    for number, webhook in enumerate(webhooks):
        received = ReceivedWebhook(
            id=f"{workspace}-{number}",
            workspace=workspace,
            source="calendar_live",
            received_at=NOW + number,
            delivery_id=f"dlv_{number}",
            scheme="hmac-sha256",
            secret_label="default",
            content_type="application/json",
            body=webhook.raw,
        )
        yield from normalise(received, "US").observations


def _people(told: Iterable[Observation]) -> list[NaturalId]:
    """The attendees whose address nobody else has: each is a contact under an id of their own."""
    by_address: defaultdict[object, set[NaturalId]] = defaultdict(set)
    for each in told:
        for statement in each.statements:
            if each.kind == "contact" and "email" in statement.values:
                by_address[statement.values["email"]].add(each.natural_id)
    return sorted(its.pop() for its in by_address.values() if len(its) == 1)


def _crm_says(
    workspace: str, people: Sequence[NaturalId], chance: random.Random
) -> Iterator[Observation]:
    for number, person in enumerate(people):
        for fact in (Fact.ANNOUNCE, Fact.RESULT, Fact.STATE):
            natural_id = NaturalId("hubspot", "contact", str(number))
            at = NOW + chance.randrange(1000)
            values = {
                "name": {"full_name": f"Person {number} of the CRM"},
                "company": {"company": f"Company {chance.randrange(9)} Inc."},
            }
            stamp = Stamp(-1, at, by_self=fact is not Fact.STATE)
            yield Observation(
                id=observation_id("hubspot", f"{workspace}/{number}", fact, natural_id),
                workspace=workspace,
                fact=fact,
                kind="contact",
                natural_id=natural_id,
                role="crm",
                received_at=at,
                occurred_at=at,
                about=entity_id(workspace, "contact", person),
                statements=tuple(Statement(group, its, stamp) for group, its in values.items()),
            )


def _gone(workspace: str, people: Sequence[NaturalId], count: int) -> Iterator[Observation]:
    """No system has these people any more."""
    for number, person in enumerate(people, count - len(people)):
        for natural_id in (person, NaturalId("hubspot", "contact", str(number))):
            yield Observation(
                id=observation_id("gone", workspace, Fact.GONE, natural_id),
                workspace=workspace,
                fact=Fact.GONE,
                kind="contact",
                natural_id=natural_id,
                role="crm" if natural_id.system == "hubspot" else "calendar",
                received_at=NOW + 5000,
                occurred_at=NOW + 5000,
                about=entity_id(workspace, "contact", person),
            )


def _decisions(workspace: str, people: Sequence[NaturalId]) -> Iterator[Observation]:
    ids = [entity_id(workspace, "contact", person) for person in people]
    asked = (
        (Fact.MERGE, 1, 6),
        (Fact.MERGE, 3, 5),
        (Fact.UNMERGE, 1, None),
        (Fact.APART, 2, 7),
        (Fact.MERGE, 4, 4),  # is refused
    )
    for number, (fact, about, other) in enumerate(asked):
        natural_id = NaturalId("calstream", "decision", f"{workspace}-{number}")
        yield Observation(
            id=observation_id("calstream", natural_id.object_id, fact, natural_id),
            workspace=workspace,
            fact=fact,
            kind="contact",
            natural_id=natural_id,
            role="decisions",
            received_at=NOW + number,
            occurred_at=NOW + number,
            about=ids[about],
            other=None if other is None else ids[other],
            decided_by="ops-7",
        )


def encoded(keys: KeyStore, log: Iterable[Observation]) -> list[bytes]:
    """A log as it lies in the topic."""
    return [encode_observation(each, keys.sealer(each.workspace)) for each in log]


def keys_in(directory: Path) -> KeyStore:
    """The key store below a directory; made if there is none."""
    return open_keys(Settings.model_validate({"state": {"directory": str(directory)}}))


def _main(directory: Path, batch_records: int, slice_entities: int) -> None:
    refolds.SLICE_ENTITIES = slice_entities
    log = [bytes.fromhex(line) for line in (directory / "log").read_text().split()]
    run = ResolverRun(keys_in(directory), log).run(batch_records)
    found = {topic: digest(its) for topic, its in sorted(run.written.items())}
    del found[RESOLVER_STATE.name]  # which ids are forgotten when is up to the batches
    found["log"] = hashlib.sha256(b"".join(run.log)).hexdigest()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
