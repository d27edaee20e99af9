"""Erasure: what was told of a person is made unreadable, wherever this ledger keeps it.

An order's bodies and private fields are sealed under a key of its own, so its erasure is the end of
that key, in the transaction that says so in the log: facts, hashes and proofs stay as they are.
What lies outside of the order is looked for by its names, before these are forgotten: bodies that
were set aside have keys of their own, refused deliveries that are kept are deleted, and what
targets of effects answered is emptied. Read models hold no more than the facts. A process that dies
on the way has destroyed less than it should, never more: told again, the erasure does the rest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic, sleep
from typing import Literal

from pydantic import BaseModel

from adapters.access.roles import Caller
from adapters.erasure.mentions import Mention, Mentions, Names
from adapters.queries.order_search import OrderFilter
from adapters.service import Service
from adapters.storage.access import Operation
from adapters.vault.bodies import bounded
from domain.erasure import Erasure
from domain.log import Recorded, split_stream, stream_of
from domain.order import News, OrderEvent, OrderPlaced, ParkedNewsMoved, PersonalDataErased
from domain.payment import Outcome
from domain.registration import Unknown
from projections.model import State
from projections.order_status import ORDER_STATUS

SET_ASIDE = (Outcome.QUARANTINED, Outcome.IGNORED)
ORDERS_AT_ONCE = 100
DELIVERIES_AT_ONCE = 200
ACTION = "erase"  # as the operators' log calls it
CATCHING_UP_SECONDS = 10.0  # that the read model of orders is waited for


class NotUpToDate(Exception):
    """A customer's orders cannot be listed for sure; the message says why, and what helps."""


class ErasedOrder(BaseModel):
    """An order that is erased: `erased` now, or `unchanged` where it was before; `planned` in an
    answer that only says what would be done."""

    order_id: str
    store: str
    outcome: Literal["erased", "unchanged", "planned"]


class ErasureAnswer(BaseModel):
    """What an erasure did: the orders, with those whose parked news they took in; the deliveries
    that were set aside and cannot be read any more; how many refused ones were deleted.

    `look_at` and `look_at_refused` are deliveries that stay readable: perhaps they name whom it is
    about, perhaps a stranger; who knows erases one of the former by itself (`quarantine erase`).
    `left_to_do` says what the database could not do by itself, or is null."""

    orders: list[ErasedOrder]
    deliveries: list[int]
    refused_deliveries: int
    look_at: list[int]
    look_at_refused: list[int]
    left_to_do: str | None


@dataclass
class Plan:
    """What an erasure will destroy: the keys of orders, by their streams, those of bodies that were
    set aside, and refused deliveries. `look_at` and `look_at_refused` stay: only a person can tell
    whether they are about a stranger."""

    orders: dict[str, bool]  # whether it is erased already
    deliveries: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    look_at: list[int] = field(default_factory=list)
    look_at_refused: list[int] = field(default_factory=list)

    @property
    def streams(self) -> list[str]:
        """The orders whose key is still to be destroyed."""
        return [stream for stream, is_erased in self.orders.items() if not is_erased]

    @property
    def is_for_nothing(self) -> bool:
        """Whether there is nothing in it that was not erased before."""
        return not (self.streams or self.deliveries or self.refusals)

    def rest(self) -> "Plan":
        """The same without what was erased before."""
        return replace(self, orders=dict.fromkeys(self.streams, False))

    def erasures(self, by: str, reason: str) -> list[Erasure]:
        """The commands for the ledger's writer, one for each order; also for one that is erased,
        whose key a backup may have brought back."""
        return [
            Erasure(store=store, order_id=order_id, by=by, reason=reason)
            for store, order_id in map(split_stream, self.orders)
        ]


