"""One observation on its way into the work of a batch: what it makes, and what follows from it.

The pure functions say what is made; here it is written into the tables of the work and taken into
the state, so that the next observation of the batch sees it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from calstream_core.errors import RecordError
from calstream_core.sealing import Sealer
from calstream_engine import Work
from calstream_processors.resolve.audit import Told, entries_of
from calstream_processors.resolve.automation.lead import restate
from calstream_processors.resolve.conflicts import conflict_changes
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.erasing import ERASURE_FACTS, erase
from calstream_processors.resolve.matching import match_rules
from calstream_processors.resolve.partition import Partition, tell_if_zones_differ
from calstream_processors.resolve.questions import questions
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.refolds import Step
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.suppression import after_dropping, suppressed_by
from calstream_processors.resolve.ticking import burials, expiries, referring_no_more
from calstream_processors.resolve.tombstones import bury
from calstream_schemas.conflicts import encode_conflict
from calstream_schemas.double_bookings import encode_double_booking
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity, entity_headers, key_of
from calstream_schemas.entities.fields import MESSAGE
from calstream_schemas.erasures import Erasure, encode_erasure
from calstream_schemas.observations import ABOUT_RULES, Fact, Observation, encode_observation
from calstream_schemas.resolver_state import assignments_key, refold_key, rules_key
from calstream_schemas.reviews import encode_review
from calstream_schemas.topics import CONFLICTS, ENTITIES, ERASURES, MATCH_REVIEWS, RESOLVER_STATE

HELD_ENTITIES = 20_000
"""Decoded entities that are held of each workspace; others are read when they are asked for."""

_log = structlog.get_logger()


class Destinations(NamedTuple):
    """Topics that are written beside the tables, by their full names."""

    observations: str
    audit: str


@dataclass(slots=True)
class Resolution:
    """Resolves one observation.

    Attributes:
        partition, workspace: the state, which has what earlier observations made.
        work: of the batch.
        sealer: the workspace's.
        destinations: where else it writes.
        told: what becomes of it, for the audit.
        is_replay: whether nothing happened but that entities are folded again.
    """

    partition: Partition
    workspace: Workspace
    work: Work
    sealer: Sealer
    destinations: Destinations
    told: Told = field(default_factory=Told)
    is_replay: bool = False

    def run(self, observation: Observation) -> str:
        """Resolves an observation with all that follows; returns the outcome for the metrics.

        Raises:
            RecordError: it is refused, and nothing was changed.
        """
        if self._is_dropped(observation):
            return "suppressed"
        seen_key = f"{observation.workspace}/{observation.id}"
        if seen_key in self.partition.seen:
            return "duplicate"
        self.is_replay = observation.fact in ABOUT_RULES
        step = self.partition.step(observation)
        if observation.fact is Fact.TICK:
            changes = self._tick(observation)
        else:
            changes = self._apply(observation, step)
            self._follow(changes)
        if step is not None and step.refold.restates:
            self._restate(observation, step)
        for entry in entries_of(observation, self.told, self.sealer):
            key = observation.workspace.encode()
            self.work.send(self.destinations.audit, key, self.partition.audit.append(entry))
        self.workspace.trim(HELD_ENTITIES)
        self._mark_seen(seen_key, observation.received_at)
        return "versions" if changes else "unchanged"

    def _apply(self, observation: Observation, step: Step | None = None) -> list[Change]:
        """Resolves one observation into the work and the state, and adds to what is told of it."""
        return self._take(self._made(observation, step), observation, step)

    def _take(
        self, made: Sequence[Entity], observation: Observation, step: Step | None = None
    ) -> list[Change]:
        """Takes the versions that an observation made into the work and the state."""
        work, workspace, partition = self.work, self.workspace, self.partition
        rules = observation.rule_set or workspace.rules
        conflicts = [
            (conflict, self.sealer.under(key_of(entity)))
            for entity in made
            for conflict in conflict_changes(entity, rules, partition.conflicts.of(entity.key))
        ]
        records = [
            (conflict.key.encode(), encode_conflict(conflict, seal), None)
            for conflict, seal in conflicts
        ]
        # all or none: what is too large refuses the observation before anything is changed
        work[ENTITIES.name].put_all(
            (each.key.encode(), encode_entity(each, self.sealer), entity_headers(each, self.sealer))
            for each in made
        )
        work[CONFLICTS.name].put_all(records)
        changes = [Change(workspace.put(entity), entity, observation) for entity in made]
        self.told.changes += changes
        for conflict, _seal in conflicts:
            partition.conflicts.put(conflict)
            self.told.conflicts.append(conflict)
        if step is not None:
            self.told.is_refold = rules.id == workspace.rules.id
            if not self.told.is_refold:
                tell_if_zones_differ(observation.workspace, rules)
            workspace.rules = rules
            self._goes_on(observation, step, len(made))
        self._ask(made)
        double = workspace.double_bookings.settle(rules.double_booking, observation)
        self.told.double_bookings += double
        work[CONFLICTS.name].put_all(
            (each.key.encode(), encode_double_booking(each), None) for each in double
        )
        return changes

    def _tick(self, tick: Observation) -> list[Change]:
        """Does what is due at a recorded instant: entities expire, or are forgotten."""
        workspace, done = self.workspace, list[Change]()
        for expired in expiries(workspace, workspace.due, tick):
            changes = self._apply_drawn(expired)
            self._follow(changes)
            done += changes
        for burial in burials(workspace, workspace.due, tick, workspace.rules):
            bury(burial, workspace, self.partition.conflicts, self.work)
            self.told.forgotten += burial.gone
            self.work.count("forgotten")
            made = referring_no_more(workspace, burial.referrers, tick, workspace.rules)
            changes = self._take(list(made), tick)
            self._follow(changes)
            done += changes
        workspace.ticked_at = max(workspace.ticked_at, tick.occurred_at)
        return done

    def _made(self, observation: Observation, step: Step | None) -> Sequence[Entity]:
        workspace = self.workspace
        if observation.fact in ERASURE_FACTS:
            erased = erase(workspace, observation, workspace.rules)
            if erased.erasure is not None:
                self._put_erasure(erased.erasure)
            return erased.made
        if observation.fact not in ABOUT_RULES:
            return resolve(workspace, observation, workspace.rules)
        if step is None:
            return ()
        rules = observation.rule_set or workspace.rules
        entities = self.partition.entities(workspace, step.keys)
        made = list(refold(workspace, entities.values(), rules, step.refold.cause))
        for entity in made:
            workspace.hold(entities[entity.key])  # the indexes must know what goes
        return made

    def _follow(self, changes: Sequence[Change]) -> None:
        """Resolves what follows from changes, and what follows from that, until nothing does.

        What follows is never a reason to refuse what it follows from.
        """
        workspace = self.workspace
        follow_up(workspace, changes, workspace.rules, CONSEQUENCES, self._apply_drawn)
        if workspace.assignments.changed:
            key = assignments_key(changes[0].after.workspace)
            self.work[RESOLVER_STATE.name].put(key, workspace.assignments.encode())

    def _apply_drawn(self, drawn: Observation) -> list[Change]:
        if self._is_dropped(drawn) or self._is_message_of_replay(drawn):
            return []
        try:
            return self._apply(drawn)
        except RecordError as error:
            self.work.count("rule_refused")
            _log.error("a rule is refused", about=str(drawn.natural_id), code=error.code)
            return []

    def _restate(self, cause: Observation, step: Step) -> None:
        """Says of the contacts of a slice what the rules for leads say now."""
        workspace, prefix = self.workspace, f"{cause.workspace}/contact/"
        keys = [key for key in step.keys if key.startswith(prefix)]
        contacts = self.partition.entities(workspace, keys).values()
        for drawn in restate(workspace, contacts, workspace.rules, cause):
            self._follow(self._apply_drawn(drawn))
            workspace.trim(HELD_ENTITIES)

    def _goes_on(self, observation: Observation, step: Step, changed: int) -> None:
        """Keeps how far a refold is, and asks for its next slice by way of the log."""
        state, workspace = self.work[RESOLVER_STATE.name], observation.workspace
        if observation.rule_set is not None:
            state.put(rules_key(workspace), observation.rule_set.encode())
        refolded = self.partition.refolds.advance(workspace, step, changed)
        if refolded.is_done:
            state.delete(refold_key(workspace))
            _log.info("refolded", entities=refolded.entities, changed=refolded.changed)
            return
        state.put(refold_key(workspace), refolded.encode())
        following = refolded.next(workspace)
        self.work.send(
            self.destinations.observations,
            workspace.encode(),
            encode_observation(following, None),
            headers=[
                ("ce_id", following.id.encode()),
                ("ce_type", b"rules.refold"),
                ("ce_time", str(following.received_at).encode()),
            ],
        )

    def _ask(self, made: Iterable[Entity]) -> None:
        """Opens and closes the reviews that new versions of contacts give reason to."""
        workspace = self.workspace
        changes = questions(workspace.index, workspace.reviews, made, match_rules(workspace.rules))
        table = self.work[MATCH_REVIEWS.name]
        for review in changes.closed:
            table.delete(review.key.encode())
            workspace.reviews.drop(review)
        for review in changes.opened:
            table.put(review.key.encode(), encode_review(review, self.sealer))
            workspace.reviews.put(review)

    def _is_dropped(self, observation: Observation) -> bool:
        """Drops what was said of somebody before they were erased; costs nothing without such."""
        workspace = self.workspace
        if not workspace.erasures or observation.fact in ERASURE_FACTS:
            return False
        erasure = suppressed_by(workspace, observation, workspace.rules)
        if erasure is None:
            return False
        self._put_erasure(after_dropping(workspace, erasure, observation))
        return True

    def _is_message_of_replay(self, drawn: Observation) -> bool:
        """Whether somebody would be told of what only other rules or other code make of it."""
        return (
            self.is_replay
            and drawn.kind == MESSAGE.name
            and self.workspace.index.find(drawn.kind, drawn.natural_id) is None
        )

    def _put_erasure(self, erasure: Erasure) -> None:
        self.work[ERASURES.name].put(erasure.key.encode(), encode_erasure(erasure))
        self.workspace.erasures.put(erasure)

    def _mark_seen(self, key: str, received_at: int) -> None:
        state, seen = self.work[RESOLVER_STATE.name], self.partition.seen
        for old in seen.expired(received_at):
            state.delete(old.encode())
        state.put(key.encode(), str(received_at).encode())
        seen.add(key, received_at)
