"""The delivery log in the form that programs see: every authentic delivery, and what it met."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from adapters.storage.log import DeliveryRow
from domain.log import split_stream
from domain.payment import Origin, Outcome


class DeliveryView(BaseModel):
    """A row of the delivery log. `has_body` is false where the same bytes were kept before.

    `duration_ms` is the time from the door to the disk. `key_id` names the secret that verified
    the delivery, `replay_of` the delivery that it takes in again.
    """

    id: int
    received_at: datetime
    recorded_at: datetime
    provider: str
    outcome: Outcome
    position: str | None
    store: str | None
    order_id: str | None
    body_sha256: str
    reason: str | None
    address: str | None
    body_bytes: int | None
    key_id: str | None
    origin: Origin
    replay_of: int | None
    duration_ms: int
    has_body: bool


class WholeDelivery(DeliveryView):
    """A delivery with its body: as text where that is UTF-8, else in base64."""

    body_encoding: Literal["utf-8", "base64"] | None
    body: str | None


class DeliveryPage(BaseModel):
    """Deliveries, newest first; `next` is the `before` of the next page, or null."""

    items: list[DeliveryView]
    next: int | None


def delivery_page(rows: Sequence[DeliveryRow], limit: int) -> DeliveryPage:
    """A page of up to `limit` rows; one row more says that there is a next page."""
    items = [delivery_view(row) for row in rows[:limit]]
    return DeliveryPage(items=items, next=items[-1].id if len(rows) > limit else None)


def delivery_view(row: DeliveryRow) -> DeliveryView:
    """A row without its body."""
    store, order_id = split_stream(row.stream) if row.stream is not None else (None, None)
    return DeliveryView(
        id=row.id,
        received_at=row.received_at,
        recorded_at=row.recorded_at,
        provider=row.provider,
        outcome=row.outcome,
        position=str(row.position) if row.position else None,
        store=store,
        order_id=order_id,
        body_sha256=row.body_sha256,
        reason=row.reason,
        address=row.address,
        body_bytes=row.body_bytes,
        key_id=row.key_id,
        origin=row.origin,
        replay_of=row.replay_of,
        duration_ms=(row.recorded_at - row.received_at) // timedelta(milliseconds=1),
        has_body=row.has_body,
    )


def whole_delivery(row: DeliveryRow, body: bytes | None) -> WholeDelivery:
    """A row with its body."""
    encoding: Literal["utf-8", "base64"] | None = None
    text = None
    if body is not None:
        try:
            encoding, text = "utf-8", body.decode()
        except UnicodeDecodeError:
            encoding, text = "base64", base64.b64encode(body).decode()
    return WholeDelivery(**delivery_view(row).model_dump(), body_encoding=encoding, body=text)
