"""Settings: `calstream.toml` and the environment, checked as a whole, with each value's origin.

Precedence: environment over file over default. The environment name of `[kafka] partitions` is
`CALSTREAM_KAFKA__PARTITIONS`. Secrets stand in the file only as references.
"""

from calstream_core.settings.loader import CONFIG_FILE_NAME, LoadedSettings, load_settings
from calstream_core.settings.model import (
    MAX_BODY_BYTES,
    AssigneeSettings,
    AssignmentSettings,
    DatabaseSettings,
    IngestSettings,
    KafkaSettings,
    KeysSettings,
    Pattern,
    RuleSettings,
    ScoringRow,
    ScoringSettings,
    SecretReference,
    Settings,
    SinkSettings,
    SourceSecret,
    StateSettings,
    WorkspaceSettings,
)
from calstream_core.settings.secret import read_secret

__all__ = [
    "CONFIG_FILE_NAME",
    "MAX_BODY_BYTES",
    "AssigneeSettings",
    "AssignmentSettings",
    "DatabaseSettings",
    "IngestSettings",
    "KafkaSettings",
    "KeysSettings",
    "LoadedSettings",
    "Pattern",
    "RuleSettings",
    "ScoringRow",
    "ScoringSettings",
    "SecretReference",
    "Settings",
    "SinkSettings",
    "SourceSecret",
    "StateSettings",
    "WorkspaceSettings",
    "load_settings",
    "read_secret",
]