class Eraser:
    """Makes plans and carries them out, but for the commands, which the ledger's writer executes
    between `sweep` and `finish`. Every method blocks and raises `StorageUnavailable`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._log = service.ledger.event_log

    # -------------------------------------------------------------------------------------- plans

    def of_order(self, store: str, order_id: str) -> Plan:
        """What has to go for an order: its own key, and those of orders whose parked news it took
        in. Raises `Unknown`."""
        histories = self._family(store, order_id)
        if not histories:
            raise Unknown(self._other_names(store, order_id))
        return self._plan(store, histories, Names())

    def of_customer(self, store: str | None, customer: str) -> Iterator[Plan]:
        """The same for every order of a customer, some orders at a time, and at last for what was
        set aside and names the customer. Raises `NotUpToDate` where not every order is known that
        the log holds."""
        self._catch_up()
        after: str | None = None
        while True:
            wanted = OrderFilter(store=store, customer=customer)
            page = self._service.queries.orders(wanted, after, ORDERS_AT_ONCE)
            by_store: dict[str, dict[str, list[Recorded[OrderEvent]]]] = {}
            for order in page.items:
                family = self._family(order.store, order.order_id)
                by_store.setdefault(order.store, {}).update(family)
            for each, histories in by_store.items():
                yield self._plan(each, histories, Names())
            if page.next is None:
                break
            after = page.next
        yield self._plan(store, {}, Names(customers=frozenset([customer])))

    def _other_names(self, store: str, name: str) -> str:
        """Why there is no order of an id, and whose reference it is."""
        wanted = OrderFilter(store=store, reference=name)
        found = self._service.queries.orders(wanted, None, ORDERS_AT_ONCE).items
        if not found:
            return f"nothing is known of the order {name} of store {store}"
        ids = " and of ".join(order.order_id for order in found)
        of = "the order" if len(found) == 1 else "the orders"
        return f"{name} is a reference of {of} {ids} of store {store}: name the order by its id"

    def _catch_up(self) -> None:
        """See that the read model of orders is of this release, as a whole, and at the log's end.
        What an older fold made may lack customers; one that stands still lacks orders."""
        name, head = ORDER_STATUS.name, self._log.head()
        until = monotonic() + CATCHING_UP_SECONDS
        while True:
            self._service.runner.catch_up()
            live = [g for g in self._service.views.generations(name) if g.state is State.LIVE]
            for one in live:
                if (due := one.rebuild_due(ORDER_STATUS)) is not None:
                    raise NotUpToDate(
                        f"not every order of a customer may be found: {name} is due for a rebuild "
                        f"({due}). Run order-ledger projections rebuild {name}, switch to it where "
                        "it says so, and run this again"
                    )
                if head is None or (one.position is not None and one.position >= head):
                    return
            if monotonic() > until:
                at = ", ".join(str(one.position or "the beginning") for one in live)
                raise NotUpToDate(
                    f"not every order of a customer is found yet: {name} is at {at}, the log at "
                    f"{head}. See with order-ledger projections show {name} why, and run this "
                    "again"
                )
            sleep(0.1)

    def _family(self, store: str, order_id: str) -> dict[str, list[Recorded[OrderEvent]]]:
        """An order's history, and those of the orders whose parked news it took in, or which took
        in its own."""
        ledger = self._service.ledger
        found: dict[str, list[Recorded[OrderEvent]]] = {}
        waiting = [order_id]
        while waiting:
            named = waiting.pop()
            stream = stream_of(store, named)
            history = [] if stream in found else ledger.history(stream)
            if not history or (found and not _moved_between(found, history, named)):
                continue
            found[stream] = history
            waiting += [event.to for event in _moves(history)]
            waiting += self._log.names_of(store, named)
        return found

    def _plan(
        self,
        store: str | None,
        histories: dict[str, list[Recorded[OrderEvent]]],
        names: Names,
    ) -> Plan:
        plan = Plan({stream: _is_erased(history) for stream, history in histories.items()})
        for stream, history in histories.items():
            names |= self._names(stream, history)
        mentions = Mentions(names)
        idxs = [at.position.index for history in histories.values() for at in history]
        taken_in = self._taken_in(idxs)
        aside = dict(self._set_aside(store, mentions))
        aside.update(dict.fromkeys(taken_in, Mention.SURELY))
        plan.deliveries = _graded(aside, Mention.SURELY)
        plan.look_at = _graded(aside, Mention.PERHAPS)
        refused = {
            kept.id: min(mentions.in_body(kept.body), of)
            for kept in self._service.refusals.kept()
            if (of := self._of_store(store, kept.provider))
        }
        plan.refusals = _graded(refused, Mention.SURELY)
        plan.look_at_refused = _graded(refused, Mention.PERHAPS)
        return plan

    def _names(self, stream: str, history: Sequence[Recorded[OrderEvent]]) -> Names:
        """The names that an order, its payments and who buys go by, as long as its key tells."""
        orders, payments, customers = {split_stream(stream)[1]}, set[str](), set[str]()
        typed = set[str]()
        news = [at.event for at in history if isinstance(at.event, News)]
        for event in news:
            orders.update(event.references)
            if event.payment is not None:
                payments.add(event.payment.ref)
        for at in history:
            if isinstance(at.event, OrderPlaced):
                orders.update(at.event.references)
        for personal in self._service.bodies.private(news).values():
            typed.update(personal.references)
            if personal.customer is not None:
                customers.add(personal.customer)
        told = map(frozenset[str], (orders - typed, payments, customers, typed))
        return Names(*told)

    def _taken_in(self, idxs: Sequence[int]) -> list[int]:
        """The deliveries that were set aside before these events took them in."""
        found: list[int] = []
        for start in range(0, len(idxs), DELIVERIES_AT_ONCE):
            some = self._log.kept_with(idxs[start : start + DELIVERIES_AT_ONCE])
            found += self._service.vault.tables.with_own_key(sorted(set(some.values())))
        return found

    def _set_aside(self, store: str | None, mentions: Mentions) -> Iterator[tuple[int, Mention]]:
        """The deliveries that were set aside and can be read, and how surely they name what is
        looked for."""
        if not mentions:
            return
        before: int | None = None
        while True:
            rows = self._log.deliveries(SET_ASIDE, before, DELIVERIES_AT_ONCE)
            of = {row.id: self._of_store(store, row.provider) for row in rows}
            mine = [row for row in rows if row.has_body and of[row.id]]
            for some in bounded(mine):
                opened = self._service.bodies.kept_with([row.id for row in some])
                for number, body in opened.items():
                    yield number, min(mentions.in_body(body.body, body.context), of[number])
            if len(rows) < DELIVERIES_AT_ONCE:
                return
            before = rows[-1].id

    def _of_store(self, store: str | None, provider: str) -> Mention:
        """How sure it is that a provider's delivery is about this store: two stores may well call
        two orders alike. Of a provider that is not configured any more nobody knows."""
        configured = self._service.settings.providers.get(provider)
        if store is None:
            return Mention.SURELY
        if configured is None:
            return Mention.PERHAPS
        return Mention.SURELY if configured.store == store else Mention.NOT

    # --------------------------------------------------------------------------------------- deeds

    def sweep(self, caller: Caller, plan: Plan, what: str, reason: str) -> None:
        """Make unreadable what lies outside of the orders, and log who did, in one transaction."""
        service = self._service
        if not (plan.orders or plan.deliveries or plan.refusals):
            return
        told = Operation.by(caller, ACTION, what, reason)
        with service.vault.tables.transaction(commit=True) as c:
            service.vault.tables.destroy_body_keys(c, plan.deliveries)
            for store, order_id in map(split_stream, plan.orders):
                service.effects.forget_in(c, store, order_id)
            for number in plan.refusals:
                service.refusals.let_go_in(c, number)
            service.operators.append_in(c, told_of(told, plan))

    def finish(self, plans: Iterable[Plan]) -> str | None:
        """Once the commands are executed: forget what targets answered since the sweep, and let the
        database give up the bytes of what was destroyed; what it could not do, if anything."""
        service = self._service
        streams = [stream for plan in plans for stream in plan.orders]
        if streams:
            with service.vault.tables.transaction(commit=True) as c:
                for store, order_id in map(split_stream, streams):
                    service.effects.forget_in(c, store, order_id)
        return service.vault.tables.scrub()


def told_of(operation: Operation, plan: Plan) -> Operation:
    """An erasure as the operators' log tells it: what it destroys."""
    parts = [f"orders {', '.join(plan.streams) or 'none that was not erased before'}"]
    if plan.deliveries:
        parts.append(f"deliveries {', '.join(map(str, plan.deliveries))}")
    if plan.refusals:
        parts.append(f"refused deliveries {', '.join(map(str, plan.refusals))}")
    return replace(operation, outcome="; ".join(parts))


