"""By what two spellings of an address, a number or a name are known as the same."""

import unicodedata

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.email import (
    EmailPolicy,
    email_key,
    is_role_address,
    normalise_email,
)
from calstream_processors.normalise.name import company_key, name_key, words_of_any_script
from calstream_processors.normalise.phone import normalise_phone, phone_key

LOOSE = EmailPolicy(ignore_plus=True, ignore_dots=True)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
locals_ = st.from_regex(r"[a-z0-9]+([.+_-][a-z0-9]+){0,3}", fullmatch=True)
domains = st.sampled_from(
    ["example.com", "gmail.com", "googlemail.com", "bücher.example", "日本.example"]
)
addresses = st.builds(lambda local, domain: f"{local[:60]}@{domain}", locals_, domains)
policies = st.builds(EmailPolicy, st.booleans(), st.booleans())


@pytest.mark.parametrize(
    "text",
    [
        "a@b@c.example",
        "jo park",
        "@example.com",
        "jo@",
        "a@b.example, c@d.example",
        "jo@-x.example",
    ],
)
def test_what_is_no_address_is_refused_with_a_code(text: str) -> None:
    with pytest.raises(RecordError) as caught:
        normalise_email(text)
    assert caught.value.code is Code.EMAIL_INVALID


@pytest.mark.parametrize(
    ("one", "other", "policy"),
    [
        ("Jo@Bücher.example", "jo@xn--bcher-kva.example", EmailPolicy()),
        ("\uff2a\uff2f@example.com", "jo@example.com", EmailPolicy()),
        ("straße@example.com", "STRASSE@example.com", EmailPolicy()),
        ("jo+news@example.com", "jo@example.com", LOOSE),
        ("j.o+x@gmail.com", "jo@googlemail.com", LOOSE),
    ],
)
def test_spellings_of_one_mailbox_have_one_key(one: str, other: str, policy: EmailPolicy) -> None:
    assert email_key(one, policy) == email_key(other, policy)


@pytest.mark.parametrize(
    ("one", "other", "policy"),
    [
        ("jo+news@example.com", "jo@example.com", EmailPolicy()),
        ("j.o@gmail.com", "jo@gmail.com", EmailPolicy(ignore_plus=True)),
        ("j.o@example.com", "jo@example.com", LOOSE),
        ("jo@example.com", "jo@example.org", LOOSE),
        ("jö@example.com", "jo@example.com", LOOSE),
    ],
)
def test_other_mailboxes_have_other_keys(one: str, other: str, policy: EmailPolicy) -> None:
    assert email_key(one, policy) != email_key(other, policy)


@settings(max_examples=200, deadline=None)
@given(addresses, policies)
def test_the_key_of_an_address_is_its_own_key_and_does_not_see_case(
    address: str, policy: EmailPolicy
) -> None:
    kept = normalise_email(address)
    key = email_key(kept, policy)
    assert email_key(key, policy) == key
    assert email_key(normalise_email(address.upper()), policy) == key
    assert "@" in key
    assert key.rpartition("@")[2].isascii()


@pytest.mark.parametrize(
    "address",
    [
        "info@example.com",
        "Sales@example.com",
        "office+eu@example.com",
        "\uff29\uff2e\uff26\uff2f@example.com",
    ],
)
def test_an_office_is_not_a_person(address: str) -> None:
    assert is_role_address(address)
    assert not is_role_address("jo.info@example.com")


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("(415) 555-2671", "US", "+14155552671"),
        ("0044 20 7946 0958", "DE", "+442079460958"),
        ("+49 30 901820 ext. 12", "US", "+4930901820"),
        ("tel:+1-415-555-2671;ext=7", "DE", "+14155552671"),
        ("\u0664\u0661\u0665 555 2671", "US", "+14155552671"),
        ("911", "US", None),
        ("112", "DE", None),
        ("72345", "GB", None),
        ("+999 1234567", "US", None),
        ("call me", "US", None),
        ("+1 415 555 2671 9999 9999", "US", None),
    ],
)
def test_a_phone_is_kept_in_e164_or_not_at_all(
    text: str, country: str, expected: str | None
) -> None:
    assert normalise_phone(text, country) == expected


def test_an_extension_tells_colleagues_behind_one_number_apart() -> None:
    keys = {
        phone_key("+4930901820", raw)
        for raw in (
            "030 901820",
            "030 901820 ext. 12",
            "+49 30 901820;ext=12",
            "030 901820 x13",
            None,
        )
    }
    assert keys == {"+4930901820", "+4930901820;ext=12", "+4930901820;ext=13"}


@settings(max_examples=300, deadline=None)
@given(texts, st.sampled_from(["US", "DE", "JP", "GB"]))
def test_a_number_that_was_read_reads_the_same_in_any_country(text: str, country: str) -> None:
    number = normalise_phone(text, country)
    if number is not None:
        assert normalise_phone(number, "FR") == number
        assert phone_key(number, text).startswith(number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José Müller", "jose MULLER"),
        ("Jose\u0301", "Jos\u00e9"),
        ("Park, Jo", "Jo  Park"),
        ("O\u2019Neil", "O'Neil"),
        ("Anne-Marie", "anne marie"),
        ("\uff2a\uff4f \uff30\uff41\uff52\uff4b", "Jo Park"),
        ("Łukasz Ørsted", "lukasz orsted"),
        ("Straße", "STRASSE"),
        ("Jo\u200b Park", "Jo Park"),
        ("Ιωάννης", "ΙΩΑΝΝΗΣ"),
    ],
)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("Jo Park", "Jo Parker"), ("कि", "क"), ("Jo Park", "Park Jo"), ("נָעָם", "נעם")],
)
def test_other_names_have_other_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_a_companys_legal_form_is_no_part_of_its_key() -> None:
    assert company_key("Northwind, Inc.") == company_key("NORTHWIND") == "northwind"
    assert company_key("Northwind GmbH & Co. KG") == "northwind"
    assert company_key("Co") == "co"


@settings(max_examples=300, deadline=None)
@given(texts)
def test_a_key_does_not_change_with_form_or_repetition(text: str) -> None:
    for key_of in (name_key, company_key):
        key = key_of(text)
        assert key_of(key) == key
        assert key_of(unicodedata.normalize("NFD", text)) == key
        assert key == key.strip()


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_the_short_way_for_ascii_gives_what_the_long_one_gives(text: str) -> None:
    assert name_key(text.replace(",", "")) == " ".join(words_of_any_script(text.replace(",", "")))


@given(
    st.one_of(
        addresses,
        st.from_regex(r"\A[A-Za-z0-9._+-]{1,20}@[A-Za-z0-9.-]{1,30}\.[A-Za-z]{1,10}\Z"),
        st.builds(
            "{}@{}.{}".format,
            locals_,
            st.from_regex(r"\A[a-z0-9-]{1,70}\Z"),
            st.sampled_from(["test", "local", "invalid", "arpa", "localhost", "xn--p1ai", "c0m"]),
        ),
    )
)
@settings(max_examples=500)
def test_a_plain_address_is_read_as_by_the_validator(text: str) -> None:
    try:
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        with pytest.raises(RecordError):
            normalise_email(text)
    else:
        assert normalise_email(text) == checked.normalized.lower()
