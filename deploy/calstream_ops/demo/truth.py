"""The truth behind the demonstration: what it holds, and what people decide about it.

Reads and decides as the command line does. Blocks.
"""

from collections.abc import Mapping

from calstream_core.clock import now_microseconds
from calstream_core.settings import Settings
from calstream_ops.decision import DecisionDesk, decision, erasure_order
from calstream_ops.inspection.entity_log import EntityLog, not_found
from calstream_ops.inspection.erasure_log import follow_erasure
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_schemas.entities import Entity, NaturalId, Stamp, Value
from calstream_schemas.erasures import ErasureState
from calstream_schemas.observations import (
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)
from calstream_schemas.rule_sets import CRM

_TIMEOUT_SECONDS = 20
_DECIDED_BY = "demonstration"


class Truth:
    """The entities of one workspace.

    Args:
        bootstrap_servers: the broker.
        settings: of the installation.
        workspace: whose entities.
    """

    def __init__(self, bootstrap_servers: str, settings: Settings, workspace: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._settings = settings
        self._workspace = workspace
        self._desk = DecisionDesk(bootstrap_servers, settings.kafka, _TIMEOUT_SECONDS)

    def find(self, kind: str, natural_id: NaturalId) -> Entity:
        """The entity that an object belongs to.

        Raises:
            RecordError: there is none.
        """
        with LogReader(self._bootstrap_servers) as reader:
            log = EntityLog(reader, self._settings.kafka, existing_keys(self._settings))
            found = log.by_natural_id(self._workspace, kind, natural_id)
        if found is None:
            raise not_found(f"{kind} {natural_id}", "Has the pipeline come to rest?")
        return found

    def merge(self, one: Entity, into: Entity) -> None:
        """Says that two contacts are one person."""
        self._tell(decision(Fact.MERGE, one, into, _DECIDED_BY), one.key)

    def unmerge(self, one: Entity) -> None:
        """Takes a merge back."""
        self._tell(decision(Fact.UNMERGE, one, None, _DECIDED_BY), one.key)

    def erase(self, contact: Entity) -> bool:
        """Erases a person at every sink and here; tells whether it is done."""
        systems = tuple(sorted(self._settings.sinks))
        self._tell(erasure_order(contact, systems, 1, _DECIDED_BY), contact.key)
        with LogReader(self._bootstrap_servers) as reader:
            found = follow_erasure(
                reader, self._settings.kafka, contact, timeout_seconds=_TIMEOUT_SECONDS
            )
        return found is not None and found.state is ErasureState.DONE and not found.waits_for

    def edited(self, entity: Entity, object_id: str, group: str, **values: Value) -> None:
        """Tells that somebody edited an object in the CRM, as its webhook would.

        Args:
            entity: what the object belongs to.
            object_id: its id in the CRM.
            group: the group of fields that was edited.
            values: the group's values there now.
        """
        self._tell(_edit(entity, NaturalId("hubspot", entity.kind, object_id), group, values))

    def _tell(self, observation: Observation, key: str | None = None) -> None:
        about = key or f"{observation.workspace}/{observation.kind}/{observation.about}"
        sealer = existing_keys(self._settings)(observation.workspace)
        self._desk.hand_in(observation, about, sealer)


def _edit(
    entity: Entity, natural_id: NaturalId, group: str, values: Mapping[str, Value]
) -> Observation:
    now = now_microseconds()
    return Observation(
        id=observation_id(natural_id.system, f"edit/{now}", Fact.STATE, natural_id),
        workspace=entity.workspace,
        fact=Fact.STATE,
        kind=entity.kind,
        natural_id=natural_id,
        role=CRM,
        received_at=now,
        occurred_at=now,
        about=entity.id,
        statements=(Statement(group, dict(values), Stamp(NO_VERSION, now, by_self=False)),),
    )
