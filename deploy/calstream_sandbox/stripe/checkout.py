"""Checkout Sessions: made, paid, expired."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from calstream_sandbox.stripe.account import Account, Thing
from calstream_sandbox.stripe.bodies import CreateSession, LineItem
from calstream_sandbox.stripe.errors import invalid_request, missing, not_played, required
from calstream_sandbox.stripe.payments import Payments, check_amount, merged

_SHORTEST_SECONDS = 30 * 60
_LONGEST_SECONDS = 24 * 3600
_MAX_ITEMS = 100
_CALL = "checkout.session"
_PAGE = "https://checkout.stripe.com/c/pay"


class Checkout:
    """The sessions of an account, and what a customer does on their pages."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._payments = Payments(account)
        self._intent_data: dict[str, dict[str, Any]] = {}
        self.line_items: dict[str, list[Thing]] = {}

    def create(self, given: CreateSession) -> Thing:
        """An open session."""
        account, now = self._account, self._account.now()
        if given.mode != "payment":
            raise not_played(f"mode {given.mode}")
        if given.ui_mode != "hosted_page":
            raise not_played(f"ui_mode {given.ui_mode}")
        if given.success_url is None:
            raise required("success_url")
        expires_at = self._expiry(given.expires_at, now)
        items = self._items(given.line_items)
        total, currency = _sum(items)
        if given.currency not in {None, currency}:
            raise invalid_request("The currencies of the items differ.", param="currency")
        check_amount(total, "line_items")
        session = _session(given, account.new_id("cs_test"), now)
        session |= {
            "amount_subtotal": total,
            "amount_total": total,
            "currency": currency,
            "expires_at": expires_at,
            "url": f"{_PAGE}/{session['id']}",
        }
        self.line_items[session["id"]] = items
        data = given.payment_intent_data.model_dump(exclude={"capture_method"})
        data["metadata"] = merged({}, data["metadata"])
        data["payment_method_types"] = session["payment_method_types"]
        self._intent_data[session["id"]] = data
        return account.add(session)

    def expire(self, session: Thing) -> None:
        """Ends an open session unpaid."""
        if session["status"] != "open":
            raise invalid_request(
                'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
                f"Session has a status of `{session['status']}`."
            )
        session |= {"status": "expired", "url": None}
        self._account.emit("checkout.session.expired", session)

    def expire_due(self) -> None:
        """Ends every open session whose time is up."""
        now = self._account.now()
        for session in self._account.all(_CALL):
            if session["status"] == "open" and session["expires_at"] <= now:
                self.expire(session)

    def next_expiry(self) -> int | None:
        """When the next open session ends, in seconds since 1970."""
        open_ = [each for each in self._account.all(_CALL) if each["status"] == "open"]
        return min((each["expires_at"] for each in open_), default=None)

    def pay(self, session: Thing, outcome: str, email: str | None, name: str | None) -> None:
        """The customer pays: `succeeded`, `declined` (another try may follow), or `processing`."""
        if session["status"] != "open":
            raise invalid_request(f"The page is gone: the session is {session['status']}.")
        account, payments = self._account, self._payments
        intent = account.things.get("payment_intent", {}).get(session["payment_intent"] or "")
        if intent is None:
            data = self._intent_data[session["id"]]
            intent = payments.new_intent(session["amount_total"], session["currency"], **data)
            session["payment_intent"] = intent["id"]
        intent["payment_method"] = account.new_id("pm")
        if outcome == "declined":
            payments.fail(intent, "generic_decline")
            return
        session |= {
            "status": "complete",
            "url": None,
            "customer_details": _details(email or session["customer_email"], name),
        }
        if outcome == "succeeded":
            payments.succeed(intent)
            session["payment_status"] = "paid"
        else:
            payments.process(intent)
        account.emit("checkout.session.completed", session)

    def settle(self, session: Thing, *, succeeded: bool) -> None:
        """The bank's word on a payment that was on its way, days later."""
        intents = self._account.things.get("payment_intent", {})
        intent = intents.get(session["payment_intent"] or "", {})
        if intent.get("status") != "processing":
            raise invalid_request("No payment of this session is on its way.")
        if succeeded:
            self._payments.succeed(intent)
            session["payment_status"] = "paid"
            self._account.emit("checkout.session.async_payment_succeeded", session)
        else:
            self._payments.fail(intent, "generic_decline")
            self._account.emit("checkout.session.async_payment_failed", session)

    def forget(self) -> None:
        """Forgets what is kept beside the account."""
        self._intent_data.clear()
        self.line_items.clear()

    def _expiry(self, given: int | None, now: int) -> int:
        if given is None:
            return now + _LONGEST_SECONDS
        if given < now + _SHORTEST_SECONDS:
            raise invalid_request(
                "The `expires_at` timestamp must be at least 30 minutes from Checkout Session "
                "creation.",
                param="expires_at",
            )
        if given > now + _LONGEST_SECONDS:
            raise invalid_request(
                "The `expires_at` timestamp must be less than 24 hours from Checkout Session "
                "creation.",
                param="expires_at",
            )
        return given

    def _items(self, given: Sequence[LineItem]) -> list[Thing]:
        if not given:
            raise required("line_items")
        if len(given) > _MAX_ITEMS:
            raise invalid_request(
                f"The maximum number of line items is {_MAX_ITEMS}.", param="line_items"
            )
        return [self._item(item, f"line_items[{place}]") for place, item in enumerate(given)]

    def _item(self, item: LineItem, param: str) -> Thing:
        if item.price is not None:
            raise missing("price", item.price, f"{param}[price]", status=HTTPStatus.BAD_REQUEST)
        if item.price_data is None:
            raise invalid_request(
                f"You must provide one of `price` or `price_data` for each line item in {param}.",
                param=param,
            )
        if item.quantity is None or item.quantity < 1:
            raise invalid_request(
                "Quantity must be a number from 1 for each line item.",
                code="parameter_missing" if item.quantity is None else "parameter_invalid_integer",
                param=f"{param}[quantity]",
            )
        data = item.price_data
        if data.unit_amount < 0:
            raise invalid_request(
                "This value must be greater than or equal to 0.",
                code="parameter_invalid_integer",
                param=f"{param}[price_data][unit_amount]",
            )
        amount = data.unit_amount * item.quantity
        return {
            "id": self._account.new_id("li"),
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": data.currency,
            "description": data.product_data.name,
            "metadata": dict(item.metadata),
            "price": None,
            "quantity": item.quantity,
        }


def _sum(items: Sequence[Thing]) -> tuple[int, str]:
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise invalid_request("All line items must have the same currency.", param="line_items")
    return sum(item["amount_total"] for item in items), currencies.pop()


def _details(email: str | None, name: str | None) -> Thing:
    return {
        "address": None,
        "email": email,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _session(given: CreateSession, id_: str, now: int) -> Thing:
    phone = given.phone_number_collection
    return {
        "id": id_,
        "object": "checkout.session",
        "after_expiration": None,
        "allow_promotion_codes": given.allow_promotion_codes,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": given.billing_address_collection,
        "cancel_url": given.cancel_url,
        "client_reference_id": given.client_reference_id,
        "client_secret": None,
        "consent": None,
        "created": now,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_creation": given.customer_creation,
        "customer_details": None,
        "customer_email": given.customer_email,
        "livemode": False,
        "locale": given.locale,
        "metadata": merged({}, given.metadata),
        "mode": given.mode,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_types": list(given.payment_method_types or ["card"]),
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": phone is not None and phone.enabled},
        "shipping_options": [],
        "status": "open",
        "submit_type": given.submit_type,
        "subscription": None,
        "success_url": given.success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": given.ui_mode,
    }
