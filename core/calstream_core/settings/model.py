"""What can be set, with defaults that are safe on one machine. Frozen; unknown keys are refused."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

_NAME = r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""A workspace, source or sink: lower case, digits, `-` and `_`; safe in topics, keys, URLs."""


MAX_BODY_BYTES = 960_000
"""The largest body that fits a record: Kafka's 1,000,000 bytes, less what stands around it."""


def _host_and_port(value: str) -> str:
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}", value):
        msg = "must be HOST:PORT, for example 127.0.0.1:8080"
        raise ValueError(msg)
    return value


Listen = Annotated[str, AfterValidator(_host_and_port)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretReference(_Model):
    """Where a secret is: a file, or a variable of the environment. Never the secret itself."""

    file: Path | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.file is None) == (self.env is None):
            msg = 'name exactly one of them: { file = "..." } or { env = "..." }'
            raise ValueError(msg)
        return self


class SourceSecret(SecretReference):
    """A webhook secret. Several may be active at once, so that one can be replaced in peace."""

    label: Name = "default"


class Pattern(StrEnum):
    """Who owns what, in broad strokes; see `docs/ownership.md`."""

    CALENDAR_TO_CRM = "calendar_to_crm"
    CRM_TO_CALENDAR = "crm_to_calendar"
    TWO_WAY = "two_way"


Minutes = Annotated[int, Field(ge=0, le=24 * 60)]


class BufferSettings(_Model):
    """Time around a booking that its host is not free either."""

    before_minutes: Minutes = 0
    after_minutes: Minutes = 0


class DoubleBookingSettings(_Model):
    """What counts as a double booking, and who keeps the slot.

    Attributes:
        priority: lines such as `event_type=board`, the most important first.
        event_types, hosts: buffers by slug and by the host's id; the longer counts.
        horizon_days: how far ahead occurrences of a series count that are no bookings yet.
    """

    policy: Literal["alert", "first_wins", "priority"] = "alert"
    priority: tuple[str, ...] = ()
    event_types: dict[str, BufferSettings] = Field(default_factory=dict)
    hosts: dict[str, BufferSettings] = Field(default_factory=dict)
    horizon_days: int = Field(default=90, ge=0, le=366)


class ScoringRow(_Model):
    """Points for one answer of a form; `docs/automation.md` lists the operators."""

    field: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    operator: str = "is"
    value: bool | int | float | str | tuple[str, ...] | None = None
    points: int = Field(ge=-1000, le=1000)


class ScoringSettings(_Model):
    """How promising a lead is by the answers of its forms, and from when on somebody is told."""

    table: tuple[ScoringRow, ...] = Field(default=(), max_length=200)
    threshold: int | None = None


class AssigneeSettings(_Model):
    """Somebody who gets new leads: their id in the CRM, and how many for each one of others."""

    owner_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    weight: int = Field(default=1, ge=1, le=100)


class AssignmentSettings(_Model):
    """Who new leads without an owner go to, by turns."""

    people: tuple[AssigneeSettings, ...] = Field(default=(), max_length=500)


class RuleSettings(_Model):
    """What a workspace changes in its pattern. The resolver's own model checks the names.

    Attributes:
        owners: a role, or `newest`, by `kind.group`.
        precedence: roles or single systems, the most trusted first; roles that are not named
            follow.
        lead_source: of people who book; empty for none.
    """

    owners: dict[str, str] = Field(default_factory=dict)
    precedence: tuple[str, ...] = ()
    conflict_window_seconds: int = Field(default=600, ge=0, le=7 * 24 * 3600)
    ignore_plus_addresses: bool = False
    ignore_dots: bool = False
    tombstone_after_days: int = Field(default=40, ge=40, le=3650)
    double_booking: DoubleBookingSettings = Field(default_factory=DoubleBookingSettings)
    lead_source: Annotated[str, StringConstraints(max_length=200)] = "calendar.live"
    scoring: ScoringSettings = Field(default_factory=ScoringSettings)
    assignment: AssignmentSettings = Field(default_factory=AssignmentSettings)


class WorkspaceSettings(_Model):
    """One customer: the unit of consistency."""

    region: Name = "local"
    default_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "US"
    pattern: Pattern = Pattern.CALENDAR_TO_CRM
    rules: RuleSettings = Field(default_factory=RuleSettings)
    secrets: dict[Name, tuple[SourceSecret, ...]] = Field(default_factory=dict)


class StateSettings(_Model):
    """Where this installation keeps its files: the embedded broker's data, keys, process ids."""

    directory: Path = Field(
        default_factory=lambda: platformdirs.user_state_path("calstream", appauthor=False)
    )

    @field_validator("directory")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()


class DatabaseSettings(_Model):
    """The SQL database. Without an address it is a file in the state directory."""

    url: Annotated[str, StringConstraints(pattern=r"^(postgres(ql)?://.+)?$")] = ""
    password: SecretReference | None = None


class KeysSettings(_Model):
    """What wraps the data keys. Without a reference it is a file in the state directory."""

    encryption: tuple[SecretReference, ...] = ()


class KafkaSettings(_Model):
    """The broker. Without an address `calstream up` starts the embedded one."""

    bootstrap_servers: str = ""
    partitions: int = Field(default=6, ge=1, le=1000)
    replication_factor: int = Field(default=1, ge=1, le=9)
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^([a-zA-Z0-9_-]+\.)?$")] = ""
    heap_megabytes: int = Field(default=384, ge=128)


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared with, not bound


class IngestSettings(_Model):
    """The door for webhooks."""

    listen: Listen = "127.0.0.1:8080"
    public_url: str = ""
    max_body_bytes: int = Field(default=256 * 1024, ge=1024, le=MAX_BODY_BYTES)
    ack_timeout_seconds: float = Field(default=2.5, gt=0, le=30)

    @property
    def base_url(self) -> str:
        """What senders call, without a slash at the end; this machine where nothing else is set."""
        return self.public_url.rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """Ingest as seen from its own machine."""
        host, _, port = self.listen.rpartition(":")
        return f"http://{_EVERYWHERE.get(host, host)}:{port}"


class SinkSettings(BaseModel):
    """One sink: its type names the plug-in, whose own model checks the other keys."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Name
    workspaces: tuple[Name, ...] = ()  # empty: every workspace
    concurrency: int = Field(default=4, ge=1, le=64)

    def options(self) -> dict[str, Any]:
        """The keys that belong to the sink's own configuration model."""
        return dict(self.model_extra or {})


class Settings(_Model):
    """Everything that can be set."""

    state: StateSettings = Field(default_factory=StateSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    keys: KeysSettings = Field(default_factory=KeysSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    workspaces: dict[Name, WorkspaceSettings] = Field(default_factory=dict)
    sinks: dict[Name, SinkSettings] = Field(default_factory=dict)
