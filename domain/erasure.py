"""What erases a person from an order: its key is destroyed, its facts stay.

Pure, like `domain.registration`: the command gives the event to append, or raises `Unknown`.
"""

from dataclasses import dataclass

from domain.events import PersonalDataErased
from domain.log import stream_of
from domain.registration import Unknown
from domain.state import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The wish to erase personal data of an order. The reason is kept for ever and names nobody."""

    store: str
    order_id: str
    by: str
    reason: str


def erase(order: Order, erasure: Erasure) -> tuple[PersonalDataErased, ...]:
    """Erase an order. Nothing follows where it was erased before. Raises `Unknown` where there is
    no such order."""
    assert order.id == stream_of(erasure.store, erasure.order_id), "another order's"
    if order.version == 0:
        raise Unknown(f"nothing is known of the order {erasure.order_id}")
    if order.erased:
        return ()
    return (
        PersonalDataErased(
            originator_id=order.id,
            originator_version=order.version + 1,
            by=erasure.by,
            reason=erasure.reason,
        ),
    )
