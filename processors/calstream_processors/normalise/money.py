"""Amounts of money: minor units with a currency of ISO 4217."""

from calstream_core.errors import Code, RecordError
from calstream_processors.normalise.body import Body
from calstream_schemas.entities import Values

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR
FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES
KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""

CURRENCIES = frozenset(_CODES.split())
"""What money can be in (ISO 4217, list one, without metals and codes for testing)."""


def read_amount(payment: Body) -> Values:
    """An amount with its currency; each is None where it is not said.

    Raises:
        RecordError: the amount is negative or no whole number, or there is no such currency.
    """
    amount = not_negative(payment, "amount_minor")
    currency = (payment.text("currency") or "").upper() or None
    if currency is not None and currency not in CURRENCIES:
        raise RecordError(
            Code.CURRENCY_UNKNOWN, "no currency of ISO 4217", field=payment.place("currency")
        )
    return {"amount_minor": amount, "currency": currency}


def not_negative(body: Body, name: str) -> int | None:
    """A whole number that is no less than nothing, or None where it is null.

    Raises:
        RecordError: it is something else.
    """
    amount = body.whole(name)
    if amount is not None and amount < 0:
        raise RecordError(Code.AMOUNT_INVALID, "negative", field=body.place(name))
    return amount
