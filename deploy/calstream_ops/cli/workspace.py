"""`calstream workspace`: add a customer to the settings, list them."""

from pathlib import Path
from typing import Annotated

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import CONFIG_FILE_NAME, LoadedSettings, Pattern
from calstream_core.stack_state import read_stack
from calstream_ingest.sources import SOURCES
from calstream_ops.cli.addresses import webhook_address
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.secret_reference import reference
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.settings_file import add_source, add_workspace, keep_secret, secret_path
from calstream_ops.cli.terminal import table

_SOURCES = sorted(SOURCES)


def _sources() -> list[str]:
    return _SOURCES


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
    path = _settings_path(session)
    made, references = _secrets(session, name, source, secret)
    loaded = add_workspace(
        path,
        name,
        {"region": region, "default_country": default_country, "pattern": pattern.value},
        source,
        references,
    )
    _tell(session, loaded, name, source, made)
    if pattern is not Pattern.CALENDAR_TO_CRM:
        session.terminal.say(f"Then `calstream rules apply --workspace {name} --yes`.")


@app.command()
def connect(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The workspace.", autocompletion=workspace_names)],
    source: Annotated[str, typer.Argument(help="Who sends webhooks.", autocompletion=_sources)],
    *,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="env:VAR|file:PATH",
            help="Where the webhook secret is. Required for vendors that make it. May be repeated.",
        ),
    ] = None,
) -> None:
    """Let a workspace take webhooks of one more source.

    calstream workspace connect acme stripe --secret file:/run/secrets/acme-stripe
    calstream workspace connect acme zoom --secret env:ACME_ZOOM

    Prints the address to give to the sender of the webhooks.
    """
    session = session_of(ctx)
    path = _settings_path(session)
    made, references = _secrets(session, name, source, secret)
    loaded = add_source(path, name, source, references)
    _tell(session, loaded, name, source, made)


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


def _settings_path(session: Session) -> Path:
    if session.loaded.path is None:
        raise ConfigError(
            Code.CONFIG_NOT_FOUND,
            f"There is no {CONFIG_FILE_NAME} here to change.",
            hint="`calstream init` writes one; `--config` names one elsewhere.",
        )
    return session.loaded.path


def _secrets(
    session: Session, workspace: str, source: str, given: list[str] | None
) -> tuple[Path | None, list[dict[str, str]]]:
    """The file for a secret of ours, if one is to be made, and the references for the settings."""
    known = SOURCES.get(source)
    if known is None:
        raise typer.BadParameter(f"there is no source {source}; it is one of {', '.join(_SOURCES)}")
    if not given and known.given_by_vendor:
        raise typer.BadParameter(
            f"{source} makes the secret itself: give {known.given_by_vendor}, with --secret "
            "file:PATH or --secret env:VAR"
        )
    if not given:
        made = secret_path(session.settings.state.directory, f"{workspace}.{source}")
        return made, [{"file": str(made)}]
    references = [reference(text) for text in given]
    for number, later in enumerate(references[1:], start=2):
        later["label"] = f"secret-{number}"  # each needs a label of its own
    return None, references


def _tell(
    session: Session, loaded: LoadedSettings, workspace: str, source: str, made: Path | None
) -> None:
    """Keeps the secret that is made, and says what to do with the address."""
    if made:
        keep_secret(made)
    address = webhook_address(loaded.settings, workspace, source)
    session.terminal.answer(
        {
            "workspace": workspace,
            "path": str(loaded.path),
            "webhook_address": address,
            "secret_file": str(made) if made else None,
        },
        address,
    )
    if made:
        session.terminal.say(f"Sign its webhooks with the secret in {made}.")
    if SOURCES[source].signs_address and not loaded.settings.ingest.public_url:
        session.terminal.say(
            f"{source} signs the address that it calls: set ingest.public_url to yours first."
        )
    session.terminal.say(f"Next: {_next_command(session)}.")


def _next_command(session: Session) -> str:
    running = read_stack(session.settings.state.directory)
    if running is not None and running.supervisor.is_alive():
        return "`calstream down && calstream up --detach`, since ingest reads it at its start"
    return "`calstream up --detach`"
