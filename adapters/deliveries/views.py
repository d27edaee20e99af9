"""The delivery log in the form that programs see: every authentic delivery, and what it met."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from adapters.deliveries.refusals import Retried
from adapters.ledger.application import OrderLedger, Receipt
from adapters.providers import Refused, Verified
from adapters.storage.log import DeliveryRow
from adapters.storage.refusals import KeptRefusal, RefusalRow
from adapters.vault.bodies import Bodies
from domain.log import split_stream
from domain.payment import Origin, Outcome

READ_BODY = "deliveries read body"  # as the operators' log calls it


class DeliveryView(BaseModel):
    """A row of the delivery log. `has_body` is false where the same bytes were kept before.
    `body_sha256` is null where the key of the body was destroyed: then nobody can tell it any more.

    `duration_ms` is the time from the door to the disk, null for what came by no door. `key_id`
    names the secret that verified the delivery, `replay_of` the delivery that it takes in again.
    """

    id: int
    received_at: datetime
    recorded_at: datetime
    provider: str
    outcome: Outcome
    position: str | None
    store: str | None
    order_id: str | None
    body_sha256: str | None
    reason: str | None
    address: str | None
    body_bytes: int | None
    key_id: str | None
    origin: Origin
    replay_of: int | None
    duration_ms: int | None
    has_body: bool


class WholeDelivery(DeliveryView):
    """A delivery with its body: as text where that is UTF-8, else in base64. A body that was kept
    and is null cannot be read any more: its key was destroyed."""

    body_encoding: Literal["utf-8", "base64"] | None
    body: str | None


class SetAside(WholeDelivery):
    """A delivery that was set aside, and the one that settled it, if one did. What is `erased`
    nobody can read any more, nor has to settle."""

    settled_by: DeliveryView | None
    erased: bool


class Settled(BaseModel):
    """What became of a delivery that was taken in again, or discarded.

    `outcome` is that of a webhook, or `discarded`; what is quarantined or ignored once more stays
    set aside, and `reason` says why. `position` is that of the last event that it appended.
    """

    delivery_id: int
    outcome: Outcome
    order_id: str | None
    order_status: str | None
    position: str | None
    reason: str | None


class NotSettled(BaseModel):
    """A delivery that could not be replayed at all, and why."""

    delivery_id: int
    problem: str


class SettledList(BaseModel):
    """What became of several deliveries that were to be taken in again."""

    items: list[Settled | NotSettled]


class RetriedView(BaseModel):
    """What became of a refused delivery: its outcome once it verified, or why it is refused."""

    id: int
    outcome: Outcome | None
    order_id: str | None
    order_status: str | None
    position: str | None
    refused: str | None


class RetriedList(BaseModel):
    """What became of refused deliveries that were verified again."""

    items: list[RetriedView]


class RefusalView(BaseModel):
    """Deliveries of a provider that did not authenticate, so many for this reason since the row
    before. The other fields tell of the last of them; `body_bytes` is null where nothing told how
    large a body was that was not read."""

    id: int
    at: datetime
    provider: str
    reason: str
    diagnosis: str
    address: str | None
    body_bytes: int | None
    count: int


class RefusalPage(BaseModel):
    """Refusals, newest first; `next` leads to the next page, or is null."""

    items: list[RefusalView]
    next: int | None


class KeptRefusalView(BaseModel):
    """A refused delivery that is kept whole, to be verified again; without its body."""

    id: int
    received_at: datetime
    provider: str
    reason: str
    address: str | None
    body_sha256: str
    body_bytes: int


class KeptRefusalList(BaseModel):
    """The refused deliveries that are kept whole, oldest first."""

    items: list[KeptRefusalView]


class Diagnosis(BaseModel):
    """Whether a live secret verifies a delivery, and which, or why none does."""

    verified: bool
    key_id: str | None
    reason: str | None
    diagnosis: str | None


class DeliveryPage(BaseModel):
    """Deliveries, newest first; `next` is the `after` of the next page, or null."""

    items: list[DeliveryView]
    next: int | None


def delivery_page(rows: Sequence[DeliveryRow], limit: int, bodies: Bodies) -> DeliveryPage:
    """A page of up to `limit` rows; one row more says that there is a next page."""
    digests = bodies.digests(rows[:limit])
    items = [delivery_view(row, digests.get(row.id)) for row in rows[:limit]]
    return DeliveryPage(items=items, next=items[-1].id if len(rows) > limit else None)


def delivery_view(row: DeliveryRow, sha256: str | None) -> DeliveryView:
    """A row without its body, and the sha256 of that."""
    store, order_id = split_stream(row.stream) if row.stream is not None else (None, None)
    took = (row.recorded_at - row.received_at) // timedelta(milliseconds=1)
    return DeliveryView(
        id=row.id,
        received_at=row.received_at,
        recorded_at=row.recorded_at,
        provider=row.provider,
        outcome=row.outcome,
        position=str(row.position) if row.position else None,
        store=store,
        order_id=order_id,
        body_sha256=sha256,
        reason=row.reason,
        address=row.address,
        body_bytes=row.body_bytes,
        key_id=row.key_id,
        origin=row.origin,
        replay_of=row.replay_of,
        duration_ms=took if row.origin is Origin.WEBHOOK else None,
        has_body=row.has_body,
    )


def settled(delivery_id: int, receipt: Receipt) -> Settled:
    """What a receipt says of the delivery that was replayed or discarded."""
    order = receipt.order
    return Settled(
        delivery_id=delivery_id,
        outcome=receipt.outcome,
        order_id=split_stream(order.id)[1] if order else None,
        order_status=order.status.value if order else None,
        position=str(receipt.position) if receipt.position else None,
        reason=receipt.reason,
    )


def retried_view(retried: Retried) -> RetriedView:
    """What became of a refused delivery."""
    receipt = retried.receipt
    order = receipt.order if receipt else None
    return RetriedView(
        id=retried.number,
        outcome=receipt.outcome if receipt else None,
        order_id=split_stream(order.id)[1] if order else None,
        order_status=order.status.value if order else None,
        position=str(receipt.position) if receipt and receipt.position else None,
        refused=retried.refused,
    )


def diagnosis(verdict: Verified | Refused) -> Diagnosis:
    """A verdict as programs see it."""
    if isinstance(verdict, Verified):
        return Diagnosis(verified=True, key_id=verdict.key_id, reason=None, diagnosis=None)
    told = {"reason": verdict.reason.value, "diagnosis": verdict.detail}
    return Diagnosis(verified=False, key_id=None, **told)


def refusal_page(rows: Sequence[RefusalRow], limit: int) -> RefusalPage:
    """A page of up to `limit` rows; one row more says that there is a next page."""
    items = [RefusalView(**asdict(row)) for row in rows[:limit]]
    return RefusalPage(items=items, next=items[-1].id if len(rows) > limit else None)


def kept_refusals(kept: Sequence[KeptRefusal]) -> KeptRefusalList:
    """What is kept whole, as it is listed."""
    return KeptRefusalList(
        items=[
            KeptRefusalView(
                id=one.id,
                received_at=one.received_at,
                provider=one.provider,
                reason=one.reason,
                address=one.address,
                body_sha256=hashlib.sha256(one.body).hexdigest(),
                body_bytes=len(one.body),
            )
            for one in kept
        ]
    )


def set_aside_view(whole: WholeDelivery, ledger: OrderLedger) -> SetAside:
    """A delivery that was set aside, and what became of it. Blocks."""
    row = ledger.event_log.settled_by(whole.id)
    by = delivery_view(row, whole.body_sha256) if row else None
    erased = bool(ledger.vault.tables.destroyed([whole.id]))
    return SetAside(**whole.model_dump(), settled_by=by, erased=erased)


def whole_delivery(row: DeliveryRow, bodies: Bodies, *, with_body: bool = True) -> WholeDelivery:
    """A row, with the body that it kept, where that is wanted."""
    opened = bodies.of_rows([row]).get(row.id)
    body = opened.body if opened and row.has_body and with_body else None
    encoding: Literal["utf-8", "base64"] | None = None
    text = None
    if body is not None:
        try:
            encoding, text = "utf-8", body.decode()
        except UnicodeDecodeError:
            encoding, text = "base64", base64.b64encode(body).decode()
    view = delivery_view(row, opened.sha256 if opened else None)
    return WholeDelivery(**view.model_dump(), body_encoding=encoding, body=text)
