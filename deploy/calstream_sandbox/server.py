"""The sandbox's one process: its application, and the server that runs it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from calstream_sandbox.calendar_live.app import build_calendar_live
from calstream_sandbox.calendar_live.sender import calendar_live_sender
from calstream_sandbox.hubspot.app import build_hubspot
from calstream_sandbox.hubspot.portal import Portal, PortalSettings
from calstream_sandbox.slack.app import build_slack
from calstream_sandbox.slack.workspace import Workspace
from calstream_sandbox.smtp.control import build_smtp
from calstream_sandbox.smtp.mailbox import Mailbox
from calstream_sandbox.smtp.server import MailServer
from calstream_sandbox.stripe.account import Account as StripeAccount
from calstream_sandbox.stripe.app import build_stripe
from calstream_sandbox.zoom.account import Account as ZoomAccount
from calstream_sandbox.zoom.app import build_zoom

DEFAULT_TOKEN = "pat-sandbox"
DEFAULT_SLACK_TOKEN = "xoxb-sandbox"
DEFAULT_STRIPE_KEY = "sk_test_sandbox"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How the sandbox starts.

    Attributes:
        retry_scale: shortens the waits between the attempts of a webhook.
        hubspot_token: the bearer token that HubSpot's API wants.
        stripe_key: the secret key that Stripe's API wants.
        slack_token: the bot token that Slack's API wants.
        smtp_listen: host and port of the mail server; port 0 takes a free one, which
            `/smtp/_control/address` tells.
        hubspot: the settings that a reset goes back to.
    """

    host: str = "127.0.0.1"
    port: int = 4700
    retry_scale: float = 1.0
    hubspot_token: str = DEFAULT_TOKEN
    stripe_key: str = DEFAULT_STRIPE_KEY
    slack_token: str = DEFAULT_SLACK_TOKEN
    smtp_listen: tuple[str, int] = ("127.0.0.1", 0)
    hubspot: PortalSettings = field(default_factory=PortalSettings)


class Sandbox:
    """One sandbox: its state, its application and its server."""

    def __init__(self, options: SandboxOptions) -> None:
        self.hubspot = Portal(
            token=options.hubspot_token,
            settings=options.hubspot,
            retry_scale=options.retry_scale,
        )
        self.stripe = StripeAccount(key=options.stripe_key, retry_scale=options.retry_scale)
        self.zoom = ZoomAccount(retry_scale=options.retry_scale)
        self.slack = Workspace(token=options.slack_token)
        self.mailbox = Mailbox()
        self.mail = MailServer(self.mailbox)
        self._smtp_listen = options.smtp_listen
        self.calendar_live = calendar_live_sender(retry_scale=options.retry_scale)
        self.app = Starlette(
            routes=[
                Route("/healthz", _health, methods=["GET"]),
                Route("/metrics", _metrics, methods=["GET"]),
                Mount("/hubspot", routes=build_hubspot(self.hubspot)),
                Mount("/stripe", routes=build_stripe(self.stripe)),
                Mount("/zoom", routes=build_zoom(self.zoom)),
                Mount("/slack", routes=build_slack(self.slack)),
                Mount("/smtp", routes=build_smtp(self.mailbox, self.mail)),
                Mount("/calendar_live", routes=build_calendar_live(self.calendar_live)),
            ],
            lifespan=self._lifespan,
        )
        self._senders = (
            self.calendar_live,
            self.hubspot.events.sender,
            self.stripe.sender,
            self.zoom.sender,
        )
        self._server = Server(
            self.app,
            address=options.host,
            port=options.port,
            interface=Interfaces.ASGI,
            websockets=False,
            log_level=LogLevels.error,
        )

    async def serve(self) -> None:
        """Runs the server in the current event loop until `stop`."""
        await self._server.serve()

    def stop(self) -> None:
        """Ends `serve` soon: hanging requests and deliveries under way are cut short.

        To be called in the event loop that serves.
        """
        for vendor in (self.hubspot, self.stripe, self.zoom, self.slack):
            vendor.desk.faults.clear()
        for sender in self._senders:
            sender.stop()
        self._server.stop()  # type: ignore[no-untyped-call] # granian gives it no types

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self.mail.start(*self._smtp_listen)
        yield
        self.mail.close()
        for sender in self._senders:
            await sender.close()


async def run(options: SandboxOptions) -> None:
    """Runs a sandbox until SIGINT or SIGTERM. Needs the main thread, for the signals."""
    sandbox = Sandbox(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, sandbox.stop)
    await sandbox.serve()


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
