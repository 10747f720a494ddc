"""Slack's official client drives the simulator; its specification judges the replies."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

TOKEN = "xoxb-sandbox"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
MANY = [{"type": "divider"}] * 51


@pytest.fixture
def client(slack_url: str) -> WebClient:
    return WebClient(TOKEN, base_url=f"{slack_url}/api/")


def control(slack_url: str, path: str, **body: Any) -> None:
    httpx.post(f"{slack_url}/_control/{path}", json=body).raise_for_status()


def messages(slack_url: str, channel: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{slack_url}/_control/dump").json()[channel]
    return found


def test_a_message_is_posted_changed_and_taken_away(client: WebClient, slack_url: str) -> None:
    posted = client.chat_postMessage(
        channel="#bookings",
        text="Jo Park booked",
        blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "Jo Park booked"}}],
        metadata={"event_type": "booked", "event_payload": {"booking": "b1"}},
    )
    (kept,) = messages(slack_url, "bookings")
    assert (kept["ts"], kept["text"]) == (posted["ts"], "Jo Park booked")
    assert kept["metadata"]["event_payload"] == {"booking": "b1"}
    changed = client.chat_update(channel=posted["channel"], ts=posted["ts"], text="moved")
    assert changed["text"] == "moved"
    client.chat_delete(channel=posted["channel"], ts=posted["ts"])
    assert messages(slack_url, "bookings") == []
    assert client.auth_test()["team_id"].startswith("T")
    assert "bookings" in [each["name"] for each in client.conversations_list()["channels"]]


def test_the_same_message_twice_is_two_messages(client: WebClient, slack_url: str) -> None:
    control(slack_url, "settings", posts_per_second=10)
    first, second = (client.chat_postMessage(channel="sales", text="x")["ts"] for _ in range(2))
    assert float(second) > float(first)
    assert len(messages(slack_url, "sales")) == 2


def test_a_channel_takes_one_message_a_second_and_the_client_waits_as_told(
    client: WebClient, slack_url: str
) -> None:
    client.chat_postMessage(channel="bookings", text="one")
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="bookings", text="two")
    assert error.value.response.status_code == 429
    assert error.value.response["error"] == "ratelimited"
    assert error.value.response.headers["retry-after"] == "1"
    client.chat_postMessage(channel="sales", text="another channel")
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=2))
    client.chat_postMessage(channel="bookings", text="three")
    assert [each["text"] for each in messages(slack_url, "bookings")] == ["one", "three"]


def test_all_channels_together_have_a_limit(client: WebClient, slack_url: str) -> None:
    control(slack_url, "settings", posts_per_minute=2)
    for channel in ("general", "sales"):
        client.chat_postMessage(channel=channel, text="x")
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="bookings", text="x")
    assert error.value.response.headers["retry-after"] == "30"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "#old", "text": "x"}, "is_archived"),
        ({"channel": "#closed", "text": "x"}, "not_in_channel"),
        ({"channel": "#sales", "text": "x", "blocks": MANY}, "invalid_blocks"),
        ({"channel": "#sales", "text": "x", "blocks": [{}]}, "invalid_blocks"),
        ({"channel": "#sales", "text": "x", "thread_ts": "1.0"}, "thread_not_found"),
        ({"channel": "#sales", "text": "x", "metadata": {"a": 1}}, "invalid_metadata_format"),
    ],
)
def test_what_slack_refuses_is_200_with_ok_false(
    client: WebClient, slack_url: str, arguments: dict[str, Any], error: str
) -> None:
    control(slack_url, "channels", name="old", is_archived=True)
    control(slack_url, "channels", name="closed", is_member=False)
    with pytest.raises(SlackApiError) as found:
        client.chat_postMessage(**arguments)
    assert (found.value.response.status_code, found.value.response["error"]) == (200, error)
    assert messages(slack_url, "sales") == []


def test_a_wrong_token_an_unknown_method_and_broken_bodies_are_told(slack_url: str) -> None:
    post = partial(httpx.post, f"{slack_url}/api/chat.postMessage")
    json_type = {"content-type": "application/json; charset=utf-8"}
    for reply, error in (
        (post(headers=AUTH, data={"channel": "#sales", "text": ""}), "no_text"),
        (post(headers=AUTH, data={"channel": "#general", "blocks": "{"}), "invalid_blocks_format"),
        (post(), "not_authed"),
        (post(headers={"Authorization": "Bearer x"}), "invalid_auth"),
        (post(headers=AUTH | json_type, content=b"{"), "invalid_json"),
        (post(headers=AUTH | json_type, content=b"[]"), "json_not_object"),
        (post(headers=AUTH | {"content-type": "text/plain"}, content=b"x"), "invalid_form_data"),
        (httpx.post(f"{slack_url}/api/chat.shout", headers=AUTH), "unknown_method"),
    ):
        assert reply.status_code == 200
        assert (reply.json()["ok"], reply.json()["error"]) == (False, error)


def test_json_without_a_charset_is_taken_with_a_warning(slack_url: str) -> None:
    reply = httpx.post(
        f"{slack_url}/api/chat.postMessage",
        headers=AUTH,
        json={"channel": "#sales", "text": "x" * 40_001},
    ).json()
    assert (reply["ok"], reply["warning"]) == (True, "missing_charset")
    assert len(reply["message"]["text"]) == 40_000


def test_faults_are_slacks_own_errors_too(client: WebClient, slack_url: str) -> None:
    control(slack_url, "faults", error="token_revoked")
    with pytest.raises(SlackApiError, match="token_revoked"):
        client.chat_postMessage(channel="sales", text="x")
    control(slack_url, "faults", status=429, retry_after_seconds=7)
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="sales", text="x")
    assert error.value.response.headers["retry-after"] == "7"
    assert messages(slack_url, "sales") == []
    control(slack_url, "faults", applied_then_dropped=True)
    with pytest.raises(Exception, match="IncompleteRead"):
        client.chat_postMessage(channel="sales", text="x")
    assert len(messages(slack_url, "sales")) == 1


def test_the_replies_are_as_the_specification_has_them(
    client: WebClient, vendor_specs: Path
) -> None:
    spec = json.loads((vendor_specs / "slack" / "web-api-2021.json").read_text("utf-8"))

    def fits(method: str, verb: str, reply: Any, kind: str = "200") -> None:
        schema = spec["paths"][f"/{method}"][verb]["responses"][kind]["schema"]
        found = Draft4Validator({**schema, "definitions": spec["definitions"]})
        assert [error.message for error in found.iter_errors(reply)] == []

    posted = client.chat_postMessage(channel="bookings", text="x").data
    assert isinstance(posted, dict)
    fits("chat.postMessage", "post", posted)
    place = {"channel": posted["channel"], "ts": posted["ts"]}
    fits("chat.update", "post", client.chat_update(**place, text="y").data)
    fits("chat.delete", "post", client.chat_delete(**place).data)
    fits("auth.test", "get", client.auth_test().data)
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="#nowhere", text="x")
    fits("chat.postMessage", "post", error.value.response.data, "default")
