"""The rules of an order once more, written from the design's table and not from the code.

It shares the vocabulary of `domain.payment` with what it checks, and nothing of `domain.order`.
"""

from dataclasses import dataclass, replace

from domain.payment import PaymentNotice, PaymentStatus

S = PaymentStatus
NO_MONEY_MOVED = {S.PENDING, S.FAILED, S.CANCELLED, S.EXPIRED}
STALE_AFTER_PAID = {*NO_MONEY_MOVED, S.PARTIALLY_PAID}


@dataclass(frozen=True)
class Model:
    """What the rules make of an order."""

    status: str = "AWAITING_PAYMENT"
    payment_status: str | None = None
    review: str | None = None
    provider: str | None = None
    paids: tuple[PaymentNotice, ...] = ()
    refunded: bool = False


def tell(order: Model, told: PaymentNotice) -> Model:
    """The order after news that is neither a duplicate nor a conflict."""
    if order.provider not in (None, told.provider):
        harmless = told.status in NO_MONEY_MOVED
        return order if harmless else replace(order, review="other_provider")
    order = replace(order, provider=told.provider)
    applied = replace(order, payment_status=told.status)
    match told.status:
        case S.UNRECOGNIZED:
            return replace(order, review="unrecognized_status")
        case S.REFUNDED | S.PARTIALLY_REFUNDED | S.DISPUTED:
            return replace(applied, refunded=True, review=told.status.lower())
        case S.PAID:
            paids = (*order.paids, told)
            if order.paids:
                return replace(order, paids=paids)
            if order.refunded:
                return replace(order, paids=paids, review="paid_after_refund")
            return replace(applied, paids=paids, status="DELIVERED")
        case S.CANCELLED | S.FAILED if contradicts(told, order.paids):
            return replace(order, review=f"{told.status.lower()}_after_paid")
        case _ if order.paids:
            return order
        case S.PENDING | S.PARTIALLY_PAID:
            return replace(applied, status="AWAITING_PAYMENT")
    return replace(applied, status="PAYMENT_FAILED")


def contradicts(told: PaymentNotice, paids: tuple[PaymentNotice, ...]) -> bool:
    """Whether a cancellation or a failure is about what a PAID told of, or later than each."""
    if told.status is S.CANCELLED:
        return bool(paids)
    if told.payment and told.payment.ref in {paid.payment.ref for paid in paids if paid.payment}:
        return True
    times = [paid.occurred_at for paid in paids if paid.occurred_at]
    return bool(times and told.occurred_at and told.occurred_at > max(times))
