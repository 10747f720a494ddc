"""calendar.live: HMAC-SHA256 of the raw body in `X-CL-Signature`.

Everything that could differ at the real service is here: header names, the signature's form and
where a body names its workspace. The delivery id is outside the signature. It is kept for looking
a delivery up at the sender; it proves nothing and stops no replay.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

import orjson

from calstream_core.errors import Code
from calstream_ingest.sources.signature import matching_secret
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource

_SIGNATURE_HEADER = "x-cl-signature"
_DELIVERY_HEADER = "x-cl-delivery-id"
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")
_DELIVERY_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SCHEME = "hmac-sha256-body"


class CalendarLive(WebhookSource):
    """Webhooks of calendar.live."""

    name: ClassVar[str] = "calendar_live"
    headers: ClassVar[frozenset[str]] = frozenset({_SIGNATURE_HEADER, _DELIVERY_HEADER})

    def authenticate(self, request: Request, secrets: Sequence[Secret]) -> Verified | Refusal:
        """Verifies the signature: 64 hex digits in either case, `sha256=` before them or not."""
        header = request.headers.get(_SIGNATURE_HEADER)
        if not header:
            return Refusal(Code.SIGNATURE_MISSING, "The header X-CL-Signature is missing.")
        form = _SIGNATURE.fullmatch(header)
        if form is None:
            return Refusal(
                Code.SIGNATURE_INVALID, "The header X-CL-Signature is not 64 hexadecimal digits."
            )
        label = matching_secret(secrets, request.body, bytes.fromhex(form[1]))
        if label is None:
            return Refusal(
                Code.SIGNATURE_INVALID, "No active secret gives this signature of the body."
            )
        return Verified(_SCHEME, label, _delivery_id(request))

    def named_workspace(self, body: bytes) -> str | None:
        """The text in the field `workspace` of the outermost object."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None  # it is genuine all the same, and kept; the normaliser tells what is wrong
        workspace = document.get("workspace") if isinstance(document, dict) else None
        return workspace if isinstance(workspace, str) else None


def _delivery_id(request: Request) -> str | None:
    given = request.headers.get(_DELIVERY_HEADER, "")
    return given if _DELIVERY_ID.fullmatch(given) else None
