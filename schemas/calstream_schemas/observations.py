"""Observations: what was learned of one object of one system, vendor-neutral."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from calstream_core.errors import CalstreamError, Code, InvariantError, UnavailableError
from calstream_core.record import record
from calstream_core.sealing import KeyName, Seal, Sealer, object_key
from calstream_schemas import codec
from calstream_schemas.cells import read_values, stamp_bytes, write_cells
from calstream_schemas.codec import Decoded, Poison
from calstream_schemas.entities.fields import KINDS, kind_of
from calstream_schemas.entities.model import NaturalId, Stamp, Values
from calstream_schemas.erasure_facts import ErasureOrder, Receipt
from calstream_schemas.key_loading import load_keys
from calstream_schemas.rule_sets import RULES, RuleSet
from calstream_schemas.wire import END, long, word

RULE_SET = "rule_set"
"""The kind of an observation that is about a workspace's rules."""

_BY_HAND = "statements"

TICK = "tick"
"""The kind of an observation that is about time alone."""

CLOCK = "clock"
"""The source that tells how time passes."""

NO_VERSION = -1
"""The source version of a system that numbers nothing."""


class Fact(StrEnum):
    """What kind of thing was learned."""

    STATE = "state"  # a system told how its object is
    ANNOUNCE = "announce"  # a sink is about to write this
    RESULT = "result"  # a sink wrote it, and this is what the vendor made of it
    GONE = "gone"  # the object no longer exists there
    RULES = "rules"  # the workspace has other rules
    REFOLD = "refold"  # the resolver goes on folding a workspace again
    MERGE = "merge"  # somebody decided that `about` is `other`
    UNMERGE = "unmerge"  # somebody decided that `about` is nobody else after all
    APART = "apart"  # somebody decided that `about` and `other` are two
    SETTLE = "settle"  # somebody decided what is so where systems differ
    ERASE = "erase"  # somebody decided that what is known of the person `about` goes
    ERASED = "erased"  # a system answers that it has erased what it had
    TICK = "tick"  # it is `occurred_at` now

    __hash__ = str.__hash__  # that of enums is in Python


_FACTS = {fact.value: fact for fact in Fact}

DECISIONS = frozenset({Fact.MERGE, Fact.UNMERGE, Fact.APART})
"""Facts that say who is who. They are made by people and recorded like every other fact."""

DECIDERS = "decisions"
"""The role of people who decide."""

_NO_ENTITY = frozenset({RULE_SET, TICK})

ABOUT_RULES = frozenset({Fact.RULES, Fact.REFOLD})
"""Facts that are about a workspace's rules and no entity. Nothing happened but that."""


@record
class Statement:
    """One group as a system has it. `values` holds only what was said; None says it is empty."""

    group: str
    values: Values
    stamp: Stamp


@record
class Observation:
    """One fact about one object.

    Attributes:
        id: the same for every delivery of the same thing; see `observation_id`.
        natural_id: the object that it is about.
        about: the entity's id where the observer knows it, as sinks do.
        rule_set: the workspace's rules from now on; with the fact `rules` alone, which is about no
            entity and has the kind `rule_set`, as `refold` has.
        same_as: another object of the system that is the same thing, as a hold and its event are.
        received_at: when it came in, microseconds; for what came by webhook its acceptance.
        occurred_at: when it happened at the source, microseconds.
        other: for decisions on who is who, the other entity's id.
        decided_by: for decisions, who decided.
        erasure: for `erase` what is asked for, for `erased` the receipt.
    """

    id: str
    workspace: str
    fact: Fact
    kind: str
    natural_id: NaturalId
    role: str
    received_at: int
    occurred_at: int
    statements: tuple[Statement, ...] = ()
    about: str | None = None
    same_as: NaturalId | None = None
    rule_set: RuleSet | None = None
    event_id: str | None = None
    event_type: str | None = None
    delivery_id: str | None = None
    other: str | None = None
    decided_by: str | None = None
    erasure: ErasureOrder | Receipt | None = None


def observation_id(source: str, event: str, fact: Fact, natural_id: NaturalId) -> str:
    """The identity of a fact: the source, its event, what kind of fact, and of which object."""
    parts = "\x1f".join((source, event, fact, *natural_id))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def key_of(observation: Observation) -> KeyName:
    """What an observation is sealed with: the key of the object that it is about."""
    return object_key(*observation.natural_id)


def sealed_with(observation: Observation) -> KeyName | None:
    """The key that encoding an observation will need; None where it has nothing personal."""
    if not observation.statements:
        return None
    sealed = kind_of(observation.kind).sealed_fields
    for statement in observation.statements:
        for name, value in statement.values.items():
            if value is not None and name in sealed:
                return key_of(observation)
    return None


def rules_changed(workspace: str, rules: RuleSet, event: str, now: int) -> Observation:
    """The observation that a workspace has other rules.

    Args:
        workspace: whose.
        rules: all of them.
        event: names the change, so that going back to earlier rules is no repeat.
        now: microseconds.
    """
    natural_id = NaturalId("calstream", RULE_SET, rules.id)
    return Observation(
        id=observation_id("calstream", event, Fact.RULES, natural_id),
        workspace=workspace,
        fact=Fact.RULES,
        kind=RULE_SET,
        natural_id=natural_id,
        role=RULES,
        received_at=now,
        occurred_at=now,
        rule_set=rules,
        event_id=event,
    )


def tick(workspace: str, instant: int) -> Observation:
    """The observation that it is so late now: the same one, whoever makes it.

    Args:
        workspace: whose time passes.
        instant: microseconds.
    """
    natural_id = NaturalId(CLOCK, TICK, str(instant))
    return Observation(
        id=observation_id(CLOCK, str(instant), Fact.TICK, natural_id),
        workspace=workspace,
        fact=Fact.TICK,
        kind=TICK,
        natural_id=natural_id,
        role=RULES,
        received_at=instant,
        occurred_at=instant,
    )


