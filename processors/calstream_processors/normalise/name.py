"""Names of people and companies: kept as written, and compared without what is mere spelling."""

import unicodedata

_PLAIN = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "ħ": "h",
    }
)
"""Letters that Unicode does not take apart, as people without them on the keyboard write them."""

_FORMS = """
ab ag bv co company corp corporation gmbh inc incorporated kg limited llc llp ltd nv oy plc
pty pte sa sarl sas se spa srl ug
"""
_LEGAL_FORMS = frozenset(_FORMS.split())
_JOINING = ("'", "`", ".", "\N{RIGHT SINGLE QUOTATION MARK}")
_ASCII = {
    code: None if chr(code) in _JOINING else " " for code in range(128) if not chr(code).isalnum()
}
_MARKS_ARE_SPELLING = ("LATIN", "GREEK", "CYRILLIC")


MAX_NAME = 255
"""Characters of the longest name that is taken: what most CRMs keep, and more than people have."""


def normalise_name(text: str) -> str:
    """The name in NFC, with every run of white space as one blank.

    Case and order stay: nobody but its owner knows how a name is written.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def name_key(text: str) -> str:
    """A name for comparing: without case, accents and punctuation; empty if nothing is left.

    `Park, Jo` is `Jo Park`. Accents go where they are spelling (Latin, Greek, Cyrillic); in other
    scripts marks are vowels and stay.
    """
    before, comma, after = text.partition(",")
    return " ".join(_words(f"{after} {before}" if comma else text))


def company_key(text: str) -> str:
    """A company's name for comparing: as `name_key`, without the legal form at its end."""
    words = _words(text)
    while len(words) > 1 and words[-1] in _LEGAL_FORMS:
        words.pop()
    return " ".join(words)


def _words(text: str) -> list[str]:
    # most names are in ASCII, where the same is had in a tenth of the time
    return text.lower().translate(_ASCII).split() if text.isascii() else words_of_any_script(text)


def words_of_any_script(text: str) -> list[str]:
    """The words of a name in the form in which they are compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # folding may leave compatibility forms and takes nothing apart: once more
    apart = unicodedata.normalize("NFKD", folded)
    kept: list[str] = []
    base = ""
    for letter in apart:
        category = unicodedata.category(letter)
        if category.startswith("M"):
            if not base.startswith(_MARKS_ARE_SPELLING):
                kept.append(letter)
        elif category[0] in "LN":
            base = unicodedata.name(letter, "")
            kept.append(letter)
        elif letter not in _JOINING and category != "Cf":
            # a point or an apostrophe joins (O'Neil, U.S.); a hyphen or a blank parts
            base = ""
            kept.append(" ")
    plain = "".join(kept).translate(_PLAIN)
    return unicodedata.normalize("NFC", plain).split()
