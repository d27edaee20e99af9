"""Folds with a difference, for tests: releases of `order_status` before and after a fix."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from domain.log import Recorded
from domain.order import Delivered, OrderEvent
from projections.model import AnyTable, Place, Row
from projections.order_status import ORDER_STATUS, OrderRow, fold


def forgetful(
    rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]
) -> Iterator[tuple[AnyTable, Row]]:
    """The fold before the fix: orders that end with a 3 are never delivered."""
    for table, row in fold(rows, recorded):
        is_hit = recorded.event.originator_id.endswith("3") and isinstance(
            recorded.event, Delivered
        )
        if is_hit and isinstance(row, OrderRow):
            yield table, row._replace(status="AWAITING_PAYMENT", delivered_at=None)
        else:
            yield table, row


def stumbling(
    rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]
) -> Iterator[tuple[AnyTable, Row]]:
    """A fold that one event brings down."""
    if recorded.position.index == 7:
        raise ValueError("a bug in the fold")
    yield from fold(rows, recorded)


BUGGY = replace(ORDER_STATUS, fold=forgetful)
STUMBLING = replace(ORDER_STATUS, fold=stumbling)
