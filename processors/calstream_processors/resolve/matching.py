"""What a contact is known by: keys made of what systems said of it, hashed so that none is shown.

A key says of which kind it is by its first letter; the rest is a keyed hash of what is compared.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from calstream_processors.normalise.email import EXACT, EmailPolicy, email_key, is_role_address
from calstream_processors.normalise.name import company_key, name_key
from calstream_processors.normalise.phone import phone_key
from calstream_schemas.entities import Copy, Value, Values
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet

EMAIL, OFFICE, PHONE, NAME, COMPANY = b"e", b"o", b"p", b"n", b"c"
"""The kinds of keys: a person's address, an office's, a number, a name, a name at a company."""

_GROUPS = ("email", "name", "phone", "company")
_HASH_BYTES = 12
_CACHED = 20_000
_BETWEEN = "\x1f"

Keyed = Callable[[str, bytes], bytes]
"""A keyed hash of a value in a context: `Sealer.keyed_hash`."""

ClearKeys = Mapping[bytes, str]
"""Keys, each with what was hashed."""


@dataclass(frozen=True, slots=True)
class MatchRules:
    """How a workspace compares people.

    Attributes:
        email: which differences between addresses don't count.
    """

    email: EmailPolicy = EXACT


DEFAULT_RULES = MatchRules()


def match_rules(rules: RuleSet) -> MatchRules:
    """The part of a workspace's rules that says how people are compared."""
    return MatchRules(EmailPolicy(rules.ignore_plus_addresses, rules.ignore_dots))


def plain_hash(context: str, value: bytes) -> bytes:
    """A hash without a key, for where no key store is at hand, such as in tests."""
    return hashlib.blake2b(context.encode() + b"\x00" + value, digest_size=16).digest()


class MatchKeys:
    """The keys of one contact or observation, asked for by kind."""

    __slots__ = ("_by_kind", "all")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self.all = tuple(keys)
        self._by_kind: dict[bytes, list[bytes]] = {}
        for key in self.all:
            self._by_kind.setdefault(key[:1], []).append(key)

    def of(self, kind: bytes) -> list[bytes]:
        """The keys of a kind."""
        return self._by_kind.get(kind, [])

    def common(self, other: "MatchKeys", kind: bytes) -> list[bytes]:
        """The keys of a kind that both have."""
        theirs = other.of(kind)
        return [key for key in self.of(kind) if key in theirs]

    @property
    def has_address(self) -> bool:
        """Whether there is an e-mail address, be it an office's."""
        return EMAIL in self._by_kind or OFFICE in self._by_kind

    def may_be_named_as(self, other: "MatchKeys") -> bool:
        """Whether their names don't tell them apart: one of them has none, or they share one."""
        mine, theirs = self.of(NAME), other.of(NAME)
        return not mine or not theirs or any(name in theirs for name in mine)

    def is_named_as(self, other: "MatchKeys") -> bool:
        """Whether they have a name in common."""
        return bool(self.common(other, NAME))


def keys_of_copies(
    copies: Iterable[Copy], values: Values, rules: MatchRules, keyed: Keyed
) -> ClearKeys:
    """The keys of a contact: of what each system said for itself, and of the truth."""
    said = [
        {
            name: value
            for group in _GROUPS
            if (register := copy.registers.get(group)) is not None and not register.by_self
            for name, value in register.values.items()
        }
        for copy in copies
    ]
    found: dict[bytes, str] = {}
    for each in (*said, values):
        found |= _keys(each, rules, keyed)
    return dict(sorted(found.items()))


def keys_of_statements(observation: Observation, rules: MatchRules, keyed: Keyed) -> MatchKeys:
    """The keys of what an observation says of a person."""
    values = {
        name: value
        for statement in observation.statements
        if statement.group in _GROUPS
        for name, value in statement.values.items()
    }
    return MatchKeys(_keys(values, rules, keyed))


def _keys(values: Values, rules: MatchRules, keyed: Keyed) -> dict[bytes, str]:
    clear: list[tuple[bytes, str]] = []
    if email := _text(values.get("email")):
        kind = OFFICE if is_role_address(email) else EMAIL
        clear.append((kind, _email_key(email, rules.email)))
    if phone := _text(values.get("phone")):
        clear.append((PHONE, _phone_key(phone, _text(values.get("phone_raw")) or None)))
    if name := _name_key(_text(values.get("full_name"))):
        clear.append((NAME, name))
        if company := _company_key(_text(values.get("company"))):
            clear.append((COMPANY, f"{name}{_BETWEEN}{company}"))
    return {match_key(kind.decode(), text, keyed): text for kind, text in clear}


def match_key(kind: str, text: str, keyed: Keyed) -> bytes:
    """A key of a kind out of what is compared."""
    return kind.encode() + keyed(f"match.{kind}", text.encode())[:_HASH_BYTES]


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


# the same values come again with every version of a contact
_email_key = lru_cache(_CACHED)(email_key)
_phone_key = lru_cache(_CACHED)(phone_key)
_name_key = lru_cache(_CACHED)(name_key)
_company_key = lru_cache(_CACHED)(company_key)
