"""Setting HubSpot up, and looking whether it is."""

import pytest
from tests.contract.hubspot_sink.conftest import Recorder, Simulator

from calstream_core.errors import ConfigError, UnavailableError
from calstream_sinks.hubspot import HubSpotSink
from calstream_sinks.hubspot.mapping import PROPERTIES


async def test_setup_makes_what_check_misses_and_then_nothing(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    missing = {finding.name for finding in await bare.check() if not finding.ok}
    assert "contacts.calstream_id" in missing
    made = await bare.setup()
    ours = [item for item in PROPERTIES if item.label]
    assert len(made) == len(ours) + 2
    assert all(finding.ok for finding in await bare.check())
    assert await bare.setup() == []
    custom = simulator.dump()["custom_properties"]
    assert sorted([*custom["contacts"], *custom["meetings"]]) == sorted(i.name for i in ours)


async def test_check_changes_nothing(bare: HubSpotSink, recorder: Recorder) -> None:
    await bare.check()
    assert {request.method for request in recorder.requests} == {"GET"}


async def test_check_finds_a_property_of_the_wrong_type_or_that_is_not_unique(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    simulator.make_property(
        "contacts",
        name="calstream_id",
        label="Mine",
        type="string",
        fieldType="text",
        groupName="contactinformation",
    )
    simulator.make_property(
        "meetings",
        name="external_id",
        label="Mine",
        type="number",
        fieldType="number",
        groupName="engagement",
    )
    await bare.setup()
    faults = {finding.name for finding in await bare.check() if not finding.ok}
    assert faults == {"contacts.calstream_id", "meetings.external_id"}


async def test_check_says_that_the_token_is_wrong(
    bare: HubSpotSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-wrong")
    findings = await bare.check()
    assert [finding.ok for finding in findings] == [False, False]
    assert all("scopes" in finding.hint for finding in findings)
    with pytest.raises(ConfigError):
        await bare.setup()


async def test_check_of_a_vendor_that_is_down_finds_nothing_out(
    bare: HubSpotSink, simulator: Simulator
) -> None:
    simulator.fault("/crm", status=503)
    with pytest.raises(UnavailableError):
        await bare.check()
