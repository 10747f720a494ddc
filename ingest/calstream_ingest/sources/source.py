"""What a source of webhooks is: how its requests are authenticated. Pure; no I/O."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from calstream_core.errors import Code


class Request(NamedTuple):
    """A request as it arrived, with all that any vendor signs.

    Attributes:
        method: in upper case.
        uri: the public address with its query, as the sender called it. Its scheme and host come
            from the settings, never from a header: a header can be forged.
        headers: by lower-case name. One that came several times is joined with `, `.
        body: the raw bytes; nothing has been parsed.
        received_at: when it arrived, in microseconds; the clock for signatures that expire.
    """

    method: str
    uri: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int


@dataclass(frozen=True, slots=True)
class Secret:
    """One of the secrets that are active for a source of a workspace."""

    label: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """A request that its source vouches for.

    Attributes:
        scheme: how it was verified; kept in the log.
        secret_label: the secret that fits.
        delivery_id: the sender's name for this delivery, if it is printable and of sane length.
    """

    scheme: str
    secret_label: str
    delivery_id: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that proves nothing.

    Attributes:
        code: what was wrong.
        reason: the same for a reader; never quotes the request.
    """

    code: Code
    reason: str


class WebhookSource(ABC):
    """How one vendor signs. Subclass it in a module of its own and add it to the registry.

    Attributes:
        name: as in the address and in the settings.
        headers: lower-case names of the headers that verification reads. They are kept with
            refused requests, so that one can be verified again; list no credential here.
        given_by_vendor: what the vendor calls the secret, where the vendor makes it.
        signs_address: whether the address that the sender calls is a part of what is signed.
    """

    name: ClassVar[str]
    headers: ClassVar[frozenset[str]]
    given_by_vendor: ClassVar[str] = ""
    signs_address: ClassVar[bool] = False

    @abstractmethod
    def authenticate(self, request: Request, secrets: Sequence[Secret]) -> Verified | Refusal:
        """Verifies a request; must not raise, whatever is in it, and must not read a clock.

        Every secret is tried, and compared in constant time, also after one fits.
        """

    def answer_challenge(self, body: bytes, secret: Secret) -> bytes | Refusal | None:
        """The proof that this address is ours, where a body asks for one; None for a webhook.

        Called after `authenticate` only, so that no stranger has anything signed. Must not raise.

        Args:
            body: the verified body.
            secret: the one that it is signed with.
        """
        del body, secret
        return None

    def named_workspace(self, body: bytes) -> str | None:
        """The workspace that a verified body says it is for; None where it does not say.

        Called after `authenticate` only. Must not raise; a body that can't be read names none.
        """
        del body
        return None
