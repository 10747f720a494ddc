"""Payment intents, their charges, and refunds."""

from http import HTTPStatus
from typing import Any

from calstream_sandbox.stripe.account import Account, Thing
from calstream_sandbox.stripe.bodies import ConfirmIntent, CreateIntent, CreateRefund, UpdateIntent
from calstream_sandbox.stripe.errors import StripeError, card_declined, invalid_request, missing

DECLINES = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
GOOD_METHODS = frozenset({"pm_card_visa", "pm_card_mastercard", "pm_card_us"})
_SMALLEST_AMOUNT = 50
_LARGEST_AMOUNT = 99_999_999
_CANCELLABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def merged(old: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """Metadata after an update: an empty value takes a key away."""
    return {key: value for key, value in {**old, **given}.items() if value}


def check_amount(amount: int, param: str) -> None:
    """Raises StripeError for an amount that Stripe takes no payment of."""
    if amount < 1:
        raise invalid_request(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param=param,
        )
    if amount < _SMALLEST_AMOUNT:
        raise invalid_request(
            "Amount must convert to at least 50 cents.", code="amount_too_small", param=param
        )
    if amount > _LARGEST_AMOUNT:
        raise invalid_request(
            "Amount must be no more than $999,999.99", code="amount_too_large", param=param
        )


class Payments:
    """What happens to money in an account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def new_intent(self, amount: int, currency: str, **more: Any) -> Thing:
        """A payment intent that waits for a payment method."""
        account = self._account
        id_ = account.new_id("pi")
        intent: Thing = {
            "id": id_,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "client_secret": f"{id_}_secret_{account.new_id('x')[2:]}",
            "confirmation_method": "automatic",
            "created": account.now(),
            "currency": currency,
            "customer": None,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": {},
            "payment_method": None,
            "payment_method_types": ["card"],
            "receipt_email": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "requires_payment_method",
            **more,
        }
        account.add(intent)
        account.emit("payment_intent.created", intent)
        return intent

    def create(self, given: CreateIntent) -> Thing:
        """A payment intent that a caller asks for."""
        check_amount(given.amount, "amount")
        self._check_method(given.payment_method)
        if given.off_session and not given.confirm:
            raise invalid_request(
                "off_session can only be used together with confirm.", param="off_session"
            )
        intent = self.new_intent(
            given.amount,
            given.currency,
            description=given.description,
            metadata=merged({}, given.metadata),
            payment_method=given.payment_method,
            payment_method_types=given.payment_method_types or ["card"],
            receipt_email=given.receipt_email,
            statement_descriptor=given.statement_descriptor,
            statement_descriptor_suffix=given.statement_descriptor_suffix,
            status="requires_confirmation" if given.payment_method else "requires_payment_method",
        )
        if given.confirm:
            self.confirm(intent, ConfirmIntent())
        return intent

    def update(self, intent: Thing, given: UpdateIntent) -> None:
        """Changes what is given."""
        changes = given.model_dump(exclude_unset=True, exclude={"expand"})
        if ("amount" in changes or "currency" in changes) and intent["status"] not in _CANCELLABLE:
            raise _unexpected(intent, "updated")
        if given.amount is not None:
            check_amount(given.amount, "amount")
        self._check_method(given.payment_method)
        metadata = merged(intent["metadata"], changes.pop("metadata", {}))
        intent |= {**changes, "metadata": metadata}
        if given.payment_method and intent["status"] == "requires_payment_method":
            intent["status"] = "requires_confirmation"

    def confirm(self, intent: Thing, given: ConfirmIntent) -> None:
        """Takes the money, or raises the card's decline."""
        if intent["status"] not in _CANCELLABLE:
            raise _unexpected(intent, "confirmed")
        self._check_method(given.payment_method)
        method = given.payment_method or intent["payment_method"]
        if method is None:
            raise invalid_request(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                code="payment_intent_unexpected_state",
            )
        intent["payment_method"] = method
        decline = DECLINES.get(method)
        if decline is None:
            self.succeed(intent)
        else:
            self.fail(intent, decline)
            raise card_declined(
                decline, charge=intent["latest_charge"], payment_intent=dict(intent)
            )

    def cancel(self, intent: Thing, reason: str | None) -> None:
        """Gives an intent up that has taken no money."""
        if intent["status"] not in _CANCELLABLE:
            raise _unexpected(intent, "canceled")
        intent |= {
            "status": "canceled",
            "canceled_at": self._account.now(),
            "cancellation_reason": reason,
        }
        self._account.emit("payment_intent.canceled", intent)

    def succeed(self, intent: Thing) -> None:
        """The money has come."""
        charge = self._charge(intent, "succeeded")
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "last_payment_error": None,
        }
        self._account.emit("charge.succeeded", charge)
        self._account.emit("payment_intent.succeeded", intent)

    def process(self, intent: Thing) -> None:
        """The money is on its way, for days."""
        charge = self._charge(intent, "pending")
        intent["status"] = "processing"
        self._account.emit("charge.pending", charge)
        self._account.emit("payment_intent.processing", intent)

    def fail(self, intent: Thing, decline_code: str) -> None:
        """The bank says no; another attempt may follow."""
        charge = self._charge(intent, "failed")
        error = card_declined(decline_code).error | {"charge": charge["id"]}
        intent |= {
            "status": "requires_payment_method",
            "payment_method": None,
            "last_payment_error": error,
        }
        self._account.emit("charge.failed", charge)
        self._account.emit("payment_intent.payment_failed", intent)

    def refund(self, given: CreateRefund) -> Thing:
        """Gives money back, all that is left or a part of it."""
        charge = self._refundable(given)
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = left if given.amount is None else given.amount
        if charge["refunded"]:
            raise invalid_request(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
            )
        if amount < 1:
            raise invalid_request(
                "This value must be greater than or equal to 1.",
                code="parameter_invalid_integer",
                param="amount",
            )
        if amount > left:
            raise invalid_request(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        account = self._account
        refund = account.add(
            {
                "id": account.new_id("re"),
                "object": "refund",
                "amount": amount,
                "balance_transaction": None,
                "charge": charge["id"],
                "created": account.now(),
                "currency": charge["currency"],
                "metadata": merged({}, given.metadata),
                "payment_intent": charge["payment_intent"],
                "reason": given.reason,
                "receipt_number": None,
                "status": "succeeded",
            }
        )
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        account.emit("refund.created", refund)
        account.emit("charge.refunded", charge)
        return refund

    def _refundable(self, given: CreateRefund) -> Thing:
        if (given.charge is None) == (given.payment_intent is None):
            raise invalid_request(
                "One of the following params should be provided for this request: payment_intent "
                "or charge."
            )
        account, bad = self._account, HTTPStatus.BAD_REQUEST
        if given.charge is not None:
            return account.find("charge", given.charge, "charge", status=bad)
        assert given.payment_intent is not None
        intent = account.find("payment_intent", given.payment_intent, "payment_intent", status=bad)
        if intent["status"] != "succeeded":
            raise invalid_request(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        return account.find("charge", intent["latest_charge"], "charge", status=bad)

    def _charge(self, intent: Thing, status: str) -> Thing:
        account, paid = self._account, status == "succeeded"
        pending = account.things.get("charge", {}).get(intent["latest_charge"] or "", {})
        charge: Thing = pending if pending.get("status") == "pending" else {}
        charge |= {
            "id": charge.get("id") or account.new_id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if paid else 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": {
                "address": None,
                "email": intent["receipt_email"],
                "name": None,
                "phone": None,
                "tax_id": None,
            },
            "captured": paid,
            "created": account.now(),
            "currency": intent["currency"],
            "customer": None,
            "description": intent["description"],
            "disputed": False,
            "failure_code": "card_declined" if status == "failed" else None,
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": intent["payment_method"],
            "receipt_email": intent["receipt_email"],
            "refunded": False,
            "status": status,
        }
        account.add(charge)
        intent["latest_charge"] = charge["id"]
        return charge

    def _check_method(self, method: str | None) -> None:
        if method is not None and method not in GOOD_METHODS and method not in DECLINES:
            bad = HTTPStatus.BAD_REQUEST
            raise missing("PaymentMethod", method, "payment_method", status=bad)


def _unexpected(intent: Thing, what: str) -> StripeError:
    return invalid_request(
        f"This PaymentIntent could not be {what} because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=dict(intent),
    )
