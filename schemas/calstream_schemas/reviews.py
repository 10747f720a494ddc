"""Match reviews: two contacts that may be one person. The resolver asks, it does not guess."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_core.sealing import Box, Erased, Sealer, contact_key
from calstream_schemas import codec
from calstream_schemas.codec import Poison

_NAMESPACE = uuid.UUID("0b1f6a8e-5f0b-5a36-8f4e-6a0d4b7d9c21")
_CONTEXT = "match-review.evidence"


class MatchReason(StrEnum):
    """What two contacts have in common, so that they may be one person."""

    EMAIL = "email"  # an address of a person
    OFFICE = "office"  # an address of an office, and nothing says that they are two people
    PHONE = "phone"  # a number
    NAME = "name"  # the name and the company


@dataclass(frozen=True, slots=True)
class MatchReview:
    """A question to a person: are these two one?

    Attributes:
        contacts: their ids, the smaller first.
        evidence: what they have in common, in the form in which it is compared; personal,
            so sealed with the first one's key.
        opened_at: when the observation was received that raised the question, microseconds.
        observation_id: that observation.
    """

    workspace: str
    contacts: tuple[str, str]
    reason: MatchReason
    evidence: str | Erased | None
    opened_at: int
    observation_id: str

    @property
    def id(self) -> str:
        """The same whenever the same two are in question."""
        return review_id(self.workspace, *self.contacts)

    @property
    def key(self) -> str:
        """The record's key: `workspace/match-review/id`."""
        return f"{self.workspace}/match-review/{self.id}"

    def other(self, contact: str) -> str:
        """The other one of the two."""
        return self.contacts[1] if contact == self.contacts[0] else self.contacts[0]


def review_id(workspace: str, one: str, other: str) -> str:
    """The id of the question whether two contacts are one, whichever is named first."""
    first, second = sorted((one, other))
    return str(uuid.uuid5(_NAMESPACE, f"{workspace}/{first}/{second}"))


def encode_review(review: MatchReview, sealer: Sealer) -> bytes:
    """The value for `match-reviews`."""
    evidence = None
    if review.evidence is not None:
        box = (
            review.evidence.box
            if isinstance(review.evidence, Erased)
            else sealer.under(contact_key(review.contacts[0])).seal(
                _CONTEXT, review.evidence.encode()
            )
        )
        evidence = {"key_id": box.key_id, "box": box.data}
    return codec.encode(
        "MatchReview",
        {
            "id": review.id,
            "workspace": review.workspace,
            "contacts": list(review.contacts),
            "reason": review.reason,
            "evidence": evidence,
            "opened_at": review.opened_at,
            "observation_id": review.observation_id,
        },
    )


def decode_review(raw: bytes, sealer_of: Callable[[str], Sealer]) -> MatchReview | Poison:
    """Reads a value of `match-reviews`; never raises for what is in it."""
    decoded = codec.decode(raw, "MatchReview")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        evidence: str | Erased | None = None
        if body["evidence"] is not None:
            box = Box(body["evidence"]["key_id"], body["evidence"]["box"])
            opened = sealer_of(body["workspace"]).open(_CONTEXT, box)
            evidence = opened if isinstance(opened, Erased) else opened.decode()
        first, second = body["contacts"]
        return MatchReview(
            workspace=body["workspace"],
            contacts=(first, second),
            reason=MatchReason(body["reason"]),
            evidence=evidence,
            opened_at=body["opened_at"],
            observation_id=body["observation_id"],
        )
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    except ValueError as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not a MatchReview: {error!r}")
