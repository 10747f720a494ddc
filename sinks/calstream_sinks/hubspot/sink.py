"""The HubSpot sink: the contract of `calstream_sinks.api` on the modules of this package."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from calstream_core.errors import Code, InvariantError
from calstream_core.settings import read_secret
from calstream_schemas.entities import Copy, Entity, Values, entity_key
from calstream_sinks.api import (
    Change,
    Deferred,
    ErasureOutcome,
    FieldValues,
    Finding,
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
from calstream_sinks.hubspot import setup
from calstream_sinks.hubspot.client import MAX_OBJECTS_PER_CALL, HubSpotClient
from calstream_sinks.hubspot.config import HubSpotConfig
from calstream_sinks.hubspot.contacts import deliver_contacts
from calstream_sinks.hubspot.erasure import erase_contacts, erase_meetings
from calstream_sinks.hubspot.errors import Failure, raise_failure, raise_if_nothing_was_done
from calstream_sinks.hubspot.mapping import BOOKING, CONTACT
from calstream_sinks.hubspot.meetings import deliver_meetings
from calstream_sinks.hubspot.objects import read_by_id
from calstream_sinks.hubspot.projection import project_booking, project_contact
from calstream_sinks.hubspot.snapshots import held_of, snapshot_of, statements_of


class HubSpotSink(Sink[HubSpotConfig]):
    """Contacts and meetings of one HubSpot account, by its API version 2026-09."""

    manifest: ClassVar[Manifest] = Manifest(
        name="hubspot",
        title="HubSpot",
        role="crm",
        kinds=(CONTACT, BOOKING),
        max_batch=MAX_OBJECTS_PER_CALL,
        settle_seconds=30,
    )
    config_model: ClassVar[type[SinkConfig]] = HubSpotConfig

    _client: HubSpotClient | None = None

    @property
    def settle_seconds(self) -> float:
        """As configured; the manifest has the default."""
        return self.config.search_settle_seconds

    async def open(self) -> None:
        """Reads the token, so that a missing one is noticed at the start.

        Raises:
            ConfigError: the token can't be read.
        """
        read_secret(self.config.token, "HubSpot")
        self._client = HubSpotClient(self.context.http(self.config.base_url), self.config)

    async def check(self) -> Sequence[Finding]:
        """Whether the token and every property of the mapping are as they must be.

        Raises:
            UnavailableError: HubSpot does not answer.
        """
        return await setup.check(self._opened)

    async def setup(self) -> Sequence[str]:
        """Makes our property group and properties; does nothing where they are there.

        Raises:
            ConfigError: HubSpot refuses.
            UnavailableError: HubSpot does not answer.
        """
        return await setup.create_missing(self._opened)

    def affected(self, entity: Entity) -> Iterable[str]:
        """An attendance moves its booking; it carries what a meeting shows of a payment."""
        if entity.kind == "attendance":
            booking = entity.references.get("booking_ref")
            return (entity_key(entity.workspace, BOOKING, booking),) if booking else ()
        return super().affected(entity)

    def project(self, entity: Entity, view: View) -> Projection | Waiting | NotWanted:
        """See `projection`."""
        if entity.kind == CONTACT:
            return project_contact(entity)
        if entity.kind == BOOKING:
            return project_booking(entity, view)
        return NotWanted(f"HubSpot takes no {entity.kind}")

    def held(self, kind: str, copy: Copy) -> Held:
        """See `snapshots`. A copy that is gone holds nothing."""
        return held_of(kind, copy)

    def statements(
        self, kind: str, fields: FieldValues, touched: Collection[str]
    ) -> Mapping[str, Values]:
        """See `snapshots`."""
        return statements_of(kind, fields, touched)

    async def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Makes the changes; see `contacts` and `meetings` for the calls that it takes.

        Raises:
            ConfigError: HubSpot refuses us; nothing was written, now or before.
            UnavailableError: HubSpot can't be used now; nothing was written, now or before.
        """
        if not changes:
            return ()
        kind = changes[0].entity.kind
        if kind == CONTACT:
            outcomes = await deliver_contacts(self._opened, changes)
        elif kind == BOOKING:
            outcomes = await deliver_meetings(self._opened, changes)
        else:
            raise InvariantError(Code.INVARIANT_BROKEN, f"HubSpot takes no {kind}.")
        told = [_still_unknown(change, outcomes[change.entity.key]) for change in changes]
        raise_if_nothing_was_done(told)
        return told

    async def erase(self, kind: str, going: Sequence[Going]) -> Sequence[ErasureOutcome]:
        """See `erasure`."""
        erase = erase_contacts if kind == CONTACT else erase_meetings
        return await erase(self._opened, going)

    async def lookup(self, kind: str, external_ids: Sequence[str]) -> Mapping[str, Snapshot | None]:
        """What HubSpot holds of these objects. A merged one is the one it was merged into.

        Raises:
            ConfigError: HubSpot refuses us.
            UnavailableError: HubSpot does not answer.
        """
        found = await read_by_id(self._opened, kind, external_ids)
        if isinstance(found, Failure):
            raise_failure(found)
        return {
            id_: snapshot_of(kind, found[id_], tell_empty=True) if id_ in found else None
            for id_ in external_ids
        }

    @property
    def _opened(self) -> HubSpotClient:
        if self._client is None:
            raise InvariantError(Code.INVARIANT_BROKEN, "The HubSpot sink was used before open().")
        return self._client


def _still_unknown(change: Change, outcome: Outcome) -> Outcome:
    """An earlier call whose outcome could not be looked up now is as unknown as before.

    An error for the whole batch would say that nothing was written.
    """
    if isinstance(outcome, Deferred) and change.outcome_unknown:
        return replace(outcome, unknown=True)
    return outcome
