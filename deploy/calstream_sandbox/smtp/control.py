"""The control of the mail server: what came, and what is to go wrong."""

from http import HTTPStatus

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from calstream_sandbox.desk_control import refusal, told
from calstream_sandbox.smtp.mailbox import Fault, Mailbox, MailSettings
from calstream_sandbox.smtp.server import MailServer

_FAULTS = TypeAdapter[list[Fault] | Fault](list[Fault] | Fault)


def build_smtp(mailbox: Mailbox, server: MailServer) -> list[BaseRoute]:
    """The routes to mount under `/smtp`."""
    return [Mount("/_control", routes=Control(mailbox, server).routes())]


class Control:
    """Request handlers under `/smtp/_control`. A body that does not fit is answered 400."""

    def __init__(self, mailbox: Mailbox, server: MailServer) -> None:
        self._mailbox = mailbox
        self._server = server

    def routes(self) -> list[Route]:
        """The routes, relative to `_control`."""
        return [
            Route("/address", self.address, methods=["GET"]),
            Route("/messages", self.list_messages, methods=["GET"]),
            Route("/messages", self.clear_messages, methods=["DELETE"]),
            Route("/faults", self.add_faults, methods=["POST"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/settings", self.settings, methods=["GET", "POST"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def address(self, _: Request) -> Response:
        """Where the server listens."""
        return told({"port": self._server.port})

    async def list_messages(self, _: Request) -> Response:
        """Every message, oldest first."""
        return told({"messages": [each.reply() for each in self._mailbox.messages]})

    async def clear_messages(self, _: Request) -> Response:
        """Forgets the messages."""
        self._mailbox.messages.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def add_faults(self, request: Request) -> Response:
        """Queues one fault or a list of them; see `mailbox.Fault`."""
        try:
            given = _FAULTS.validate_json(await request.body())
        except ValidationError as error:
            return refusal(error)
        self._mailbox.faults += [given] if isinstance(given, Fault) else given
        return told({"faults": [each.model_dump() for each in self._mailbox.faults]})

    async def clear_faults(self, _: Request) -> Response:
        """Drops the faults still to come."""
        self._mailbox.faults.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def settings(self, request: Request) -> Response:
        """The settings in force; with a body, those given are changed first."""
        if request.method == "POST":
            try:
                changes = MailSettings.model_validate_json(await request.body())
            except ValidationError as error:
                return refusal(error)
            kept = self._mailbox.settings.model_dump()
            kept |= changes.model_dump(exclude_unset=True)
            self._mailbox.apply_settings(MailSettings(**kept))
        return told(self._mailbox.settings.model_dump())

    async def reset(self, _: Request) -> Response:
        """No messages, no faults, the settings of the start."""
        self._mailbox.reset()
        return Response(status_code=HTTPStatus.NO_CONTENT)
