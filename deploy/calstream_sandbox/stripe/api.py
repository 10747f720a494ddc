"""The calls of Stripe's API that are played."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from calstream_sandbox.stripe.account import Account, Thing
from calstream_sandbox.stripe.bodies import (
    CancelIntent,
    ConfirmIntent,
    CreateIntent,
    CreateRefund,
    CreateSession,
    ListCharges,
    ListEvents,
    ListIntents,
    ListParams,
    ListRefunds,
    ListSessions,
    NoParams,
    UpdateIntent,
    UpdateRefund,
    UpdateSession,
)
from calstream_sandbox.stripe.checkout import Checkout
from calstream_sandbox.stripe.lists import check_expand, expanded, page
from calstream_sandbox.stripe.params import Params, read_params
from calstream_sandbox.stripe.payments import Payments, merged

SESSIONS = "/v1/checkout/sessions"
INTENTS = "/v1/payment_intents"
REFUNDS = "/v1/refunds"
CHARGES = "/v1/charges"
EVENTS = "/v1/events"
Call = Callable[[Mapping[str, Any], str], Thing]
"""Answers a call: its parameters, and the id in its path (empty where it has none)."""

_ParamsT = TypeVar("_ParamsT", bound=Params)


class Api:
    """The calls by method and path."""

    def __init__(self, account: Account, checkout: Checkout) -> None:
        self._account = account
        self._checkout = checkout
        self._payments = Payments(account)

    def calls(self) -> dict[tuple[str, str], Call]:
        """Every call; `{id}` stands for an object's id."""
        session, intent = f"{SESSIONS}/{{id}}", f"{INTENTS}/{{id}}"
        pay, checkout = self._payments, self._checkout
        return {
            ("POST", SESSIONS): self._create(CreateSession, checkout.create),
            ("GET", SESSIONS): self._sessions,
            ("GET", session): self._read("checkout.session", "session"),
            ("POST", session): self._change("checkout.session", "session", UpdateSession, _tell),
            ("POST", f"{session}/expire"): self._change(
                "checkout.session", "session", NoParams, lambda it, _: checkout.expire(it)
            ),
            ("GET", f"{session}/line_items"): self._line_items,
            ("POST", INTENTS): self._create(CreateIntent, pay.create),
            ("GET", INTENTS): self._list("payment_intent", ListIntents, INTENTS),
            ("GET", intent): self._read("payment_intent", "intent"),
            ("POST", intent): self._change("payment_intent", "intent", UpdateIntent, pay.update),
            ("POST", f"{intent}/confirm"): self._change(
                "payment_intent", "intent", ConfirmIntent, pay.confirm
            ),
            ("POST", f"{intent}/cancel"): self._change(
                "payment_intent",
                "intent",
                CancelIntent,
                lambda it, given: pay.cancel(it, given.cancellation_reason),
            ),
            ("POST", REFUNDS): self._create(CreateRefund, pay.refund),
            ("GET", REFUNDS): self._list("refund", ListRefunds, REFUNDS),
            ("GET", f"{REFUNDS}/{{id}}"): self._read("refund", "refund"),
            ("POST", f"{REFUNDS}/{{id}}"): self._change("refund", "refund", UpdateRefund, _tell),
            ("GET", CHARGES): self._list("charge", ListCharges, CHARGES),
            ("GET", f"{CHARGES}/{{id}}"): self._read("charge", "charge"),
            ("GET", EVENTS): self._events,
            ("GET", f"{EVENTS}/{{id}}"): self._read("event", "event"),
        }

    def _create(self, model: type[_ParamsT], make: Callable[[_ParamsT], Thing]) -> Call:
        def call(params: Mapping[str, Any], _: str) -> Thing:
            given = read_params(params, model)
            check_expand(given.expand)
            return expanded(self._account, make(given), given.expand)

        return call

    def _change(
        self,
        kind: str,
        param: str,
        model: type[_ParamsT],
        change: Callable[[Thing, _ParamsT], None],
    ) -> Call:
        def call(params: Mapping[str, Any], id_: str) -> Thing:
            given = read_params(params, model)
            thing = self._account.find(kind, id_, param)
            change(thing, given)
            return expanded(self._account, thing, given.expand)

        return call

    def _read(self, kind: str, param: str) -> Call:
        def call(params: Mapping[str, Any], id_: str) -> Thing:
            given = read_params(params, NoParams)
            return expanded(self._account, self._account.find(kind, id_, param), given.expand)

        return call

    def _list(self, kind: str, model: type[ListParams], url: str) -> Call:
        def call(params: Mapping[str, Any], _: str) -> Thing:
            given = read_params(params, model)
            wanted = given.model_dump(
                include={"payment_intent", "charge", "status"}, exclude_none=True
            )
            found = page(
                self._account.all(kind),
                given,
                url,
                lambda it: all(it[name] == value for name, value in wanted.items()),
            )
            return expanded(self._account, found, given.expand)

        return call

    def _sessions(self, params: Mapping[str, Any], id_: str) -> Thing:
        return self._list("checkout.session", ListSessions, SESSIONS)(params, id_)

    def _line_items(self, params: Mapping[str, Any], id_: str) -> Thing:
        given = read_params(params, ListParams)
        session = self._account.find("checkout.session", id_, "session")
        items = [item | {"created": 0} for item in self._checkout.line_items[session["id"]]]
        found = page(items[::-1], given, f"{SESSIONS}/{id_}/line_items")
        for item in found["data"]:
            del item["created"]
        return found

    def _events(self, params: Mapping[str, Any], _: str) -> Thing:
        given = read_params(params, ListEvents)
        account = self._account

        def fits(event: Thing) -> bool:
            return (
                given.type in {None, event["type"]}
                and (not given.types or event["type"] in given.types)
                and given.delivery_success in {None, account.delivered(event["id"])}
            )

        return page(account.events(), given, EVENTS, fits)


def _tell(thing: Thing, given: UpdateSession | UpdateRefund) -> None:
    thing["metadata"] = merged(thing["metadata"], given.metadata) if given.metadata else {}
