"""Amounts are exact: never rounded, never a float, shown with the currency's minor digits."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import (
    CURRENCIES,
    MINOR_DIGITS,
    AmountError,
    amount_text,
    exact_amount,
    minor_digits,
    registrable,
)

currencies = st.sampled_from([None, "KES", "UGX", "KWD", "CLF"])
# By digits and exponent, since most decimals drawn at random are refused for their length.
decimals = st.builds(
    lambda number, exponent: Decimal((0, Decimal(number).as_tuple().digits, exponent)),
    st.integers(0, 10**24),
    st.integers(-24, 24),
)


def is_amount(number: Decimal) -> bool:
    """At most 20 digits before the point, and 20 after it that matter."""
    whole, _, fraction = format(number, "f").partition(".")
    return len(whole.lstrip("0")) <= 20 and len(fraction.rstrip("0")) <= 20


@pytest.mark.parametrize(
    ("number", "currency", "text"),
    [
        ("902.1", "KES", "902.10"),
        ("902.10", "KES", "902.10"),
        ("902.1000", "KES", "902.10"),
        ("902", "KES", "902.00"),
        ("902.125", "KES", "902.125"),
        ("902.00", "UGX", "902"),
        ("902.50", "UGX", "902.5"),
        ("1200", "UGX", "1200"),
        ("1.5", "KWD", "1.500"),
        ("1.2345", "KWD", "1.2345"),
        ("1", "CLF", "1.0000"),
        ("902.10", None, "902.1"),
        ("900", None, "900"),
        ("902.1", "XXX", "902.10"),
        ("1E+5", "KES", "100000.00"),
        ("1.5E+3", "UGX", "1500"),
        ("1E-20", "KES", "0.00000000000000000001"),
        ("0", "KES", "0.00"),
        ("-0", "KES", "0.00"),
        ("0E+999999999", "KES", "0.00"),
        ("0E-999999999", "UGX", "0"),
        ("1.00000000000000000000000000000", "KES", "1.00"),
        ("12345678901234567890", "KES", "12345678901234567890.00"),
        ("99999999999999999999.99", "KES", "99999999999999999999.99"),
    ],
)
def test_an_amount_is_shown_exactly(number: str, currency: str | None, text: str) -> None:
    assert amount_text(exact_amount(Decimal(number), currency)) == text


@pytest.mark.parametrize(
    "number",
    [
        *("-1", "-0.01", "-1E-30", "NaN", "-NaN", "sNaN", "Infinity", "-Infinity"),
        *("123456789012345678901", "1E+20", "1E+999999", "100000000000000000000.5"),
        *("1E-21", "0.123456789012345678901", "1E-999999"),
    ],
)
def test_what_is_no_amount_of_money_is_refused(number: str) -> None:
    with pytest.raises(AmountError):
        exact_amount(Decimal(number), "KES")


@given(decimals, currencies)
def test_an_amount_is_refused_for_its_length_or_it_is_the_same_number(
    number: Decimal, currency: str | None
) -> None:
    if is_amount(number):
        assert exact_amount(number, currency) == number
    else:
        with pytest.raises(AmountError):
            exact_amount(number, currency)


@given(decimals.filter(is_amount), currencies)
def test_an_exact_amount_stays_as_it_is(number: Decimal, currency: str | None) -> None:
    amount = exact_amount(number, currency)
    assert str(exact_amount(amount, currency)) == str(amount)


@given(decimals.filter(is_amount), st.integers(0, 30), currencies)
def test_equal_numbers_are_shown_alike(number: Decimal, zeros: int, currency: str | None) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert str(exact_amount(longer, currency)) == str(exact_amount(number, currency))


@given(decimals.filter(is_amount), currencies)
def test_the_text_has_the_minor_digits_and_no_needless_zero_after_them(
    number: Decimal, currency: str | None
) -> None:
    text = amount_text(exact_amount(number, currency))
    whole, _, fraction = text.partition(".")
    assert (whole + fraction).isdecimal()
    assert len(fraction) >= minor_digits(currency)
    assert len(fraction) == minor_digits(currency) or not fraction.endswith("0")
    assert Decimal(text) == number


def test_the_precision_of_the_decimal_context_never_rounds_an_amount() -> None:
    number = Decimal("12345678901234567890.12345678901234567890")
    with localcontext(prec=3):
        amount = exact_amount(number, "KES")
        text = amount_text(amount)
    assert text == "12345678901234567890.1234567890123456789"


def test_the_minor_digits_are_those_of_iso_4217() -> None:
    digits = {"KES": 2, "USD": 2, "UGX": 0, "RWF": 0, "JPY": 0, "KWD": 3, "TND": 3, "UYW": 4}
    assert {currency: minor_digits(currency) for currency in digits} == digits
    assert minor_digits(None) == 0
    assert all(len(currency) == 3 and currency.isupper() for currency in MINOR_DIGITS)


@pytest.mark.parametrize(
    ("amount", "currency", "exact"),
    [
        ("902.1", "KES", "902.10"),
        ("15000", "UGX", "15000"),
        ("15000.00", "UGX", "15000"),
        ("1.234", "KWD", "1.234"),
        ("0.0001", "CLF", "0.0001"),
    ],
)
def test_an_order_may_cost_what_its_currency_has_coins_for(
    amount: str, currency: str, exact: str
) -> None:
    assert str(registrable(Decimal(amount), currency)) == exact


@pytest.mark.parametrize(
    ("amount", "currency", "problem"),
    [
        ("902.105", "KES", "KES has at most 2 digits after the point, and 902.105 has more"),
        ("15000.50", "UGX", "UGX has no digits after the point, and 15000.5 has more"),
        ("1.2345", "KWD", "KWD has at most 3 digits after the point, and 1.2345 has more"),
        ("1", "XYZ", "XYZ is no currency of ISO 4217, such as KES"),
    ],
)
def test_no_order_costs_what_nobody_can_pay(amount: str, currency: str, problem: str) -> None:
    with pytest.raises(AmountError, match=f"^{problem}$"):
        registrable(Decimal(amount), currency)


def test_every_currency_whose_digits_are_known_is_one() -> None:
    assert set(MINOR_DIGITS) <= CURRENCIES
