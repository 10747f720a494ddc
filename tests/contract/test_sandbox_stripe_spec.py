"""Stripe's own specification judges the simulator, through stripe-mock.

stripe-mock is Stripe's, has no state, and refuses what the specification forbids. It is built from
its Go module, which holds the specification too.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30ReadValidator

pytestmark = pytest.mark.slow

MODULE = "github.com/stripe/stripe-mock@v0.203.0"
AUTH = {"Authorization": "Bearer sk_test_sandbox"}
SESSIONS = "/v1/checkout/sessions"
SESSION = {
    "mode": "payment",
    "success_url": "https://calendar.example/thanks",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "4900",
    "line_items[0][price_data][product_data][name]": "Workshop",
}
INTENT = {"amount": "500", "currency": "usd"}


@dataclass(frozen=True)
class StripeMock:
    url: str
    spec: dict[str, Any]

    def accepts(self, method: str, path: str, form: dict[str, str]) -> bool:
        reply = send(self.url, method, path, form)
        assert reply.status_code in {200, 400}, reply.text
        return reply.status_code == 200


def send(url: str, method: str, path: str, form: dict[str, str]) -> httpx.Response:
    where = {"params": form} if method == "GET" else {"data": form}
    return httpx.request(method, url + path, headers=AUTH, **where)  # type: ignore[arg-type]  # one of the two


@pytest.fixture(scope="session")
def stripe_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeMock]:
    go = shutil.which("go")
    if go is None:
        pytest.skip("stripe-mock is built with Go, which is not here")
    folder = Path(sys.prefix) / "share" / "stripe-mock"
    subprocess.run([go, "install", MODULE], check=True, env={**os.environ, "GOBIN": str(folder)})
    told = subprocess.run(
        [go, "mod", "download", "-json", MODULE], check=True, capture_output=True, text=True
    )
    spec_file = Path(json.loads(told.stdout)["Dir"]) / "embedded" / "openapi" / "spec3.json"
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        http, https = (f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second))
    log = (tmp_path_factory.mktemp("stripe-mock") / "log").open("wb")
    command = [str(folder / "stripe-mock"), "-http-addr", http, "-https-addr", https]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            give_up_at = time.monotonic() + 30
            while True:
                try:
                    httpx.get(f"http://{http}/v1/charges", headers=AUTH)
                    break
                except httpx.TransportError:
                    assert time.monotonic() < give_up_at
                    time.sleep(0.05)  # another process starts and has no other way to tell
            spec = _nullable(json.loads(spec_file.read_text("utf-8")))
            yield StripeMock(f"http://{http}", spec)
        finally:
            process.terminate()
            process.wait(30)


def _nullable(node: Any) -> Any:
    """The specification with what it means by `nullable` beside `anyOf` and `enum`."""
    if isinstance(node, list):
        return [_nullable(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _nullable(value) for key, value in node.items()}
    if found.get("nullable") is True and isinstance(found.get("anyOf"), list):
        found["anyOf"] = [*found["anyOf"], {"type": "string", "nullable": True, "enum": [None]}]
    if found.get("nullable") is True and isinstance(found.get("enum"), list):
        found["enum"] = [*found["enum"], None]
    return found


GOOD: list[tuple[str, str, dict[str, str]]] = [
    ("POST", SESSIONS, SESSION),
    ("POST", SESSIONS, SESSION | {"metadata[payment]": "p1", "customer_email": "jo@example.com"}),
    ("POST", SESSIONS, SESSION | {"payment_intent_data[metadata][payment]": "p1"}),
    ("POST", SESSIONS, SESSION | {"payment_method_types[]": "card", "locale": "de"}),
    ("POST", SESSIONS, SESSION | {"expires_at": str(int(time.time()) + 3600)}),
    ("POST", SESSIONS, SESSION | {"submit_type": "book", "allow_promotion_codes": "true"}),
    ("POST", SESSIONS, SESSION | {"phone_number_collection[enabled]": "false"}),
    ("POST", SESSIONS, SESSION | {"expand[]": "payment_intent"}),
    ("GET", SESSIONS, {"limit": "3", "status": "open"}),
    ("GET", SESSIONS, {"created[gte]": "1", "payment_intent": "pi_1"}),
    ("POST", "/v1/payment_intents", INTENT),
    ("POST", "/v1/payment_intents", INTENT | {"automatic_payment_methods[enabled]": "true"}),
    ("POST", "/v1/payment_intents", INTENT | {"payment_method": "pm_card_visa", "confirm": "true"}),
    ("GET", "/v1/payment_intents", {"limit": "1"}),
    ("GET", "/v1/refunds", {"limit": "1"}),
    ("GET", "/v1/charges", {}),
    ("GET", "/v1/events", {"types[]": "charge.succeeded", "delivery_success": "true"}),
]
BAD: list[tuple[str, str, dict[str, str]]] = [
    ("POST", SESSIONS, SESSION | {"nonsense": "1"}),
    ("POST", SESSIONS, SESSION | {"mode": "later"}),
    ("POST", SESSIONS, SESSION | {"expires_at": "soon"}),
    ("POST", SESSIONS, SESSION | {"line_items[0][quantity]": "one"}),
    ("POST", SESSIONS, SESSION | {"line_items[0][price_data][tax_behavior]": "none"}),
    ("POST", SESSIONS, SESSION | {"allow_promotion_codes": "perhaps"}),
    ("POST", SESSIONS, SESSION | {"submit_type": "give"}),
    ("POST", SESSIONS, SESSION | {"metadata": "text"}),
    ("POST", SESSIONS, SESSION | {"phone_number_collection[nonsense]": "1"}),
    ("POST", "/v1/payment_intents", {"amount": "500"}),
    ("POST", "/v1/payment_intents", {"currency": "usd"}),
    ("POST", "/v1/payment_intents", INTENT | {"amount": "1.5"}),
    ("POST", "/v1/payment_intents", INTENT | {"confirm": "yes"}),
    ("POST", "/v1/payment_intents", INTENT | {"nonsense": "1"}),
    ("POST", "/v1/refunds", {"nonsense": "1"}),
    ("POST", "/v1/refunds", {"reason": "mood"}),
    ("GET", "/v1/events", {"limit": "many"}),
    ("GET", "/v1/events", {"nonsense": "1"}),
    ("GET", SESSIONS, {"status": "lost"}),
]


@pytest.mark.parametrize(("method", "path", "form"), GOOD)
def test_what_we_take_stripe_takes(
    stripe_mock: StripeMock, stripe_url: str, method: str, path: str, form: dict[str, str]
) -> None:
    reply = send(stripe_url, method, path, form)
    assert reply.status_code == 200, reply.text
    assert stripe_mock.accepts(method, path, form)


@pytest.mark.parametrize(("method", "path", "form"), BAD)
def test_what_stripe_refuses_we_refuse(
    stripe_mock: StripeMock, stripe_url: str, method: str, path: str, form: dict[str, str]
) -> None:
    assert not stripe_mock.accepts(method, path, form)
    reply = send(stripe_url, method, path, form)
    assert reply.status_code == 400
    fit(stripe_mock, "error", reply.json())


def fit(stripe_mock: StripeMock, schema: str, thing: Any) -> None:
    """Fails where an object is not as the specification has it."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": stripe_mock.spec["components"]}
    errors = [
        f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}"
        for each in OAS30ReadValidator(root).iter_errors(thing)
    ]
    assert errors == []


