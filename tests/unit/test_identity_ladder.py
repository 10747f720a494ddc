"""Who is taken for whom: the rungs of the ladder, and where nobody is chosen."""

from dataclasses import replace

from tests.unit.identity_scene import People, attendee, hubspot

from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.refold import refold
from calstream_schemas.reviews import MatchReason

JO = "jo@example.com"
LINE = "+14155552671"


def _reasons(people: People) -> list[MatchReason]:
    return [review.reason for review in people.reviews().values()]


def test_the_object_that_is_known_comes_before_every_key() -> None:
    people = People()
    jo = people.books(1, email=JO)
    kim = people.books(2, email="kim@example.com")
    # the attendee corrects the address to one that somebody else has: still the same person
    assert people.books(2, email=JO) == kim != jo
    assert people.contact(kim).values["email"] == JO


def test_a_corrected_address_is_the_same_person_and_the_old_one_is_forgotten() -> None:
    people = People()
    jo = people.books(1, email="jo@exmaple.com")
    assert people.books(1, email=JO) == jo
    assert people.books(2, email=JO) == jo
    assert people.books(3, email="jo@exmaple.com") != jo


def test_an_address_in_another_spelling_is_the_same_person() -> None:
    people = People()
    jo = people.books(1, email="jo@bücher.example")
    assert people.books(2, email="jo@xn--bcher-kva.example", name="Someone Else") == jo


def test_an_address_that_only_the_crm_has_is_the_persons_too() -> None:
    people = People()
    jo = people.books(1, email=JO)
    people.says(hubspot(1), role="crm", about=jo, email={"email": "jo@work.example"})
    assert people.contact(jo).values["email"] == JO
    assert people.books(2, email="jo@work.example") == jo


def test_what_we_wrote_there_ourselves_is_no_address_of_theirs() -> None:
    people = People()
    jo = people.books(1, email="jo@exmaple.com")
    people.says(hubspot(1), role="crm", about=jo, by_self=True, email={"email": "jo@exmaple.com"})
    people.books(1, email=JO)
    assert people.books(2, email="jo@exmaple.com") != jo


def test_a_phone_counts_where_one_of_the_two_has_no_address() -> None:
    people = People()
    jo = people.books(1, email=JO, phone=LINE, name="Jo Park")
    assert people.books(2, phone=LINE, name="JO PARK") == jo
    assert people.books(3, phone=LINE) == jo
    assert _reasons(people) == []


def test_a_phone_that_two_people_share_merges_nobody() -> None:
    people = People()
    jo = people.books(1, email=JO, phone=LINE, name="Jo Park")
    kim = people.books(2, email="kim@example.com", phone=LINE, name="Kim Park")
    assert jo != kim
    assert _reasons(people) == []  # two addresses and two names: no question


def test_the_same_name_and_phone_under_two_addresses_is_a_question() -> None:
    people = People()
    jo = people.books(1, email=JO, phone=LINE, name="Jo Park")
    other = people.books(2, email="jp@work.example", phone=LINE, name="Jo Park")
    assert jo != other
    (review,) = people.reviews().values()
    assert (review.reason, review.evidence) == (MatchReason.PHONE, LINE)
    assert review.contacts == tuple(sorted((jo, other)))


def test_another_name_on_the_phone_of_somebody_without_address_is_a_question() -> None:
    people = People()
    jo = people.books(1, phone=LINE, name="Jo Park")
    assert people.books(2, phone=LINE, name="Kim Park") != jo
    assert _reasons(people) == [MatchReason.PHONE]
    # a name tells which of them is meant, no name does not
    assert people.books(3, phone=LINE, name="Jo Park") == jo
    assert people.books(4, phone=LINE) not in {jo, people.who(attendee(2))}


def test_an_office_address_merges_nobody_but_the_same_name() -> None:
    people = People()
    jo = people.books(1, email="info@northwind.example", name="Jo Park", phone=LINE)
    kim = people.books(2, email="info@northwind.example", name="Kim Reyes", phone=LINE)
    assert jo != kim
    assert _reasons(people) == []
    assert people.books(3, email="info@northwind.example", name="jo park") == jo


def test_an_office_address_without_a_name_is_a_question() -> None:
    people = People()
    one = people.books(1, email="sales@northwind.example")
    assert people.books(2, email="sales@northwind.example") != one
    assert _reasons(people) == [MatchReason.OFFICE]


def test_name_and_company_count_where_nothing_else_is_known() -> None:
    people = People()
    jo = people.books(1, name="Jo Park", company="Northwind Inc.")
    assert people.books(2, name="JO  PARK", company="northwind") == jo
    assert people.books(3, name="Jo Park", company="Other") != jo
    assert people.books(4, name="Jo Park") != jo
    assert people.books(5, email=JO, name="Jo Park", company="Northwind") == jo
    # now an address is known of both sides, so that the name says nothing any more
    assert people.books(6, email="jp@example.com", name="Jo Park", company="Northwind") != jo


