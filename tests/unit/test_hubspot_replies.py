"""What the sink makes of replies that the simulator does not give: odd, partial and broken ones."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_schemas.entities import Cause, Entity
from calstream_sinks.api import (
    Applied,
    Change,
    Deferred,
    Found,
    Link,
    Missing,
    Outcome,
    Projection,
    Refused,
)
from calstream_sinks.hubspot import HubSpotConfig, HubSpotSink

Handler = Callable[[httpx.Request], httpx.Response]
UPDATE, UPSERT, READ = "contacts/batch/update", "contacts/batch/upsert", "contacts/batch/read"


class ScriptedHubSpot:
    """Answers by the end of the path, and keeps what it was asked."""

    sink_id = "hubspot"

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def http(self, base_url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base_url, transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.split("2026-09/", 1)[1]
        self.asked.append((path, json.loads(request.content)))
        return self._handlers[path](request)

    def calls(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedHubSpot], HubSpotSink]:
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-sandbox")

    def make(hubspot: ScriptedHubSpot) -> HubSpotSink:
        config = HubSpotConfig.model_validate({"token": {"env": "HUBSPOT_TOKEN"}})
        return HubSpotSink(config, hubspot)

    return make


Opened = Callable[[ScriptedHubSpot], HubSpotSink]


def change(number: int, *, kind: str = "contact", known: bool = True, **more: Any) -> Change:
    fields = {"email": f"p{number}@example.com", "phone": f"+1415555{number:04}"}
    if kind == "booking":
        fields = {"external_id": f"cal_{number}", "hs_meeting_title": "Product trial"}
    projection = Projection(fields, frozenset(more.pop("links", ())))
    return Change(
        entity=Entity("acme", kind, f"e{number}", 1, 0, Cause("o", 0, 0)),
        projection=projection,
        fields=fields,
        operation_id=f"op{number}",
        external_id=str(number) if known else None,
        **more,
    )


async def deliver(opened: Opened, hubspot: ScriptedHubSpot, *changes: Change) -> Sequence[Outcome]:
    sink = opened(hubspot)
    await sink.open()
    return await sink.deliver(changes)


def inputs(request: httpx.Request) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(request.content)["inputs"]
    return entries


def result(id_: Any, properties: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    times = {"createdAt": "2026-11-20T09:15:02Z", "updatedAt": "2026-11-20T09:15:02Z"}
    return {"id": id_, "properties": properties or {}, "archived": False, **times, **more}


def batch(results: Sequence[Any], errors: Sequence[Any] = ()) -> httpx.Response:
    return httpx.Response(200, json={"results": results, "errors": errors, "status": "COMPLETE"})


def refusal(status: int, category: str = "VALIDATION_ERROR", **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"status": "error", "category": category, **more})


def echo(request: httpx.Request) -> httpx.Response:
    """All is well: what was sent, with its trace ids, last first."""
    return batch(
        [
            result(one["id"], one["properties"], objectWriteTraceId=one["objectWriteTraceId"])
            for one in reversed(inputs(request))
        ]
    )


def nothing_found(_: httpx.Request) -> httpx.Response:
    return batch([])


def always(answer: httpx.Response) -> Handler:
    return lambda _: httpx.Response(
        answer.status_code, content=answer.content, headers=answer.headers
    )


def unless_alone(answer: httpx.Response, bad: Callable[[dict[str, Any]], bool]) -> Handler:
    """Refuses the whole call if one bad row is in it, as HubSpot does without trace ids."""

    def handle(request: httpx.Request) -> httpx.Response:
        if any(bad(one) for one in inputs(request)):
            return always(answer)(request)
        return echo(request)

    return handle


@pytest.mark.parametrize(
    ("reply", "code", "wait_seconds"),
    [
        ((429, {"policyName": "TEN_SECONDLY_ROLLING"}, {}), Code.RATE_LIMITED, 10),
        ((429, {"policyName": "SECONDLY"}, {}), Code.RATE_LIMITED, 1),
        ((429, {"policyName": "DAILY"}, {"Retry-After": "7.5"}), Code.RATE_LIMITED, 7.5),
        ((429, {}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), Code.RATE_LIMITED, None),
        ((423, {}, {}), Code.RATE_LIMITED, 2),
        ((477, {}, {"Retry-After": "86400"}), Code.RATE_LIMITED, 86400),
        ((503, {}, {}), Code.SINK_UNAVAILABLE, None),
        ((521, {}, {}), Code.SINK_UNAVAILABLE, None),
        ((523, {}, {}), Code.SINK_UNAVAILABLE, None),
        ((302, {}, {}), Code.SINK_UNAVAILABLE, None),
    ],
)
async def test_a_vendor_that_is_down_or_busy_concerns_the_whole_batch(
    opened: Opened,
    reply: tuple[int, dict[str, Any], dict[str, str]],
    code: Code,
    wait_seconds: float | None,
) -> None:
    status, body, headers = reply
    answer = httpx.Response(status, json=body, headers=headers)
    hubspot = ScriptedHubSpot({UPDATE: always(answer)})
    with pytest.raises(UnavailableError) as raised:
        await deliver(opened, hubspot, change(1), change(2))
    assert (raised.value.code, raised.value.retry_after_seconds) == (code, wait_seconds)
    assert hubspot.calls(UPDATE) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_token_or_a_wrong_address_is_for_a_person_to_mend(
    opened: Opened, status: int
) -> None:
    hubspot = ScriptedHubSpot({UPDATE: always(refusal(status, "INVALID_AUTHENTICATION"))})
    with pytest.raises(ConfigError) as raised:
        await deliver(opened, hubspot, change(1))
    assert raised.value.code is Code.SINK_MISCONFIGURED
    assert "calstream sink check" in raised.value.hint


@pytest.mark.parametrize("status", [500, 502, 504, 524])
async def test_a_gateway_that_gave_up_leaves_the_outcome_unknown(
    opened: Opened, status: int
) -> None:
    hubspot = ScriptedHubSpot({UPDATE: always(httpx.Response(status, text="<html>"))})
    outcomes = await deliver(opened, hubspot, change(1), change(2))
    for outcome in outcomes:
        assert isinstance(outcome, Deferred)
        assert (outcome.code, outcome.unknown) == (Code.OUTCOME_UNKNOWN, True)


@pytest.mark.parametrize("text", ["<!DOCTYPE html>", '{"results": [', "[]", '{"status": "ok"}'])
async def test_an_answer_that_tells_nothing_leaves_the_outcome_unknown(
    opened: Opened, text: str
) -> None:
    hubspot = ScriptedHubSpot({UPDATE: always(httpx.Response(200, text=text))})
    (outcome,) = await deliver(opened, hubspot, change(1))
    assert isinstance(outcome, Deferred)
    assert outcome.unknown


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_connection_that_broke_after_sending_leaves_the_outcome_unknown(
    opened: Opened, error: type[httpx.RequestError]
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise error("broken")

    (outcome,) = await deliver(opened, ScriptedHubSpot({UPDATE: broken}), change(1))
    assert isinstance(outcome, Deferred)
    assert outcome.unknown


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_a_call_that_was_never_sent_is_not_unknown(
    opened: Opened, error: type[httpx.RequestError]
) -> None:
    def unreachable(_: httpx.Request) -> httpx.Response:
        raise error("unreachable")

    with pytest.raises(UnavailableError) as raised:
        await deliver(opened, ScriptedHubSpot({UPDATE: unreachable}), change(1))
    assert raised.value.code is Code.SINK_UNAVAILABLE


async def test_a_proxys_page_with_403_is_no_word_of_hubspot(opened: Opened) -> None:
    hubspot = ScriptedHubSpot({UPDATE: always(httpx.Response(403, text="<html>blocked</html>"))})
    with pytest.raises(UnavailableError):
        await deliver(opened, hubspot, change(1))


async def test_results_are_matched_by_trace_id_or_else_by_id_in_any_order(opened: Opened) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        first, second = inputs(request)
        traced = result("900", objectWriteTraceId=first["objectWriteTraceId"])  # merged into 900
        return batch([result(second["id"]), traced])

    outcomes = await deliver(opened, ScriptedHubSpot({UPDATE: answer}), change(1), change(2))
    ids = [outcome.snapshot.external_id for outcome in outcomes if isinstance(outcome, Applied)]
    assert ids == ["900", "2"]


async def test_a_bad_row_is_told_from_the_others_by_its_trace_id(opened: Opened) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        bad, *rest = inputs(request)
        context = {"objectWriteTraceId": [bad["objectWriteTraceId"]]}
        details = [{"code": "INVALID_EMAIL", "context": {"propertyName": ["email"]}, "message": ""}]
        error = {"category": "VALIDATION_ERROR", "context": context, "errors": details}
        return batch([result(one["id"]) for one in rest], [error])

    outcomes = await deliver(opened, ScriptedHubSpot({UPDATE: answer}), change(1), change(2))
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].field == "email"
    assert isinstance(outcomes[1], Applied)


async def test_a_row_that_is_gone_is_missing(opened: Opened) -> None:
    error = {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["1"]}}
    hubspot = ScriptedHubSpot({UPDATE: always(batch([result("2")], [error]))})
    outcomes = await deliver(opened, hubspot, change(1), change(2))
    assert isinstance(outcomes[0], Missing)
    assert isinstance(outcomes[1], Applied)


async def test_a_call_refused_as_a_whole_is_sent_in_halves_until_the_bad_row_is_alone(
    opened: Opened,
) -> None:
    message = 'Property values were not valid: [{"name": "phone", "error": "INVALID"}]'
    bad = unless_alone(refusal(400, message=message), lambda one: one["id"] == "13")
    hubspot = ScriptedHubSpot({UPDATE: bad})
    outcomes = await deliver(opened, hubspot, *(change(number) for number in range(100)))
    refused = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Refused)]
    assert refused == [13]
    assert outcomes[13] == Refused(Code.VENDOR_REFUSED, _summary(outcomes[13]), "phone")
    assert sum(isinstance(outcome, Applied) for outcome in outcomes) == 99
    assert hubspot.calls(UPDATE) <= 2 * 7 + 1


async def test_objects_that_a_refusal_names_are_not_searched_for_in_halves(opened: Opened) -> None:
    answer = refusal(404, "OBJECT_NOT_FOUND", context={"ids": ["13"]})
    hubspot = ScriptedHubSpot({UPDATE: unless_alone(answer, lambda one: one["id"] == "13")})
    outcomes = await deliver(opened, hubspot, *(change(number) for number in range(100)))
    assert isinstance(outcomes[13], Missing)
    assert hubspot.calls(UPDATE) == 2


async def test_a_property_that_is_not_there_refuses_all_that_have_it_in_one_call(
    opened: Opened,
) -> None:
    details = [
        {"code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": ["phone"]}, "message": ""}
    ]
    hubspot = ScriptedHubSpot({UPDATE: always(refusal(400, errors=details))})
    outcomes = await deliver(opened, hubspot, *(change(number) for number in range(100)))
    assert {o.field for o in outcomes if isinstance(o, Refused)} == {"phone"}
    assert hubspot.calls(UPDATE) == 1


async def test_what_was_written_stays_known_when_hubspot_gets_busy_half_way(
    opened: Opened,
) -> None:
    answers = iter([refusal(400), batch([result("1"), result("2")]), refusal(429, "RATE_LIMITS")])
    hubspot = ScriptedHubSpot({UPDATE: lambda _: next(answers)})
    outcomes = await deliver(opened, hubspot, *(change(number) for number in range(1, 5)))
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Deferred, Deferred]
    assert {o.code for o in outcomes if isinstance(o, Deferred)} == {Code.RATE_LIMITED}


async def test_no_more_calls_are_made_once_hubspot_does_not_answer(opened: Opened) -> None:
    answers = iter([refusal(400), httpx.Response(504)])
    hubspot = ScriptedHubSpot({UPDATE: lambda _: next(answers)})
    outcomes = await deliver(opened, hubspot, *(change(number) for number in range(1, 5)))
    assert [o.unknown for o in outcomes if isinstance(o, Deferred)] == [True, True, False, False]
    assert hubspot.calls(UPDATE) == 2


async def test_a_refusal_passes_on_no_personal_data(opened: Opened) -> None:
    message = "Email address p1@example.com is invalid"
    details = [
        {"code": "INVALID_EMAIL", "message": message, "context": {"propertyName": ["email"]}}
    ]
    answer = refusal(400, message=message, errors=details, correlationId="aeb5f871-7f07-4993")
    (outcome,) = await deliver(opened, ScriptedHubSpot({UPDATE: always(answer)}), change(1))
    assert _summary(outcome) == (
        "HubSpot answered 400: VALIDATION_ERROR, INVALID_EMAIL for email "
        "(correlation id aeb5f871-7f07-4993)."
    )


async def test_a_contact_is_adopted_by_one_of_its_other_addresses(opened: Opened) -> None:
    there = result(
        "77", {"email": "jo@northwind.example", "hs_additional_emails": "P1@example.com"}
    )
    hubspot = ScriptedHubSpot({READ: always(batch([there])), UPSERT: echo})
    outcomes = await deliver(opened, hubspot, change(1, known=False), change(2, known=False))
    assert isinstance(outcomes[0], Found)
    assert outcomes[0].snapshot.external_id == "77"
    assert isinstance(outcomes[1], Applied)


async def test_a_contact_that_turned_up_meanwhile_is_adopted_by_the_id_in_the_conflict(
    opened: Opened,
) -> None:
    def read(request: httpx.Request) -> httpx.Response:
        by_email = "idProperty" in json.loads(request.content)
        return batch([] if by_email else [result("77", {"email": "p1@example.com"})])

    conflict = refusal(409, "CONFLICT", message="Contact already exists. Existing ID: 77")
    taken = unless_alone(conflict, lambda one: one["id"] == "e1")
    hubspot = ScriptedHubSpot({READ: read, UPSERT: taken})
    outcomes = await deliver(opened, hubspot, change(1, known=False), change(2, known=False))
    assert isinstance(outcomes[0], Found)
    assert outcomes[0].snapshot.external_id == "77"
    assert isinstance(outcomes[1], Applied)


async def test_an_address_that_another_contact_has_refuses_the_update_of_a_known_one(
    opened: Opened,
) -> None:
    conflict = refusal(409, "CONFLICT", message="Contact already exists. Existing ID: 77")
    (outcome,) = await deliver(opened, ScriptedHubSpot({UPDATE: always(conflict)}), change(1))
    assert isinstance(outcome, Refused)
    assert outcome.field == "email"


async def test_no_call_names_one_address_twice(opened: Opened) -> None:
    made: list[dict[str, Any]] = []

    def upsert(request: httpx.Request) -> httpx.Response:
        made.extend(result(one["id"], one["properties"]) for one in inputs(request))
        return echo(request)

    hubspot = ScriptedHubSpot({READ: lambda _: batch(made), UPSERT: upsert})
    first, second = change(1, known=False), change(2, known=False)
    same = replace(second, projection=first.projection, fields=first.fields)
    outcomes = await deliver(opened, hubspot, first, same)
    assert [type(outcome) for outcome in outcomes] == [Applied, Found]
    assert len(made) == 1


async def test_an_address_that_cannot_be_looked_up_does_not_hold_up_the_others(
    opened: Opened,
) -> None:
    hubspot = ScriptedHubSpot({READ: always(refusal(400)), UPSERT: echo})
    outcomes = await deliver(opened, hubspot, change(1, known=False), change(2, known=False))
    assert all(isinstance(outcome, Applied) for outcome in outcomes)


async def test_a_meeting_whose_contact_was_deleted_waits_and_the_others_are_made(
    opened: Opened,
) -> None:
    def create(request: httpx.Request) -> httpx.Response:
        entries = inputs(request)
        if any("13" in str(one["associations"]) for one in entries):
            return refusal(400, message="One or more associations are not valid")
        return batch([result("900", one["properties"]) for one in entries])

    hubspot = ScriptedHubSpot(
        {"meetings/batch/create": create, READ: always(batch([result("12")]))}
    )
    lost = change(1, kind="booking", known=False, links=[Link("contacts", "13")])
    well = change(2, kind="booking", known=False, links=[Link("contacts", "12")])
    outcomes = await deliver(opened, hubspot, lost, well)
    assert isinstance(outcomes[0], Deferred)
    assert (outcomes[0].code, outcomes[0].unknown) == (Code.ENTITY_NOT_FOUND, False)
    assert isinstance(outcomes[1], Applied)


async def test_an_unknown_outcome_stays_unknown_while_it_cannot_be_looked_up(
    opened: Opened,
) -> None:
    busy = refusal(429, "RATE_LIMITS", policyName="SECONDLY")
    hubspot = ScriptedHubSpot({"meetings/search": always(busy)})
    unsure = change(1, kind="booking", known=False, outcome_unknown=True)
    (outcome,) = await deliver(opened, hubspot, unsure)
    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.retry_after_seconds, outcome.unknown) == (
        Code.RATE_LIMITED,
        1,
        True,
    )


async def test_of_several_meetings_of_an_event_the_oldest_is_taken(opened: Opened) -> None:
    there = [result(id_, {"external_id": "cal_1"}) for id_ in ("1000", "999")]
    hubspot = ScriptedHubSpot(
        {
            "meetings/search": always(batch(there)),
            "meetings/batch/update": echo,
            "meetings/contacts/batch/read": nothing_found,
        }
    )
    unsure = change(1, kind="booking", known=False, outcome_unknown=True)
    (outcome,) = await deliver(opened, hubspot, unsure)
    assert isinstance(outcome, Applied)
    assert outcome.snapshot.external_id == "999"


async def test_a_meeting_that_only_search_still_has_is_looked_for_again(opened: Opened) -> None:
    gone = {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["999"]}}
    hubspot = ScriptedHubSpot(
        {
            "meetings/search": always(batch([result("999", {"external_id": "cal_1"})])),
            "meetings/batch/update": always(batch([], [gone])),
        }
    )
    unsure = change(1, kind="booking", known=False, outcome_unknown=True)
    (outcome,) = await deliver(opened, hubspot, unsure)
    assert isinstance(outcome, Deferred)
    assert outcome.unknown


async def test_the_people_of_a_large_meeting_are_read_page_by_page(opened: Opened) -> None:
    def read(request: httpx.Request) -> httpx.Response:
        (asked,) = inputs(request)
        second = "after" in asked
        page = {"from": {"id": "1"}, "to": [{"toObjectId": 12 if second else 11}]}
        return batch([page if second else {**page, "paging": {"next": {"after": "11"}}}])

    hubspot = ScriptedHubSpot({"meetings/batch/update": echo, "meetings/contacts/batch/read": read})
    links = [Link("contacts", "11"), Link("contacts", "12")]
    (outcome,) = await deliver(opened, hubspot, change(1, kind="booking", links=links))
    assert isinstance(outcome, Applied)
    assert hubspot.calls("meetings/contacts/batch/read") == 2


async def test_a_merged_contact_is_looked_up_as_the_one_that_is_left(opened: Opened) -> None:
    left = result("900", {"email": "p1@example.com", "hs_merged_object_ids": "1;2"})
    sink = opened(ScriptedHubSpot({READ: always(batch([left]))}))
    await sink.open()
    found = await sink.lookup("contact", ["1", "3"])
    assert found["1"] is not None
    assert found["1"].external_id == "900"
    assert found["3"] is None


async def test_a_lookup_that_is_not_answered_says_nothing_of_the_objects(opened: Opened) -> None:
    wrong_path = refusal(404, "NOT_FOUND")
    for answer, error in (
        (wrong_path, ConfigError),
        (httpx.Response(200, text="<html>"), UnavailableError),
        (httpx.Response(200, json={}), UnavailableError),
        (batch([], [{"category": "INTERNAL_ERROR"}]), UnavailableError),
    ):
        sink = opened(ScriptedHubSpot({READ: always(answer)}))
        await sink.open()
        with pytest.raises(error):
            await sink.lookup("contact", ["1"])


def _summary(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused | Deferred)
    return outcome.message