def test_every_object_in_every_state_is_as_the_specification_has_it(
    stripe_mock: StripeMock, stripe_url: str
) -> None:
    def control(path: str, body: dict[str, Any]) -> None:
        httpx.post(f"{stripe_url}/_control/{path}", json=body).raise_for_status()

    for outcome in ("succeeded", "declined", "processing", "expired"):
        session = send(stripe_url, "POST", SESSIONS, SESSION).json()
        if outcome == "expired":
            send(stripe_url, "POST", f"{SESSIONS}/{session['id']}/expire", {})
        else:
            control(f"sessions/{session['id']}/pay", {"outcome": outcome, "email": "jo@x.example"})
        items = send(stripe_url, "GET", f"{SESSIONS}/{session['id']}/line_items", {}).json()
        for item in items["data"]:
            fit(stripe_mock, "item", item)
    intent = send(
        stripe_url,
        "POST",
        "/v1/payment_intents",
        INTENT | {"payment_method": "pm_card_visa", "confirm": "true"},
    ).json()
    send(stripe_url, "POST", "/v1/refunds", {"payment_intent": intent["id"]})
    dump = httpx.get(f"{stripe_url}/_control/dump").json()
    seen = set()
    for kind in ("checkout.session", "payment_intent", "charge", "refund", "event"):
        for thing in dump[kind]:
            fit(stripe_mock, kind, thing)
            seen.add((kind, thing.get("status", thing.get("type"))))
    assert len(seen) > 15
