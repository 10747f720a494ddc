"""Phone numbers: in E.164 with the workspace's default country, and what two have in common."""

import re
from functools import lru_cache

import phonenumbers

_SHORT = 10**6
_MAY_HAVE_EXTENSION = re.compile(r"[^\d\s()+./-]")


@lru_cache(20_000)  # each change of a booking says the number again
def normalise_phone(text: str, default_country: str) -> str | None:
    """The number in E.164, or None where it can't be one; never raises.

    A number without a country is read as one of `default_country` (ISO 3166-1 alpha-2). Numbers of
    a possible length pass, though not assigned: numbering plans change faster than libraries. Short
    codes and numbers that work in one town only can't be called from elsewhere and give None. E.164
    has no extensions; `phone_key` finds them in the number as it was given.
    """
    number = _parse(text, default_country)
    if number is None:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE or _is_short_code(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_key(number: str, raw: str | None) -> str:
    """What identifies a line: the number, with the extension behind it if there is one.

    Colleagues behind one number have an extension each: they are not the same person.

    Args:
        number: in E.164.
        raw: as it was given.
    """
    if raw is None or not _MAY_HAVE_EXTENSION.search(raw):
        return number
    whole = _parse(number, None)
    region = phonenumbers.region_code_for_number(whole) if whole else None
    given = _parse(raw, region)
    extension = given.extension if given else None
    return f"{number};ext={extension}" if extension else number


def _parse(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _is_short_code(number: phonenumbers.PhoneNumber) -> bool:
    return (
        (number.national_number or 0) < _SHORT
        and phonenumbers.is_possible_short_number(number)
        and not phonenumbers.is_valid_number(number)
    )
