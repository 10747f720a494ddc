"""`calstream workspace`: add a customer to the settings, list them."""

from typing import Annotated

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import CONFIG_FILE_NAME, Pattern
from calstream_core.stack_state import read_stack
from calstream_ops.cli.addresses import webhook_address
from calstream_ops.cli.secret_reference import reference
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.settings_file import add_workspace, keep_secret, secret_path
from calstream_ops.cli.terminal import table

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def workspace() -> None:
    """Add and list workspaces."""


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower case, digits, - and _.")],
    *,
    region: Annotated[str, typer.Option(help="Where its data stays.")] = "local",
    default_country: Annotated[
        str, typer.Option(help="For phone numbers without a country.", metavar="CC")
    ] = "US",
    pattern: Annotated[Pattern, typer.Option(help="Who owns what.")] = Pattern.CALENDAR_TO_CRM,
    source: Annotated[str, typer.Option(help="Who sends its webhooks.")] = "calendar_live",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="env:VAR|file:PATH",
            help="Where the webhook secret is. By default a new one is made. May be repeated.",
        ),
    ] = None,
) -> None:
    """Add a workspace to the settings file.

    calstream workspace add acme
    calstream workspace add acme --default-country DE --secret file:/run/secrets/acme

    Prints the address to give to the sender of the webhooks.
    """
    session = session_of(ctx)
    path = session.loaded.path
    if path is None:
        raise ConfigError(
            Code.CONFIG_NOT_FOUND,
            f"There is no {CONFIG_FILE_NAME} here to add a workspace to.",
            hint="`calstream init` writes one; `--config` names one elsewhere.",
        )
    made = None if secret else secret_path(session.settings.state.directory, f"{name}.{source}")
    references = [{"file": str(made)}] if made else [reference(text) for text in secret or ()]
    for number, later in enumerate(references[1:], start=2):
        later["label"] = f"secret-{number}"  # each needs a label of its own
    loaded = add_workspace(
        path,
        name,
        {"region": region, "default_country": default_country, "pattern": pattern.value},
        source,
        references,
    )
    if made:
        keep_secret(made)
    address = webhook_address(loaded.settings, name, source)
    session.terminal.answer(
        {
            "workspace": name,
            "path": str(path),
            "webhook_address": address,
            "secret_file": str(made) if made else None,
        },
        address,
    )
    if made:
        session.terminal.say(f"Sign its webhooks with the secret in {made}.")
    session.terminal.say(f"Next: {_next_command(session)}.")
    if pattern is not Pattern.CALENDAR_TO_CRM:
        session.terminal.say(f"Then `calstream rules apply --workspace {name} --yes`.")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List the workspaces and where their webhooks come in."""
    session = session_of(ctx)
    settings = session.settings
    found = [
        {
            "name": name,
            "region": its.region,
            "default_country": its.default_country,
            "pattern": its.pattern.value,
            "webhook_addresses": [
                webhook_address(settings, name, source) for source in its.secrets
            ],
        }
        for name, its in settings.workspaces.items()
    ]
    headings = ("workspace", "region", "country", "pattern", "webhooks to")
    session.terminal.answer(found, table(headings, (list(each.values()) for each in found)))
    if not found:
        session.terminal.say("There is none yet. `calstream workspace add NAME` adds one.")


def _next_command(session: Session) -> str:
    running = read_stack(session.settings.state.directory)
    if running is not None and running.supervisor.is_alive():
        return "`calstream down && calstream up --detach`, since ingest reads it at its start"
    return "`calstream up --detach`"
