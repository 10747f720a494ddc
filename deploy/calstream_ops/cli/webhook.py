"""`calstream webhook`: send a signed one, watch them arrive."""

import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import orjson
import typer

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import read_secret
from calstream_ops.cli.addresses import local_ingest, webhook_address
from calstream_ops.cli.completion import workspace_names
from calstream_ops.cli.session import Session, session_of
from calstream_ops.cli.signing import SIGNERS, signed_headers
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.webhook_lines import WebhookLine, webhook_line
from calstream_schemas.topics import REJECTED, WEBHOOKS, full_name

_TIMEOUT_SECONDS = 10
_OTHER_SECRET = b"not the secret"

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def webhook() -> None:
    """Send a signed webhook; watch them arrive."""


@app.command()
def send(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The body; `-` reads standard input.")],
    *,
    workspace: Annotated[
        str | None,
        typer.Option(
            help="By default the one that the body names.", autocompletion=workspace_names
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="Whose webhook it is.")] = "calendar_live",
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="By default ingest on this machine.")
    ] = None,
    delivery_id: Annotated[
        str | None, typer.Option(help="By default a new one; give an old one to repeat it.")
    ] = None,
    bad_signature: Annotated[
        bool, typer.Option("--bad-signature", help="Sign with another secret.")
    ] = False,
) -> None:
    """Sign a webhook as its sender would, and post it to ingest.

    calstream webhook send booking.json
    jq '.id = "evt_2"' booking.json | calstream webhook send - --workspace acme
    calstream webhook send booking.json --bad-signature
    calstream webhook send paid.json --source stripe --workspace acme

    Exits with 0 when it was taken, else with 1.
    """
    session = session_of(ctx)
    if source not in SIGNERS:
        raise typer.BadParameter(f"{source} is none of {', '.join(sorted(SIGNERS))}")
    body = _read(file)
    name = session.workspace(workspace) if workspace else _workspace_of(session, body)
    secret = _OTHER_SECRET if bad_signature else _secret(session, name, source)
    delivery = delivery_id or f"dlv_{secrets.token_hex(8)}"
    uri = webhook_address(session.settings, name, source)
    headers = signed_headers(source, secret, uri, body, delivery)
    reply = _post(_address(session, to, name, source), body, headers)
    _show(session, reply, delivery)
    if reply.status_code != httpx.codes.OK:
        raise typer.Exit(1)


@app.command()
def tail(
    ctx: typer.Context,
    workspace: Annotated[
        str | None, typer.Option(help="Only one workspace's.", autocompletion=workspace_names)
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Also those that are there already.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many.", show_default=False)
    ] = None,
) -> None:
    """Watch webhooks arrive: taken and refused, one line each, until Ctrl-C.

    calstream webhook tail
    calstream webhook tail --workspace acme --from-beginning
    calstream webhook tail -o json
    """
    session = session_of(ctx)
    keys = existing_keys(session.settings)
    kafka = session.settings.kafka
    topics = [full_name(WEBHOOKS, kafka), full_name(REJECTED, kafka)]
    with LogReader(session.bootstrap_servers) as reader:
        ranges = reader.ranges(topics)
        starts = {place: r.begin if from_beginning else r.end for place, r in ranges.items()}
        session.terminal.say("Waiting for webhooks; Ctrl-C ends it.")
        count = 0
        for record in reader.follow(starts):
            if record is None or (workspace is not None and record.key != workspace):
                continue
            _show_line(session, webhook_line(record, keys))
            count += 1
            if count == limit:
                return


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read: {error.strerror}") from error


def _workspace_of(session: Session, body: bytes) -> str:
    known = session.settings.workspaces
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    named = document.get("workspace") if isinstance(document, dict) else None
    if isinstance(named, str):
        return session.workspace(named)
    if len(known) == 1:
        return next(iter(known))
    raise typer.BadParameter("the body names no workspace; give --workspace NAME")


def _secret(session: Session, workspace: str, source: str) -> bytes:
    references = session.settings.workspaces[workspace].secrets.get(source, ())
    if not references:
        raise ConfigError(
            Code.SECRET_MISSING,
            f"The workspace {workspace} has no secret for webhooks of {source}.",
            hint=f"Set workspaces.{workspace}.secrets.{source} in calstream.toml.",
        )
    return read_secret(references[0], f"webhooks of {source} for workspace {workspace}")


def _address(session: Session, to: str | None, workspace: str, source: str) -> str:
    base = to or local_ingest(session.settings)
    try:
        path = urlsplit(base).path
    except ValueError as error:
        raise typer.BadParameter(f"{base} is no address: {error}") from error
    if path.strip("/"):
        return base
    return f"{base.rstrip('/')}/v1/webhooks/{workspace}/{source}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            return client.post(url, content=body, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise typer.BadParameter(f"{url} is no address: {error}") from error
    except httpx.RequestError as error:
        raise UnavailableError(
            Code.STACK_NOT_RUNNING,
            f"Nothing answers at {url}: {type(error).__name__}.",
            hint="Start it with `calstream up`, or name another address with --to.",
        ) from error


def _show(session: Session, reply: httpx.Response, delivery_id: str) -> None:
    try:
        answer: Any = reply.json()
    except json.JSONDecodeError:
        answer = reply.text
    data = {"status": reply.status_code, "delivery_id": delivery_id, "answer": answer}
    parts = [str(reply.status_code)]
    if isinstance(answer, dict):
        parts += [str(answer[key]) for key in ("status", "id", "code", "message") if key in answer]
    else:
        parts.append(str(answer))
    session.terminal.answer(data, " ".join(parts))


def _show_line(session: Session, line: WebhookLine) -> None:
    if session.terminal.is_json:
        session.terminal.json_line(asdict(line))
        return
    where = f"{line.workspace}/{line.source}" if line.source else line.workspace
    session.terminal.text_line(
        f"{line.received_at:<24}  {where:<24}  {line.event_type or '-':<20}"
        f"  {line.event_id or '-':<16}  {line.outcome}"
    )
