"""The canary: the service with one fault built in. It acknowledges new deliveries before they are
committed, and is honest about everything else. The suite must catch it.

`python -m tests.crash.hasty serve` is `order-ledger serve` but for that.
"""

import asyncio

from adapters.cli.main import main
from adapters.ledger.application import Delivery, OrderLedger, Receipt
from adapters.ledger.group_commit import GroupCommit
from domain.log import stream_of
from domain.order import Decision, Order, decide, project
from domain.payment import Outcome, PaymentNotice

# However fast the machine, a kill finds something that is acknowledged and not yet committed.
HEAD_START_SECONDS = 0.05
commit_first = GroupCommit.submit
_under_way: dict[str, asyncio.Task[Receipt]] = {}


async def acknowledge_first(self: GroupCommit, delivery: Delivery) -> Receipt:
    """Answer what is new before its commit, and what is known as it should be."""
    under_way = _under_way.get(delivery.body_hash)
    if under_way is not None:
        await asyncio.wait([under_way])
        return await commit_first(self, delivery)
    ledger = self._commit.__self__  # type: ignore[attr-defined]
    assert isinstance(ledger, OrderLedger)
    (notice,) = delivery.notices
    order, decision = await asyncio.to_thread(_decide, ledger, notice)
    if decision.outcome is Outcome.DUPLICATE:
        return await commit_first(self, delivery)
    task = asyncio.get_running_loop().create_task(_commit_later(self, delivery))
    _under_way[delivery.body_hash] = task
    task.add_done_callback(lambda done: _forget(delivery, done))
    return Receipt(decision.outcome, order, None)


async def _commit_later(self: GroupCommit, delivery: Delivery) -> Receipt:
    await asyncio.sleep(HEAD_START_SECONDS)
    return await commit_first(self, delivery)


def _decide(ledger: OrderLedger, notice: PaymentNotice) -> tuple[Order, Decision]:
    stream = stream_of(notice.store, notice.order_id)
    events = (recorded.event for recorded in ledger.history(stream))
    order = project(None, events) or Order(stream)
    return order, decide(order, notice)


def _forget(delivery: Delivery, task: asyncio.Task[Receipt]) -> None:
    _under_way.pop(delivery.body_hash, None)
    if not task.cancelled():
        task.exception()


if __name__ == "__main__":
    GroupCommit.submit = acknowledge_first  # type: ignore[method-assign, assignment]
    main()
