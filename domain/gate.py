"""The money gate: whether the money that came is what a registered order is to be paid.

Money is counted per (provider, payment ref), each once, with its latest status and amount.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from domain.events import News, OrderPlaced, ReviewReason
from domain.money import exact_sum
from domain.payment import PaymentNotice, PaymentStatus

S = PaymentStatus
# In the order in which they are looked for; the texts are the README's.
MISMATCHES: Mapping[ReviewReason, str] = MappingProxyType(
    {
        ReviewReason.AMOUNT_MISSING: "no amount was told",
        ReviewReason.CURRENCY_MISSING: "no currency was told",
        ReviewReason.WRONG_CURRENCY: "another currency than the registered one",
        ReviewReason.UNDERPAID: "less than the registered amount, by more than the tolerance",
        ReviewReason.OVERPAID: "more than the registered amount, by more than the tolerance",
    }
)


class Movement(NamedTuple):
    """What is known last of one movement of money."""

    status: PaymentStatus
    amount: Decimal | None
    currency: str | None
    occurred_at: datetime | None


PaymentRef = tuple[str, str]  # (provider, ref)
Movements = Mapping[PaymentRef, Movement]
Told = News | PaymentNotice
Piece = tuple[Decimal | None, str | None]  # an amount and its currency


def with_movement(movements: Movements, told: Told) -> Movements:
    """The movements of an order after news of one; the same where it tells of none."""
    payment = told.payment
    if payment is None:
        return movements
    ref = (told.provider, payment.ref)
    before = movements.get(ref)
    after = Movement(payment.status, payment.amount, told.currency, told.occurred_at)
    if before is not None:
        if _is_older(after, before):
            return movements
        after = after._replace(
            amount=before.amount if after.amount is None else after.amount,
            currency=after.currency or before.currency,
            occurred_at=after.occurred_at or before.occurred_at,
        )
    return {**movements, ref: after}


def _is_older(after: Movement, before: Movement) -> bool:
    """Whether news of a payment comes too late: it happened earlier, or it only says that the
    payment is under way, which was so before whatever is known."""
    if after.occurred_at is not None and before.occurred_at is not None:
        return after.occurred_at < before.occurred_at
    return after.status is S.PENDING


def mismatch(placed: OrderPlaced, movements: Movements, paid: Told) -> ReviewReason | None:
    """Why the money that a PAID confirms is not the registered order's, or None where it is.

    A PAID that names a payment confirms the sum of the completed ones, itself among the movements;
    one that tells the order's state only, the amount that it tells.
    """
    pieces = _completed(movements) if paid.payment is not None else []
    if not pieces or any(amount is None for amount, _ in pieces):
        pieces = [(paid.amount, paid.currency)]
    return _judge(placed, pieces)


def completes(placed: OrderPlaced, movements: Movements, part: Told) -> bool:
    """Whether a part payment, itself among the movements, brings the sum to the registered amount
    or above it."""
    if part.payment is None or part.payment.status is not S.PAID:
        return False
    pieces = _completed(movements)
    return bool(pieces) and _judge(placed, pieces) in (None, ReviewReason.OVERPAID)


def _completed(movements: Movements) -> list[Piece]:
    return [(m.amount, m.currency) for m in movements.values() if m.status is S.PAID]


def _judge(placed: OrderPlaced, pieces: Iterable[Piece]) -> ReviewReason | None:
    amounts, currencies = zip(*pieces, strict=True)
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        return ReviewReason.AMOUNT_MISSING
    if None in currencies:
        return ReviewReason.CURRENCY_MISSING
    if set(currencies) != {placed.currency}:
        return ReviewReason.WRONG_CURRENCY
    total = exact_sum(known)
    if exact_sum([total, placed.tolerance]) < placed.amount:
        return ReviewReason.UNDERPAID
    if total > exact_sum([placed.amount, placed.tolerance]):
        return ReviewReason.OVERPAID
    return None
