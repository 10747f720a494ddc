"""`calstream init`: a settings file that works with `calstream up` as it is."""

import os
import tempfile
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import CONFIG_FILE_NAME, load_settings
from calstream_ops.cli.session import session_of
from calstream_ops.cli.settings_file import in_toml, keep_secret, replace_settings, secret_path
from calstream_ops.stack_processes import SANDBOX_HUBSPOT_TOKEN, SANDBOX_LISTEN

_STATE_VARIABLES = "CALSTREAM_STATE__"
_TEMPLATE = Template("""\
# Calstream's settings. docs/settings.md has every key with its default.
# After a change: `calstream config check`, then `calstream down` and `calstream up`.
# A variable goes before this file: CALSTREAM_INGEST__LISTEN for listen in [ingest].

[state]
# The embedded broker's data, keys, generated secrets, logs. Back up the keys: docs/keys.md.
# directory = $directory

[kafka]
# A broker of your own; without one, `calstream up` runs one on this machine.
# bootstrap_servers = "kafka-1.example.com:9092,kafka-2.example.com:9092"
# partitions = 6          # fixed once there is data: it decides where a workspace's records are
# replication_factor = 1  # 3 on a cluster
# topic_prefix = ""       # for example "eu." where a region shares a broker with others

[ingest]
# Where webhooks come in. Put a proxy with TLS in front of it.
listen = "127.0.0.1:8080"
# How calendar.live reaches it.
# public_url = "https://hooks.example.com"

# One section for each customer; `calstream workspace add NAME` writes it. For example:
# [workspaces.acme]
# region = "local"
# default_country = "US"       # for phone numbers without a country
# pattern = "calendar_to_crm"  # who owns what; docs/ownership.md
# secrets.calendar_live = [{ file = "/run/secrets/acme" }]  # or { env = "..." }; several may be

# One section for each place to keep in agreement. This one is the sandbox that `calstream up`
# starts; for the real HubSpot drop base_url and name a token of yours.
[sinks.hubspot]
type = "hubspot"
base_url = "http://$sandbox/hubspot"
token = { file = $hubspot_token }
# workspaces = ["acme"]  # by default every workspace
# concurrency = 4
""")

app = typer.Typer(add_completion=False)


@app.command()
def init(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a settings file to start from.

    calstream init
    calstream workspace add acme
    calstream up --detach

    It works as it is, with the sandbox in place of HubSpot.
    """
    session = session_of(ctx)
    path = (session.config or Path(CONFIG_FILE_NAME)).absolute()
    if path.exists() and not force:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{path} is there already.",
            hint="`calstream init --force` replaces it; `calstream workspace add` adds to it.",
        )
    directory = _state_directory()
    hubspot_token = secret_path(directory, "sandbox.hubspot_token")
    text = _TEMPLATE.substitute(
        directory=in_toml(str(directory)),
        sandbox=SANDBOX_LISTEN,
        hubspot_token=in_toml(str(hubspot_token)),
    )
    replace_settings(path, text)
    keep_secret(hubspot_token, SANDBOX_HUBSPOT_TOKEN)
    session.terminal.answer({"path": str(path), "state_directory": str(directory)}, str(path))
    session.terminal.say("Next: `calstream workspace add NAME`.")


def _state_directory() -> Path:
    """Where state goes by default or by the environment, whatever a file says that is there."""
    with tempfile.TemporaryDirectory() as scratch:
        empty = Path(scratch) / CONFIG_FILE_NAME
        empty.touch()
        # other variables may only make sense together with the file that is to be written
        state_alone = {k: v for k, v in os.environ.items() if k.startswith(_STATE_VARIABLES)}
        return load_settings(empty, state_alone).settings.state.directory
