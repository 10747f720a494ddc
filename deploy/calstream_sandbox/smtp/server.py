"""The mail server: SMTP as aiosmtpd speaks it, in the sandbox's event loop."""

import asyncio
from contextlib import suppress
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from calstream_sandbox.smtp.mailbox import Fault, Mailbox

USERNAME = "calstream"
PASSWORD = "sandbox"
_NOT_THERE = "bounce.example"
_FULL = "full.example"


class MailServer:
    """Takes mail and keeps it.

    Mail to `@bounce.example` is refused for good (550), to `@full.example` for now (452). Nobody
    must log in; who does must do it right.

    Attributes:
        port: where it listens; 0 before `start`.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens from now on; port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._conversation, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Ends listening."""
        if self._server is not None:
            self._server.close()

    def _conversation(self) -> Any:
        return SMTP(
            Handler(self._mailbox),
            hostname="sandbox",
            ident="calstream sandbox",
            data_size_limit=self._mailbox.settings.max_bytes,
            enable_SMTPUTF8=True,
            authenticator=_authenticate,
            auth_require_tls=False,
            loop=asyncio.get_running_loop(),
        )


class Handler:
    """Answers the commands that matter; aiosmtpd calls these by their names."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: Any, _: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        told = await self._fault(server, self._mailbox.take_fault("mail"))
        if told is not None:
            return told
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, _: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """RCPT TO: each recipient is taken or refused for itself."""
        told = await self._fault(server, self._mailbox.take_fault("rcpt", address))
        if told is not None:
            return told
        domain = address.rpartition("@")[2].lower()
        if domain == _NOT_THERE:
            return "550 5.1.1 The mailbox is not there"
        if domain == _FULL:
            return "452 4.2.2 The mailbox is full"
        if len(envelope.rcpt_tos) >= self._mailbox.settings.max_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> str:  # noqa: N802 - as above
        """The end of the message: 250 only when it is kept."""
        mailbox = self._mailbox
        fault = mailbox.take_fault("data")
        if fault is None or fault.accepted_then_dropped:
            if not mailbox.has_room():
                return "450 4.7.1 Too many messages, come again later"
            mailbox.keep(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content)
        told = await self._fault(server, fault)
        return "250 2.0.0 OK, kept" if told is None else told

    async def _fault(self, server: Any, fault: Fault | None) -> str | None:
        if fault is None:
            return None
        if fault.status is not None:
            kind = fault.status // 100
            return f"{fault.status} {kind}.0.0 {fault.text}"
        if fault.hang_seconds is not None:
            with suppress(asyncio.CancelledError):  # the client went away
                await asyncio.sleep(fault.hang_seconds)  # as was asked for
        server.transport.abort()
        return "421 4.3.0 gone"


def _authenticate(_: Any, __: Any, ___: Any, mechanism: str, given: Any) -> AuthResult:
    right = (
        mechanism in {"LOGIN", "PLAIN"}
        and isinstance(given, LoginPassword)
        and (given.login, given.password) == (USERNAME.encode(), PASSWORD.encode())
    )
    return AuthResult(success=right, handled=False)
