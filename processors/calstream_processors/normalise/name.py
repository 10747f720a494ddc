"""Names: kept as people write them, in one form of Unicode and with single blanks."""

import unicodedata


def normalise_name(text: str) -> str:
    """The name in NFC, with every run of white space as one blank.

    Case and order stay: nobody but its owner knows how a name is written.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())
