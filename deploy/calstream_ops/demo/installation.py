"""An installation of its own for a demonstration: settings, a secret and a state directory."""

import os
import secrets
from pathlib import Path

from calstream_core.settings import CONFIG_FILE_NAME, LoadedSettings, load_settings

WORKSPACE = "acme"
SANDBOX_TOKEN = "pat-sandbox"  # noqa: S105 - opens nothing but the sandbox
_SETTINGS = """\
# The settings of a demonstration; every path is below this folder.
[state]
directory = "{root}/state"

[ingest]
listen = "127.0.0.1:{ingest_port}"

[workspaces.{workspace}]
default_country = "US"

[[workspaces.{workspace}.secrets.calendar_live]]
label = "demo"
file = "{root}/webhook.secret"

[sinks.hubspot]
type = "hubspot"
base_url = "http://127.0.0.1:{sandbox_port}/hubspot"
token = {{ file = "{root}/hubspot.token" }}
search_settle_seconds = 1
"""


def create_installation(root: Path, ingest_port: int, sandbox_port: int) -> LoadedSettings:
    """Writes the files and makes this process and its children use them, and nothing else."""
    for name in [name for name in os.environ if name.startswith("CALSTREAM_")]:
        del os.environ[name]
    _write_secret(root / "webhook.secret", secrets.token_hex(32))
    _write_secret(root / "hubspot.token", SANDBOX_TOKEN)
    file = root / CONFIG_FILE_NAME
    file.write_text(
        _SETTINGS.format(
            root=root, workspace=WORKSPACE, ingest_port=ingest_port, sandbox_port=sandbox_port
        )
    )
    os.environ["CALSTREAM_CONFIG"] = str(file)
    return load_settings(file)


def _write_secret(file: Path, value: str) -> None:
    file.touch(mode=0o600)
    file.write_text(value)
