"""What the mail server keeps, and what goes wrong on request."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from calstream_sandbox.windows import RollingWindow

MAX_KEPT = 10_000
Stage = Literal["mail", "rcpt", "data"]


class Fault(BaseModel):
    """One thing to go wrong in a conversation.

    Attributes:
        stage: at which command.
        status: the reply's code; 4yz asks to come again, 5yz is final.
        text: the reply's text.
        recipient: only for this address, at `rcpt`.
        accepted_then_dropped: the message is kept, and the connection breaks before the reply.
        hang_seconds: no reply for so long, then a broken connection; nothing is kept.
        skip: how many pass unharmed first.
        count: how many it hits after that.
    """

    model_config = ConfigDict(extra="forbid")

    stage: Stage = "data"
    status: int | None = Field(default=None, ge=400, le=599)
    text: str = "the sandbox was asked for it"
    recipient: str | None = None
    accepted_then_dropped: bool = False
    hang_seconds: float | None = Field(default=None, gt=0)
    skip: int = Field(default=0, ge=0)
    count: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_one_effect(self) -> "Fault":
        effects = (self.status, self.accepted_then_dropped or None, self.hang_seconds)
        if sum(each is not None for each in effects) != 1:
            raise ValueError("give one of status, accepted_then_dropped and hang_seconds")
        if self.accepted_then_dropped and self.stage != "data":
            raise ValueError("a message is accepted at the stage data")
        return self


class MailSettings(BaseModel):
    """What can be set while the server runs.

    Attributes:
        messages_per_second: more are told to come again.
        max_bytes: of a message.
        max_recipients: of a message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages_per_second: int = Field(default=100, ge=0)
    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1)
    max_recipients: int = Field(default=100, ge=1)


@dataclass(frozen=True, slots=True)
class Mail:
    """One message that was accepted.

    Attributes:
        at: when, in seconds since 1970.
        sender: of the envelope.
        recipients: of the envelope, those that were accepted.
        raw: the bytes, with CRLF.
    """

    at: float
    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    def reply(self) -> dict[str, Any]:
        """The message as the control shows it, its parts decoded."""
        parsed = message_from_bytes(self.raw, policy=policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        parts = [
            {
                "content_type": part.get_content_type(),
                "parameters": dict(part["content-type"].params) if part["content-type"] else {},
                "filename": part.get_filename(),
                "content": _text(part),
            }
            for part in parsed.walk()
            if not part.is_multipart()
        ]
        return {
            "at": self.at,
            "from": self.sender,
            "to": list(self.recipients),
            "message_id": parsed["message-id"],
            "subject": parsed["subject"],
            "headers": {name.lower(): str(value) for name, value in parsed.items()},
            "parts": parts,
            "raw": self.raw.decode("utf-8", "replace"),
        }


class Mailbox:
    """Every message that came. Used from one event loop; nothing here waits.

    Args:
        now_seconds: the clock, as seconds since 1970.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.time) -> None:
        self.now_seconds = now_seconds
        self.reset()

    def reset(self) -> None:
        """No messages, no faults, the settings of the start."""
        self.settings = MailSettings()
        self.messages: list[Mail] = []
        self.faults: list[Fault] = []
        self._window = RollingWindow(self.settings.messages_per_second, 1)

    def apply_settings(self, settings: MailSettings) -> None:
        """Puts new settings in force at once."""
        self.settings = settings
        self._window.limit = settings.messages_per_second

    def has_room(self) -> bool:
        """Counts a message; False where it is one too many in this second."""
        return self._window.take(self.now_seconds())

    def keep(self, sender: str, recipients: tuple[str, ...], raw: bytes) -> None:
        """Keeps a message; the oldest falls out when there are very many."""
        self.messages.append(Mail(self.now_seconds(), sender, recipients, raw))
        del self.messages[:-MAX_KEPT]

    def take_fault(self, stage: Stage, recipient: str | None = None) -> Fault | None:
        """The fault that hits a command, counted off; None when it passes unharmed."""
        for fault in self.faults:
            if fault.stage != stage or fault.recipient not in {None, recipient}:
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            fault.count -= 1
            if not fault.count:
                self.faults.remove(fault)
            return fault
        return None


def _text(part: EmailMessage) -> str:
    content = part.get_content()
    return content if isinstance(content, str) else repr(content)
