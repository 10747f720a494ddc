"""E-mail addresses as keys: trimmed, lower case, syntactically valid."""

from email_validator import EmailNotValidError, validate_email

from calstream_core.errors import Code, RecordError


def normalise_email(text: str) -> str:
    """The address in the form by which people are matched.

    Lower case throughout: RFC 5321 lets a server tell `Jo@` from `jo@`, none that matters does, and
    people write both.

    Raises:
        RecordError: it is no address.
    """
    try:
        checked = validate_email(
            text.strip(), check_deliverability=False, globally_deliverable=False
        )
    except EmailNotValidError as error:
        raise RecordError(Code.BODY_INVALID, "not an e-mail address", field="email") from error
    return checked.normalized.lower()