def test_keys_of_two_contacts_are_a_question_and_the_strongest_counts() -> None:
    people = People()
    by_mail = people.books(1, email=JO, name="Jo Park")
    by_phone = people.books(2, phone=LINE, name="Jo Park")
    assert by_mail != by_phone
    assert people.books(3, email=JO, phone=LINE, name="Jo Park") == by_mail
    (review,) = people.reviews().values()
    assert review.contacts == tuple(sorted((by_mail, by_phone)))
    assert review.reason is MatchReason.PHONE


def test_two_contacts_with_one_address_are_not_guessed_between() -> None:
    people = People()
    jo, kim = people.books(1, email=JO, name="Jo"), people.books(2, email="k@b.c", name="Kim")
    people.books(2, email=JO, name="Kim")
    assert people.books(3, email=JO) not in {jo, kim}
    assert _reasons(people) == [MatchReason.EMAIL] * 3


def test_a_name_decides_between_two_contacts_with_one_address() -> None:
    people = People()
    jo, kim = people.books(1, email=JO, name="Jo"), people.books(2, email="k@b.c", name="Kim")
    people.books(2, email=JO, name="Kim")
    assert people.books(4, email=JO, name="KIM") == kim != jo


def test_a_question_goes_when_what_raised_it_goes() -> None:
    people = People()
    people.books(1, email=JO)
    people.books(2, email="k@b.c")
    people.books(2, email=JO)
    (review,) = people.reviews().values()
    assert (review.reason, review.evidence) == (MatchReason.EMAIL, JO)
    people.books(2, email="k@b.c")
    assert people.reviews() == {}


def test_a_number_that_many_have_is_nobodys_and_no_question() -> None:
    people = People()
    for number in range(30):
        people.books(number, phone=LINE, name=f"Agent {number}")
    assert len(people.contacts()) == 30
    assert all(len(people.workspace.reviews.of(contact.id)) <= 11 for contact in people.contacts())
    last = people.who(attendee(29))
    assert not people.workspace.reviews.of(last)


def test_the_workspaces_rules_say_which_differences_count() -> None:
    rules = replace(CALENDAR_TO_CRM, ignore_plus_addresses=True, ignore_dots=True)
    people = People(rules)
    jo = people.books(1, email="jo.park@gmail.com")
    assert people.books(2, email="jopark+news@googlemail.com") == jo
    strict = People()
    assert strict.books(1, email=JO) != strict.books(2, email="jo+news@example.com")


def test_other_rules_raise_the_questions_that_they_make() -> None:
    people = People()
    one, other = people.books(1, email=JO), people.books(2, email="jo+news@example.com")
    assert people.reviews() == {}
    people.rules = replace(CALENDAR_TO_CRM, ignore_plus_addresses=True)
    cause = people.contact(one).cause
    entities = list(people.workspace.entities.values())
    people.takes(tuple(refold(people.workspace, entities, people.rules, cause)))
    (review,) = people.reviews().values()
    assert review.contacts == tuple(sorted((one, other)))


def test_colleagues_behind_one_number_have_an_extension_each() -> None:
    people = People()
    jo = _calls(people, 1, "+4930901820", "030 901820 ext. 12")
    assert _calls(people, 2, "+4930901820", "+49 30 901820;ext=12") == jo
    assert _calls(people, 3, "+4930901820", "030 901820 x13") != jo
    assert _calls(people, 4, "+4930901820", "030 901820") != jo
    assert _reasons(people) == []


def test_a_number_that_can_not_be_called_from_elsewhere_merges_nobody() -> None:
    people = People()
    jo = _calls(people, 1, None, "911")
    assert _calls(people, 2, None, "911") != jo
    assert _reasons(people) == []


def test_names_and_companies_are_compared_whatever_their_form_of_unicode() -> None:
    people = People()
    jo = people.books(1, name="José Müller", company="Łódź GmbH")
    assert people.books(2, name="JOSE\u0301 MU\u0308LLER", company="lodz") == jo
    fullwidth = people.books(3, name="\uff2a\uff4f\uff53\uff45 Muller", company="Łódź")
    assert fullwidth == jo


def test_a_corrected_address_that_somebody_else_has_is_a_question() -> None:
    people = People()
    jo = people.books(1, email=JO, name="Jo Park")
    other = people.books(2, email="jp@work.example", name="Jo Park")
    assert people.books(2, email=JO, name="Jo Park") == other != jo
    (review,) = people.reviews().values()
    assert (review.reason, review.evidence) == (MatchReason.EMAIL, JO)


def _calls(people: People, number: int, phone: str | None, raw: str) -> str:
    people.says(attendee(number), phone={"phone": phone, "phone_raw": raw})
    return people.who(attendee(number))