def encode_observation(observation: Observation, sealer: Sealer | None) -> bytes:
    """An observation's value for the topic.

    Args:
        observation: the observation.
        sealer: its workspace's; None for one that says nothing personal, such as `rules_changed`.
    """
    seal = None if sealer is None else sealer.under(key_of(observation))
    return codec.encode_with(
        "Observation",
        _BY_HAND,
        {
            "id": observation.id,
            "workspace": observation.workspace,
            "fact": observation.fact,
            "kind": observation.kind,
            **observation.natural_id._asdict(),
            "role": observation.role,
            "about": observation.about,
            "same_as": None if observation.same_as is None else str(observation.same_as),
            "received_at": observation.received_at,
            "occurred_at": observation.occurred_at,
            "rule_set": observation.rule_set.encode().decode() if observation.rule_set else None,
            "event_id": observation.event_id,
            "event_type": observation.event_type,
            "delivery_id": observation.delivery_id,
            "other": observation.other,
            "decided_by": observation.decided_by,
            "erasure": None if observation.erasure is None else observation.erasure.encode(),
        },
        _said(observation, seal) if observation.statements else END,
    )


def _said(observation: Observation, seal: Seal | None) -> bytes:
    """The statements as Avro has them; successive ones that were said at once are one item."""
    if seal is None:
        raise InvariantError(Code.INVARIANT_BROKEN, "A statement needs a sealer.")
    runs: list[list[Statement]] = []
    stamp: Stamp | None = None
    groups: set[str] = set()
    for statement in observation.statements:
        if statement.stamp != stamp or statement.group in groups:
            stamp = statement.stamp
            groups.clear()
            runs.append([])
        groups.add(statement.group)
        runs[-1].append(statement)
    out = [long(len(runs))]
    for run in runs:
        out += (stamp_bytes(run[0].stamp), long(len(run)))
        for statement in run:
            out.append(word(statement.group))
            write_cells(observation.kind, statement.values, seal, out)
        out.append(END)
    out.append(END)
    return b"".join(out)


def decode_observations(
    raws: Sequence[bytes], sealer_of: Callable[[str], Sealer]
) -> list[Observation | Poison]:
    """Reads the values of a batch, with one query for all keys that are not at hand.

    Raises:
        UnavailableError: the key store does not answer.
    """
    decoded = [codec.decode(raw, "Observation") for raw in raws]
    load_keys(decoded, _key_ids, sealer_of)
    return [_opened(each, raw, sealer_of) for each, raw in zip(decoded, raws, strict=True)]


def decode_observation(raw: bytes, sealer_of: Callable[[str], Sealer]) -> Observation | Poison:
    """Reads an observation's value; never raises for what is in it.

    Raises:
        UnavailableError: the key store does not answer.
    """
    return _opened(codec.decode(raw, "Observation"), raw, sealer_of)


def _key_ids(decoded: Decoded) -> Iterator[str]:
    for said in decoded.body["statements"]:
        for cells in said["groups"].values():
            for value in cells.values():
                if type(value) is dict:
                    yield value["key_id"]
                    return  # the others are sealed with the same one: that of the object


def _opened(
    decoded: Decoded | Poison, raw: bytes, sealer_of: Callable[[str], Sealer]
) -> Observation | Poison:
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    fault = _fault(body)
    if fault is not None:
        return Poison(raw, Code.RECORD_UNREADABLE, fault)
    try:
        return _observation(body, sealer_of(body["workspace"]))
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except (KeyError, ValueError) as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not an Observation: {error!r}")


def _fault(body: dict[str, Any]) -> str | None:
    kind, fact = body["kind"], body["fact"]
    if (kind == RULE_SET) != (fact in ABOUT_RULES) or (
        (body["rule_set"] is None) == (fact == Fact.RULES)
    ):
        return "a rule set comes with the fact rules alone"
    if (kind == TICK) != (fact == Fact.TICK):
        return "a tick comes with the fact tick alone"
    if kind not in KINDS and kind not in _NO_ENTITY:
        return f"there is no kind {kind!r}"
    return None


def _observation(body: dict[str, Any], sealer: Sealer) -> Observation:
    return Observation(
        id=body["id"],
        workspace=body["workspace"],
        fact=_FACTS[body["fact"]],
        kind=body["kind"],
        natural_id=NaturalId(body["system"], body["object_type"], body["object_id"]),
        role=body["role"],
        received_at=body["received_at"],
        occurred_at=body["occurred_at"],
        about=body["about"],
        same_as=None if body["same_as"] is None else NaturalId.parse(body["same_as"]),
        event_id=body["event_id"],
        event_type=body["event_type"],
        delivery_id=body["delivery_id"],
        other=body["other"],
        decided_by=body["decided_by"],
        erasure=_erasure(Fact(body["fact"]), body["erasure"]),
        rule_set=None if body["rule_set"] is None else RuleSet.decode(body["rule_set"].encode()),
        statements=tuple(_statements(body, sealer)),
    )


def _erasure(fact: Fact, text: str | None) -> ErasureOrder | Receipt | None:
    if text is None:
        return None
    return ErasureOrder.decode(text) if fact is Fact.ERASE else Receipt.decode(text)


def _statements(body: dict[str, Any], sealer: Sealer) -> Iterator[Statement]:
    kind, found = body["kind"], body["statements"]
    groups = kind_of(kind).group_by_name if found else {}
    for said in found:
        stamp = Stamp(said["source_version"], said["modified_at"], said["by_self"])
        for group, cells in said["groups"].items():
            yield Statement(groups[group].name, read_values(kind, cells, sealer), stamp)