def answer_of(
    plans: Iterable[Plan], left_to_do: str | None = None, *, is_done: bool = True
) -> ErasureAnswer:
    """What was done, or would be, as programs see it."""
    orders: list[ErasedOrder] = []
    deliveries: list[int] = []
    refusals = 0
    look_at, look_at_refused = set[int](), set[int]()
    for plan in plans:
        for stream, was_erased in plan.orders.items():
            store, order_id = split_stream(stream)
            one = ErasedOrder(order_id=order_id, store=store, outcome="unchanged")
            if not was_erased:
                one.outcome = "erased" if is_done else "planned"
            orders.append(one)
        deliveries += plan.deliveries
        refusals += len(plan.refusals)
        look_at.update(plan.look_at)
        look_at_refused.update(plan.look_at_refused)
    return ErasureAnswer(
        orders=orders,
        deliveries=deliveries,
        refused_deliveries=refusals,
        look_at=sorted(look_at.difference(deliveries)),
        look_at_refused=sorted(look_at_refused),
        left_to_do=left_to_do,
    )


def _graded(found: Mapping[int, Mention], grade: Mention) -> list[int]:
    return sorted(number for number, mention in found.items() if mention is grade)


def _moves(history: Sequence[Recorded[OrderEvent]]) -> list[ParkedNewsMoved]:
    return [at.event for at in history if isinstance(at.event, ParkedNewsMoved)]


def _moved_between(
    found: dict[str, list[Recorded[OrderEvent]]],
    history: Sequence[Recorded[OrderEvent]],
    order_id: str,
) -> bool:
    """Whether parked news moved between this order and one of those that were found."""
    ids = {split_stream(stream)[1] for stream in found}
    into = any(event.to in ids for event in _moves(history))
    return into or any(event.to == order_id for each in found.values() for event in _moves(each))


def _is_erased(history: Sequence[Recorded[OrderEvent]]) -> bool:
    return any(isinstance(at.event, PersonalDataErased) for at in history)
