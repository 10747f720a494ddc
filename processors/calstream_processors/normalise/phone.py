"""Phone numbers in E.164, read with the workspace's default country."""

import phonenumbers


def normalise_phone(text: str, default_country: str) -> str | None:
    """The number in E.164, or None where it can't be one; never raises.

    A number without a country is read as one of `default_country` (ISO 3166-1 alpha-2). Numbers of
    a possible length pass, though not assigned: numbering plans change faster than libraries.
    """
    try:
        number = phonenumbers.parse(text, default_country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
