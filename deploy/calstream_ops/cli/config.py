"""`calstream config`: whether the settings can be used, and where each value comes from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import (
    SecretReference,
    Settings,
    SinkSettings,
    WorkspaceSettings,
    read_secret,
)
from calstream_ingest.sources import SOURCES
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.session import session_of
from calstream_ops.cli.terminal import table
from calstream_ops.reference.ownership_reason import explain_owner
from calstream_processors.resolve.rule_settings import rule_set_in
from calstream_sinks.registry import make_sink
from calstream_sinks.runner.context import RunnerContext

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def config() -> None:
    """Check, show and explain the settings."""


@app.command()
def check(ctx: typer.Context) -> None:
    """Check the settings, the sinks' own ones and that every secret can be read.

    calstream config check
    calstream --config other.toml config check

    Reads files and the environment only; `calstream sink check` asks a vendor.
    """
    session = session_of(ctx)
    loaded = session.loaded
    faults = list(_faults(loaded.settings))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        lines = "\n".join(f"  {fault.message}" for fault in faults)
        raise ConfigError(Code.CONFIG_INVALID, f"The settings can't be used:\n{lines}")
    settings = loaded.settings
    place = str(loaded.path) if loaded.path else "no file, the environment and defaults"
    session.terminal.answer(
        {
            "ok": True,
            "path": str(loaded.path) if loaded.path else None,
            "workspaces": list(settings.workspaces),
            "sinks": list(settings.sinks),
        },
        f"ok: {place}; workspaces: {', '.join(settings.workspaces) or 'none'}; "
        f"sinks: {', '.join(settings.sinks) or 'none'}",
    )


@app.command()
def show(
    ctx: typer.Context,
    origin: Annotated[
        bool, typer.Option("--origin", help="Also where each value comes from.")
    ] = False,
) -> None:
    """Show the settings that are in force.

    calstream config show --origin

    Secrets are references, so none is shown.
    """
    session = session_of(ctx)
    loaded = session.loaded
    values = dict(_flat(loaded.settings.model_dump(mode="json", exclude_none=True)))
    rows = [(key, value, loaded.origin(key)) for key, value in values.items()]
    if origin:
        data: Any = {key: {"value": value, "origin": place} for key, value, place in rows}
        text = table(("setting", "value", "origin"), ((k, _text(v), o) for k, v, o in rows))
    else:
        data = values
        text = table(("setting", "value"), ((key, _text(value)) for key, value, _ in rows))
    session.terminal.answer(data, text)


@app.command()
def explain(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(help="KIND.GROUP or KIND.FIELD; booking.start stands for start_at.")
    ],
    workspace: Annotated[
        str | None,
        typer.Option(help="Only this workspace; by default all.", autocompletion=workspace_names),
    ] = None,
) -> None:
    """Explain who owns a field, and why; and which rules write it.

    calstream config explain booking.start
    calstream config explain contact.lead_score
    calstream config explain contact.name --workspace acme

    Explains the settings; `calstream rules plan` tells whether they are in force.
    """
    session = session_of(ctx)
    settings = session.settings
    names = [session.workspace(workspace)] if workspace else list(settings.workspaces)
    found = [
        explain_owner(what, name, settings.workspaces[name], session.loaded.origin, settings.sinks)
        for name in names
    ] or [explain_owner(what, None, WorkspaceSettings(), session.loaded.origin)]
    headings = ("workspace", "group", "fields", "owner", "why", "then", "rules")
    rows = (
        (
            each.workspace or "any",
            f"{each.kind}.{each.group}",
            each.fields,
            each.owner,
            each.reason,
            each.otherwise,
            "; ".join(each.rules),
        )
        for each in found
    )
    session.terminal.answer([asdict(each) for each in found], table(headings, rows))


def _faults(settings: Settings) -> Iterator[ConfigError]:
    """What the settings' models alone can't see."""
    for name, workspace in settings.workspaces.items():
        try:
            rule_set_in(settings, name)
        except ConfigError as error:
            yield error
        for source, references in workspace.secrets.items():
            if source not in SOURCES:
                yield ConfigError(
                    Code.CONFIG_INVALID,
                    f"workspaces.{name}.secrets.{source}: there is no source of that name.",
                    hint=f"Sources: {', '.join(SOURCES)}.",
                )
            yield from _unreadable(references, f"webhooks of {source} for workspace {name}")
    for sink_id, sink in settings.sinks.items():
        for unknown in sorted(set(sink.workspaces) - set(settings.workspaces)):
            yield ConfigError(
                Code.WORKSPACE_UNKNOWN,
                f"sinks.{sink_id}.workspaces: there is no workspace {unknown}.",
            )
        yield from _sink_faults(sink, sink_id)


def _sink_faults(settings: SinkSettings, sink_id: str) -> Iterator[ConfigError]:
    try:
        made = make_sink(settings, sink_id, RunnerContext(sink_id))
    except ConfigError as error:
        yield error
        return
    for name, value in made.config:
        if isinstance(value, SecretReference):
            yield from _unreadable([value], f"{name} of sink {sink_id}")


def _unreadable(references: Iterable[SecretReference], purpose: str) -> Iterator[ConfigError]:
    for reference in references:
        try:
            read_secret(reference, purpose)
        except ConfigError as error:
            yield error


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    return str(value)
