"""E-mail addresses: how they are kept, and by what two of them are the same mailbox."""

import re
import unicodedata
from dataclasses import dataclass

import idna
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from calstream_core.errors import Code, RecordError

_DOTS_DO_NOT_COUNT = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}

_LABEL = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_RESERVED = "|".join(sorted({name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES}))
_PLAIN = re.compile(
    rf"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@{_LABEL}(?:\.{_LABEL})*\.(?!(?:{_RESERVED})\Z)[a-z]{{2,}}",
    re.ASCII | re.IGNORECASE,
)
"""Addresses of which nobody doubts that they are valid: most of them, in a tenth of the time."""
_PLAIN_MOST = 63  # no part of one can be too long

_OFFICES = """
abuse accounting accounts admin administrator billing booking bookings careers contact
customerservice desk enquiries events feedback finance frontdesk hello help helpdesk
hostmaster hr info information inquiries invoice invoices jobs kontakt legal mail marketing
media newsletter noreply no-reply office orders partners postmaster press privacy reception
recruiting reservations sales security service shop staff support team webmaster welcome
"""

ROLE_NAMES = frozenset(_OFFICES.split())
"""Names before the `@` behind which there is an office, not a person (RFC 2142 and usage)."""


@dataclass(frozen=True, slots=True)
class EmailPolicy:
    """What in an address a workspace takes as no difference between people.

    Attributes:
        ignore_plus: `jo+news@` is the mailbox `jo@`.
        ignore_dots: `j.o@` is the mailbox `jo@`, at the providers that deliver it so.
    """

    ignore_plus: bool = False
    ignore_dots: bool = False


EXACT = EmailPolicy()
"""Every difference counts. Nobody is merged who should not be."""


def normalise_email(text: str) -> str:
    """The address in the form in which it is kept: trimmed, lower case, valid in its syntax.

    Lower case throughout: RFC 5321 lets a server tell `Jo@` from `jo@`, none that matters does, and
    people write both.

    Raises:
        RecordError: it is no address, or more than one.
    """
    trimmed = text.strip()
    if _PLAIN.fullmatch(trimmed) and len(trimmed) <= _PLAIN_MOST and "--" not in trimmed:
        return trimmed.lower()
    try:
        checked = validate_email(trimmed, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise RecordError(Code.EMAIL_INVALID, "not an e-mail address", field="email") from error
    return checked.normalized.lower()


def email_key(address: str, policy: EmailPolicy = EXACT) -> str:
    """What two spellings of one mailbox have in common; for comparing only, never for sending.

    Compatibility forms and case of the local part don't count (NFKC, casefold); a domain is in
    A-labels, so that its Unicode and its ASCII form are one.

    Args:
        address: as `normalise_email` gave it.
        policy: the workspace's.
    """
    local, _, domain = address.rpartition("@")
    local = _compared(local)
    domain = _a_labels(domain)
    if policy.ignore_plus:
        local = local.partition("+")[0] or local
    if policy.ignore_dots and domain in _DOTS_DO_NOT_COUNT:
        domain = _DOTS_DO_NOT_COUNT[domain]
        local = local.replace(".", "") or local
    return f"{local}@{domain}"


def is_role_address(address: str) -> bool:
    """Whether an address belongs to an office (`info@`), so that it says nothing of who writes."""
    return _compared(address.rpartition("@")[0]).partition("+")[0] in ROLE_NAMES


def _compared(local: str) -> str:
    if local.isascii():
        return local.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).casefold())


def _a_labels(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        # such as a label that IDNA 2003 allowed: compared as it is written
        return unicodedata.normalize("NFKC", domain).casefold()
