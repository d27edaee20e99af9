"""Exact amounts of money in major units: `Decimal`s that no operation here ever rounds."""

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact

# ISO 4217 (list one): the currencies whose minor unit is not two digits.
MINOR_DIGITS = (
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys("CLF UYW".split(), 4)
)
# ISO 4217 (list one): the codes of money that is in use, without metals, funds' units and tests.
CURRENCIES = frozenset(
    (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD "
        "BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD "
        "EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD "
        "IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
        "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
        "SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES "
        "VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
    ).split()
)
INTEGER_DIGITS_MAX = 20
FRACTION_DIGITS_MAX = 20
# Wide enough for any sum of any number of amounts; what would be rounded all the same is an error.
EXACTLY = Context(prec=100, traps=[Inexact])


class AmountError(ValueError):
    """The number is not an amount of money: negative, not finite, or too long."""


def minor_digits(currency: str | None) -> int:
    """Digits after the point of a currency's minor unit; 0 where no currency is known."""
    return 0 if currency is None else MINOR_DIGITS.get(currency, 2)


def registrable(amount: Decimal, currency: str) -> Decimal:
    """The amount of an order that can be paid in this currency. Raises `AmountError` where there is
    no such currency, or no coin that small: no payment would ever match."""
    if currency not in CURRENCIES:
        raise AmountError(f"{currency} is no currency of ISO 4217, such as KES")
    digits = minor_digits(currency)
    exact = exact_amount(amount, currency)
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    if -exponent > digits:
        allowed = f"at most {digits}" if digits else "no"
        told = f"{amount_text(exact)} has more"
        raise AmountError(f"{currency} has {allowed} digits after the point, and {told}")
    return exact


def exact_amount(number: Decimal, currency: str | None) -> Decimal:
    """The same number with no needless zeros but at least the currency's minor digits.

    902.1 KES becomes 902.10; a longer fraction stays as it is. Raises `AmountError` for what is
    negative, not finite, has over 20 digits before the point or over 20 significant ones after.
    """
    if not number.is_finite() or (number.is_signed() and number != 0):
        raise AmountError("an amount is a finite number and not negative")
    if number == 0:
        return Decimal((0, (0,), -minor_digits(currency)))
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # only NaN and infinities have letters here
    if len(digits) + exponent > INTEGER_DIGITS_MAX:
        raise AmountError(f"an amount has at most {INTEGER_DIGITS_MAX} digits before the point")
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if -exponent > FRACTION_DIGITS_MAX:
        raise AmountError(f"an amount has at most {FRACTION_DIGITS_MAX} digits after the point")
    padding = exponent + minor_digits(currency)
    if padding > 0:
        digits, exponent = digits + (0,) * padding, exponent - padding
    return Decimal((sign, digits, exponent))


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, to the last digit; 0 of nothing."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACTLY.add(total, amount)
    return total


def exact_product(amount: Decimal, times: int) -> Decimal:
    """The amount so many times, to the last digit."""
    return EXACTLY.multiply(amount, times)


def amount_text(amount: Decimal) -> str:
    """The amount as a plain decimal string, never in scientific notation."""
    text = str(amount)  # three times as fast, and the same unless there is an exponent
    return format(amount, "f") if "E" in text else text
