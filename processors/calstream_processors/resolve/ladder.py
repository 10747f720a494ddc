"""The ladder: who somebody is by e-mail, then phone, then name and company; or who they may be.

A weaker key counts only where one of the two has no stronger one. Where it would take a guess,
nobody is chosen: the two stay two, and `doubt` says that a person should look.
"""

from collections.abc import Iterable

from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.matching import COMPANY, EMAIL, OFFICE, PHONE, MatchKeys
from calstream_schemas.reviews import MatchReason


def match(index: IdentityIndex, stated: MatchKeys) -> str | None:
    """The contact that somebody is whose object nobody has yet; None if there is none for certain.

    Args:
        index: the workspace's.
        stated: what is said of them.
    """
    for kind in (EMAIL, OFFICE, PHONE, COMPANY):
        keys = stated.of(kind)
        found = index.holders(keys) if keys else []
        candidates = [one for one in found if _may_be(kind, stated, index.keys(one))]
        if len(candidates) > 1:
            named = _namesakes(index, stated, candidates)
            return named[0] if len(named) == 1 else None
        if candidates:
            return candidates[0]
    return None


def _may_be(kind: bytes, stated: MatchKeys, known: MatchKeys) -> bool:
    """Whether a key of this kind that they share makes them one."""
    if kind == EMAIL:
        return True
    if kind == OFFICE:
        return stated.is_named_as(known)
    if stated.has_address and known.has_address:
        return False
    if kind == PHONE:
        return stated.may_be_named_as(known)
    return not (stated.of(PHONE) and known.of(PHONE))


def _namesakes(index: IdentityIndex, stated: MatchKeys, found: Iterable[str]) -> list[str]:
    """Those of the same name, if each of them has a name: an unnamed one could be anybody."""
    known = {one: index.keys(one) for one in found}
    if any(
        stated.may_be_named_as(keys) and not stated.is_named_as(keys) for keys in known.values()
    ):
        return []
    return [one for one, keys in known.items() if stated.is_named_as(keys)]


def doubt(one: MatchKeys, other: MatchKeys) -> tuple[MatchReason, bytes] | None:
    """Why two contacts may be one person, and the key that says so; None if there is no reason."""
    if common := one.common(other, EMAIL):
        return MatchReason.EMAIL, common[0]
    if (common := one.common(other, OFFICE)) and one.may_be_named_as(other):
        return MatchReason.OFFICE, common[0]
    both_have_addresses = one.has_address and other.has_address
    # a family's or an office's line: two addresses and two names make two people
    may_share_a_line = both_have_addresses and not one.is_named_as(other)
    if (common := one.common(other, PHONE)) and not may_share_a_line:
        return MatchReason.PHONE, common[0]
    both_have_phones = bool(one.of(PHONE) and other.of(PHONE))
    told_apart = both_have_addresses or both_have_phones
    if (common := one.common(other, COMPANY)) and not told_apart:
        return MatchReason.NAME, common[0]
    return None
