"""Events of order 1 as a log could hold them, in as few words as a test needs."""

from decimal import Decimal
from typing import Any

from domain.events import (
    Delivered,
    DeliveryConflicted,
    Disposition,
    OrderPlaced,
    ParkedNewsMoved,
    PaymentFailed,
    PaymentReceived,
    PersonalDataErased,
    ReviewReason,
    ReviewRequired,
    ReviewResolved,
    Verdict,
)
from domain.payment import Payment, PaymentStatus
from tests.notices import NOON

S = PaymentStatus
APPLIED, NOTED, STALE, HELD, PARKED = Disposition
ID = "default/1"


def facts(version: int, status: PaymentStatus, fields: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "originator_id": ID,
        "originator_version": version,
        "provider": "sevi",
        "delivery_key": f"evt_{version}",
        "status": status,
        "raw_status": status.value,
        "received_at": NOON,
        "body_hash": f"{version:064x}",
    }
    return told | fields


def received(
    version: int,
    status: PaymentStatus = S.PAID,
    disposition: Disposition = APPLIED,
    **fields: Any,
) -> PaymentReceived:
    return PaymentReceived(**facts(version, status, fields), disposition=disposition)


def conflicted(version: int, original_version: int, **fields: Any) -> DeliveryConflicted:
    told = facts(version, S.FAILED, fields)
    return DeliveryConflicted(**told, original_version=original_version)


def delivered(version: int, caused_by: int, decision: int | None = None) -> Delivered:
    return Delivered(
        originator_id=ID, originator_version=version, caused_by=caused_by, decision=decision
    )


def failed(version: int, caused_by: int) -> PaymentFailed:
    return PaymentFailed(originator_id=ID, originator_version=version, caused_by=caused_by)


def review(
    version: int, caused_by: int, reason: ReviewReason = ReviewReason.REFUNDED
) -> ReviewRequired:
    return ReviewRequired(
        originator_id=ID, originator_version=version, caused_by=caused_by, reason=reason
    )


def placed(version: int, amount: str = "902.10") -> OrderPlaced:
    return OrderPlaced(
        originator_id=ID,
        originator_version=version,
        amount=Decimal(amount),
        currency="KES",
        by="token shop",
    )


def resolved(
    version: int,
    verdict: Verdict = Verdict.ACCEPTED,
    reason: ReviewReason = ReviewReason.UNDERPAID,
) -> ReviewResolved:
    return ReviewResolved(
        originator_id=ID,
        originator_version=version,
        review=reason,
        verdict=verdict,
        by="token ann",
        reason="the shop asked",
    )


def moved(version: int) -> ParkedNewsMoved:
    return ParkedNewsMoved(originator_id=ID, originator_version=version, to="2")


def erased(version: int) -> PersonalDataErased:
    return PersonalDataErased(
        originator_id=ID, originator_version=version, reason="he asked for it", by="user ann"
    )


def part(version: int, amount: str, **fields: Any) -> PaymentReceived:
    payment = Payment(ref="tx-1", status=S.PAID, amount=Decimal(amount))
    return received(version, currency="KES", payment=payment, **fields)
