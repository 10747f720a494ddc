"""The parameters of each call, as Stripe's specification has them; what is not played is named."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from calstream_sandbox.stripe.params import (
    Array,
    Boolean,
    Currency,
    Email,
    Integer,
    Metadata,
    Params,
    Part,
    Text,
    Url,
)

PaymentMethod = Literal["card", "link", "sepa_debit", "us_bank_account", "bacs_debit", "ideal"]
Locale = Literal[
    "auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr",
    "fr-CA", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt",
    "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
]  # fmt: skip
Descriptor = Annotated[str, StringConstraints(min_length=1, max_length=22)]


class ProductData(Part):
    """What is sold."""

    name: Text
    description: Annotated[str, StringConstraints(min_length=1, max_length=40_000)] | None = None
    images: Array[Url] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)


class PriceData(Part):
    """A price made for one session."""

    currency: Currency
    product_data: ProductData
    unit_amount: Integer
    tax_behavior: Literal["exclusive", "inclusive", "unspecified"] = "unspecified"


class LineItem(Part):
    """One position of a session."""

    price: Text | None = None
    price_data: PriceData | None = None
    quantity: Integer | None = None
    metadata: Metadata = Field(default_factory=dict)


class PaymentIntentData(Part):
    """What goes to the payment intent of a session. Its metadata are not the session's."""

    description: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    receipt_email: Email | None = None
    statement_descriptor: Descriptor | None = None
    statement_descriptor_suffix: Descriptor | None = None
    capture_method: Literal["automatic", "automatic_async"] = "automatic"


class PhoneNumbers(Part):
    """Whether a phone number is asked for."""

    enabled: Boolean


class CreateSession(Params):
    """POST /v1/checkout/sessions."""

    not_played: ClassVar[str] = (
        "adaptive_pricing after_expiration automatic_tax branding_settings consent_collection "
        "custom_fields custom_text customer customer_account customer_update discounts "
        "excluded_payment_method_types integration_identifier invoice_creation managed_payments "
        "name_collection optional_items origin_context payment_method_collection "
        "payment_method_configuration payment_method_data payment_method_options permissions "
        "redirect_on_completion return_url saved_payment_method_options setup_intent_data "
        "shipping_address_collection shipping_options subscription_data tax_id_collection "
        "wallet_options"
    )

    mode: Literal["payment", "setup", "subscription"]
    line_items: Array[LineItem] = Field(default_factory=list)
    success_url: Url | None = None
    cancel_url: Url | None = None
    ui_mode: Literal["elements", "embedded_page", "hosted_page"] = "hosted_page"
    client_reference_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = (
        None
    )
    customer_email: Email | None = None
    customer_creation: Literal["always", "if_required"] = "if_required"
    currency: Currency | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_intent_data: PaymentIntentData = Field(default_factory=PaymentIntentData)
    payment_method_types: Array[PaymentMethod] | None = None
    expires_at: Integer | None = None
    locale: Locale | None = None
    submit_type: Literal["auto", "book", "donate", "pay", "subscribe"] | None = None
    allow_promotion_codes: Boolean | None = None
    billing_address_collection: Literal["auto", "required"] | None = None
    phone_number_collection: PhoneNumbers | None = None


class UpdateSession(Params):
    """POST /v1/checkout/sessions/{id}."""

    not_played: ClassVar[str] = "collected_information line_items shipping_options"

    metadata: Metadata = Field(default_factory=dict)


class NoParams(Params):
    """A call that takes `expand` alone."""


class AutomaticMethods(Part):
    """Whether Stripe chooses the payment methods."""

    enabled: Boolean
    allow_redirects: Literal["always", "never"] = "always"


class UpdateIntent(Params):
    """POST /v1/payment_intents/{id}."""

    not_played: ClassVar[str] = (
        "allowed_payment_method_types amount_details application_fee_amount capture_method "
        "customer customer_account excluded_payment_method_types hooks payment_details "
        "payment_method_configuration payment_method_data payment_method_options "
        "setup_future_usage shipping transfer_data transfer_group"
    )

    amount: Integer | None = None
    currency: Currency | None = None
    description: Text | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_method: Text | None = None
    payment_method_types: Array[PaymentMethod] | None = None
    receipt_email: Email | None = None
    statement_descriptor: Descriptor | None = None
    statement_descriptor_suffix: Descriptor | None = None


class CreateIntent(UpdateIntent):
    """POST /v1/payment_intents."""

    not_played: ClassVar[str] = (
        UpdateIntent.not_played
        + " confirmation_method confirmation_token error_on_requires_action "
        "mandate mandate_data on_behalf_of radar_options use_stripe_sdk"
    )

    amount: Integer
    currency: Currency
    confirm: Boolean = False
    off_session: Boolean = False
    return_url: Url | None = None
    automatic_payment_methods: AutomaticMethods | None = None


class ConfirmIntent(Params):
    """POST /v1/payment_intents/{id}/confirm."""

    not_played: ClassVar[str] = (
        "allowed_payment_method_types amount_details amount_to_confirm capture_method "
        "client_secret confirmation_token error_on_requires_action excluded_payment_method_types "
        "hooks mandate mandate_data payment_details payment_method_data payment_method_options "
        "payment_method_types radar_options setup_future_usage shipping use_stripe_sdk"
    )

    payment_method: Text | None = None
    receipt_email: Email | None = None
    return_url: Url | None = None
    off_session: Boolean = False


class CancelIntent(Params):
    """POST /v1/payment_intents/{id}/cancel."""

    cancellation_reason: (
        Literal["abandoned", "duplicate", "fraudulent", "requested_by_customer"] | None
    ) = None


class CreateRefund(Params):
    """POST /v1/refunds."""

    not_played: ClassVar[str] = (
        "currency customer instructions_email origin refund_application_fee reverse_transfer"
    )

    charge: Text | None = None
    payment_intent: Text | None = None
    amount: Integer | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata = Field(default_factory=dict)


class UpdateRefund(Params):
    """POST /v1/refunds/{id}."""

    metadata: Metadata = Field(default_factory=dict)


class Span(Part):
    """A span of times, in seconds since 1970."""

    gt: Integer | None = None
    gte: Integer | None = None
    lt: Integer | None = None
    lte: Integer | None = None


def _span(given: object) -> object:
    return {"gte": given, "lte": given} if isinstance(given, str) else given


class ListParams(Params):
    """What every list takes."""

    created: Annotated[Span, BeforeValidator(_span)] = Field(default_factory=Span)
    limit: Integer = 10
    starting_after: Text | None = None
    ending_before: Text | None = None


class ListSessions(ListParams):
    """GET /v1/checkout/sessions."""

    not_played: ClassVar[str] = (
        "customer customer_account customer_details payment_link subscription"
    )

    payment_intent: Text | None = None
    status: Literal["complete", "expired", "open"] | None = None


class ListIntents(ListParams):
    """GET /v1/payment_intents."""

    not_played: ClassVar[str] = "customer customer_account"


class ListRefunds(ListParams):
    """GET /v1/refunds."""

    charge: Text | None = None
    payment_intent: Text | None = None


class ListCharges(ListParams):
    """GET /v1/charges."""

    not_played: ClassVar[str] = "customer transfer_group"

    payment_intent: Text | None = None


class ListEvents(ListParams):
    """GET /v1/events."""

    type: Text | None = None
    types: Array[Text] = Field(default_factory=list)
    delivery_success: Boolean | None = None
