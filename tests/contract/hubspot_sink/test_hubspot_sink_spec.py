"""Every request of the sink against HubSpot's own specification."""

from pathlib import Path

import httpx
import pytest
from openapi_core.exceptions import OpenAPIError
from tests.contract.hubspot_sink.conftest import (
    KnownEntities,
    Recorder,
    Simulator,
    attendance,
    booking,
    changed,
    check_request,
    person,
    write,
)

from calstream_sinks.api import Going
from calstream_sinks.hubspot import HubSpotSink

ALL_CALLS = {
    "GET contacts",
    "GET contacts/groups",
    "POST contacts",
    "POST contacts/groups",
    "POST contacts/batch/read",
    "POST contacts/batch/update",
    "POST contacts/batch/upsert",
    "POST contacts/gdpr-delete",
    "GET meetings",
    "GET meetings/groups",
    "POST meetings",
    "POST meetings/groups",
    "POST meetings/batch/archive",
    "POST meetings/batch/create",
    "POST meetings/batch/read",
    "POST meetings/batch/update",
    "POST meetings/search",
    "POST meetings/contacts/batch/archive",
    "POST meetings/contacts/batch/create",
    "POST meetings/contacts/batch/read",
}


async def test_every_kind_of_call_is_as_the_specification_says(
    bare: HubSpotSink, simulator: Simulator, recorder: Recorder, vendor_specs: Path
) -> None:
    await bare.setup()
    await bare.check()
    view = KnownEntities([attendance(1, 1)])
    await write(bare, view, person(1), person(2, phone=None))
    (meeting,) = await write(bare, view, booking(1))
    await write(bare, view, person(1, company=None))
    view.entities = [attendance(1, 2)]
    await write(bare, view, booking(1, title="Moved"))
    await bare.lookup("booking", [meeting.external_id])
    unsure = changed(bare, booking(1), view, external_id=None, outcome_unknown=True)
    await bare.deliver([unsure])
    assert len(simulator.objects("meetings")) == 1
    await bare.erase("booking", [Going(booking(1), ())])
    await bare.erase("contact", [Going(person(1), ())])
    for request in recorder.requests:
        check_request(vendor_specs, request)
    methods = [request.method for request in recorder.requests]
    assert {f"{m} {c}" for m, c in zip(methods, recorder.calls(), strict=True)} == ALL_CALLS


@pytest.mark.parametrize(
    "wrong", [{"inputs": [{"id": 1}]}, {"properties": "email"}, {"ids": ["1"]}, {"inputs": None}]
)
def test_the_judge_refuses_a_wrong_request(vendor_specs: Path, wrong: dict[str, object]) -> None:
    path = "https://api.hubapi.com/crm/objects/2026-09/contacts/batch/read"
    body = {"inputs": [{"id": "1"}], "properties": [], "propertiesWithHistory": []}
    check_request(vendor_specs, httpx.Request("POST", path, json=body))
    with pytest.raises(OpenAPIError):
        check_request(vendor_specs, httpx.Request("POST", path, json={**body, **wrong}))
