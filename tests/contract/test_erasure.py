"""Erasure, on both databases: nobody can read again what was told of a person, and every fact, hash
and proof stays."""

import base64
import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.deliveries.quarantine import CannotSettle, Quarantine
from adapters.effects.state import State
from adapters.erasure.erasing import Eraser, Plan
from adapters.evidence import verifying
from adapters.ledger.application import Delivery, Receipt
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from adapters.service import Service
from adapters.storage.access import Operation
from adapters.storage.effects import Attempt, NewEffect
from adapters.storage.refusals import KeptRefusal
from domain.events import PersonalDataErased
from domain.payment import Outcome
from domain.registration import Placement, Unknown
from projections.known import PROJECTIONS

ANN = Caller.with_every_role("user ann", "command line")
PERSON, PHONE, CUSTOMER = "Wanjiru Kamau", "+254700000111", "CUS-000017"
PERSONAL = (PERSON, PHONE, CUSTOMER)
SEVI = Sevi("sevi", "default", [Secret("key", "token")])


def another(service: Service) -> Service:
    """The same ledger, opened by another process."""
    return Service(service.settings)


def body(order_id: str, status: str = "PAID", customer: str = CUSTOMER, **more: Any) -> bytes:
    """A webhook of Sevi with a person in it."""
    person = {"name": PERSON, "phoneNumbers": [PHONE], "reference": customer}
    told = {"id": order_id, "paymentStatus": status, "referenceNumber": f"ORD-{order_id}"}
    return json.dumps({"order": told | more, "customer": person}).encode()


def delivery(service: Service, raw: bytes, **more: Any) -> Delivery:
    now = datetime.now(UTC)
    return delivery_of(SEVI, Request([], raw, now), None, service.ledger.vault.hashing, **more)


def tell(service: Service, *bodies: bytes) -> list[Receipt]:
    return service.ledger.record([delivery(service, raw) for raw in bodies])


def erase(service: Service, order_id: str = "100017", store: str = "default") -> Plan:
    eraser = Eraser(service)
    plan = eraser.of_order(store, order_id)
    eraser.sweep(ANN, plan, f"{store}/{order_id}", "request 7")
    service.ledger.execute(plan.erasures(ANN.who, "request 7"))
    assert eraser.finish([plan]) is None
    return plan


def readable(service: Service) -> dict[int, bytes]:
    """The bodies that can be read, by their delivery."""
    rows = service.ledger.event_log.deliveries(list(Outcome), None, 1000)
    return {number: one.body for number, one in service.bodies.of_rows(rows).items()}


def verify(service: Service) -> verifying.Verdict:
    service.sealer.seal()
    return verifying.verify(
        service.evidence,
        service.settings.database_url,
        service.signer.public_keys(),
        vault=service.vault,
    )


# ------------------------------------------------------------------------------------- one order


def test_an_erased_orders_bodies_and_names_cannot_be_read_and_its_facts_stay(
    service: Service,
) -> None:
    tell(service, body("100017", "PENDING"), body("100017"), body("200018"))
    assert len(readable(service)) == 3
    before = service.ledger.history("default/100017")
    assert erase(service).orders == {"default/100017": False}
    history = service.ledger.history("default/100017")
    assert history[:-1] == before
    erased = history[-1].event
    assert isinstance(erased, PersonalDataErased)
    assert (erased.by, erased.reason) == ("user ann", "request 7")
    assert list(readable(service).values()) == [body("200018")]
    service.runner.catch_up()
    order, told = (
        service.queries.order("default", "100017"),
        service.queries.history("default", "100017"),
    )
    assert order is not None
    assert told is not None
    assert (order.erased, order.status, order.references) == (True, "DELIVERED", ["ORD-100017"])
    assert not any(event.customer or event.body_sha256 for event in told.events)
    other = service.queries.history("default", "200018")
    assert other is not None
    assert other.events[0].customer == CUSTOMER


def test_erasing_twice_changes_nothing_and_an_unknown_order_is_told(service: Service) -> None:
    tell(service, body("100017"))
    erase(service)
    head = service.ledger.event_log.head()
    assert erase(service).orders == {"default/100017": True}
    assert service.ledger.event_log.head() == head
    with pytest.raises(Unknown, match="100018"):
        Eraser(service).of_order("default", "100018")
    with pytest.raises(Unknown):
        Eraser(service).of_order("elsewhere", "100017")


def test_an_erased_order_verifies_and_rebuilds(service: Service) -> None:
    tell(service, body("100017", "PENDING"), body("100017"), b"{", body("200018"))
    assert verify(service).is_sound
    first = service.evidence.last_checkpoint()
    erase(service)
    tell(service, body("100017", "FAILED"))
    verdict = verify(service)
    assert (verdict.is_sound, verdict.findings) == (True, [])
    assert verdict.bodies_opened
    assert first in list(service.evidence.checkpoints_before(None, 100))
    bundle = service.bundler.bundle("default", "100017")
    assert bundle is not None
    assert [event.topic for event in bundle.events][-2:] == [
        "PersonalDataErased",
        "PaymentReceived",
    ]
    assert not any(event.body_salt for event in bundle.events)
    service.runner.catch_up()
    for projection in PROJECTIONS:
        live = service.views.read(lambda reader: reader.live)[projection.name]
        assert live.position == service.ledger.event_log.head()


def test_later_news_of_an_erased_order_keeps_its_facts_only(service: Service) -> None:
    tell(service, body("100017", "PENDING"))
    erase(service)
    (paid,) = tell(service, body("100017"))
    assert paid.outcome is Outcome.RECORDED
    news = service.ledger.history("default/100017")[-2].event
    assert news.status == "PAID"  # type: ignore[attr-defined]
    hidden = (news.private, news.customer, news.body_digest)  # type: ignore[attr-defined]
    assert hidden == (None, None, None)
    assert readable(service) == {}
    (again,) = tell(service, body("100017"))
    assert again.outcome is Outcome.DUPLICATE
    assert verify(service).is_sound


@pytest.mark.parametrize("later", ["new", "repeated", "in other bytes"])
def test_a_process_that_holds_the_order_respects_anothers_erasure(
    service: Service, later: str
) -> None:
    first = body("100017", "PENDING")
    tell(service, first)  # the order and its key are held from now on
    other = another(service)
    erase(other)
    other.close()
    came = {
        "new": body("100017", "PAID"),
        "repeated": first,
        "in other bytes": first.replace(b'"order"', b' "order"'),
    }[later]
    told = delivery(service, came)
    if later == "in other bytes":
        for notice in told.notices:  # a provider that numbers its deliveries
            notice.delivery_key = service.ledger.vault.hashing.body(first)
    (receipt,) = service.ledger.record([told])
    assert receipt.outcome is (Outcome.RECORDED if later == "new" else Outcome.DUPLICATE)
    assert readable(service) == {}
    stored = service.ledger.event_log.bodies([2])
    assert list(stored) == [], "not even sealed under a key that only memory knows"
    assert verify(service).is_sound


def test_parked_news_is_forgotten_with_the_order_that_took_it_in(service: Service) -> None:
    strict = Service(service.settings.model_copy(update={"require_registered_orders": True}))
    tell(strict, body("SEVI-77"))
    placed = Placement(
        store="default",
        order_id="100017",
        amount=Decimal(5),
        currency="KES",
        references=("ORD-SEVI-77",),
        by="shop",
    )
    strict.ledger.execute([placed])
    assert len(readable(service)) == 1
    assert set(erase(service).orders) == {"default/100017", "default/SEVI-77"}
    assert readable(service) == {}
    assert verify(service).is_sound
    strict.close()


def test_a_body_of_several_orders_dies_with_any_of_them(service: Service) -> None:
    both = delivery(service, body("100017"))
    both.notices = (*both.notices, replace(both.notices[0], order_id="200018"))
    service.ledger.record([both])
    assert len(readable(service)) == 1
    erase(service)
    assert readable(service) == {}
    assert verify(service).is_sound


# ----------------------------------------------------------------------- what lies outside of it


def test_what_was_set_aside_and_names_it_is_forgotten(service: Service) -> None:
    tell(
        service,
        body("100017"),
        b'{"order": {"id": "100017", "name": "' + PERSON.encode(),  # broken off
        json.dumps({"event": "customer", "reference": CUSTOMER, "name": PERSON}).encode(),
        json.dumps({"order": {"number": "ORD-100017"}}).encode(),
        json.dumps({"order": {"number": "ORD-9100017"}}).encode(),
        b'{"another": "200018"',
    )
    plan = erase(service)
    assert plan.deliveries == [2, 3, 4]
    assert sorted(readable(service)) == [5, 6]
    quarantine = Quarantine(service.ledger, service.bodies, {"sevi": SEVI}, service.operators)
    with pytest.raises(CannotSettle, match="destroyed"):
        quarantine.replay(2)
    assert verify(service).is_sound


def test_another_stores_delivery_is_left_alone(service: Service) -> None:
    tell(service, body("100017"), b'{"order": {"id": "100017"')
    uganda = service.settings.providers["sevi"].model_copy(update={"store": "uganda"})
    other = Service(service.settings.model_copy(update={"providers": {"sevi": uganda}}))
    assert Eraser(other).of_order("default", "100017").deliveries == []
    other.close()


def test_a_body_that_was_set_aside_and_taken_in_later_is_forgotten(service: Service) -> None:
    raw = body("100017")
    delivered = delivery(service, raw)
    aside = Delivery("sevi", delivered.received_at, raw, delivered.body_hash, (), Outcome.IGNORED)
    service.ledger.record([aside])
    quarantine = Quarantine(service.ledger, service.bodies, {"sevi": SEVI}, service.operators)
    service.ledger.record([quarantine.replay(1)])
    assert sorted(readable(service)) == [1, 2]
    assert erase(service).deliveries == [1]
    assert readable(service) == {}
    assert verify(service).is_sound


def test_a_replay_that_turns_out_to_be_of_an_erased_order_forgets_its_body(
    service: Service,
) -> None:
    raw = body("100017", "PAID", numbers="\\u0031")
    tell(service, body("100017", "PENDING"))
    aside = delivery(service, raw)
    aside.notices, aside.outcome = (), Outcome.QUARANTINED
    quarantine = Quarantine(service.ledger, service.bodies, {"sevi": SEVI}, service.operators)
    eraser = Eraser(service)
    plan = eraser.of_order("default", "100017")
    service.ledger.execute(plan.erasures("ann", "why"))
    service.ledger.record([aside])
    assert sorted(readable(service)) == [2]
    (taken,) = service.ledger.record([quarantine.replay(2)])
    assert taken.outcome is Outcome.RECORDED
    assert readable(service) == {}
    assert verify(service).is_sound


def test_what_targets_answered_and_refused_deliveries_are_forgotten(service: Service) -> None:
    tell(service, body("100017"), body("200018"))
    said = f"no customer {PERSON}"
    attempt = Attempt(State.DEAD, datetime.now(UTC), "HTTP 400", said, None, 1, None)
    service.effects.register("shop", 0)
    for number, order in enumerate(("100017", "200018"), 1):
        new = NewEffect(f"e{number}", "default", order, 2, number * 2, "Delivered")
        assert service.effects.enqueue("shop", number - 1, number, [new])
        row = service.effects.get(f"e{number}")
        assert row is not None
        assert service.effects.settle(row, attempt)
    now = datetime.now(UTC)
    for raw in (body("100017"), body("300019", customer="CUS-2")):
        service.refusals.add([], [KeptRefusal(now, "sevi", "wrong_secret", None, [], raw)])
    plan = erase(service)
    assert len(plan.refusals) == 1
    assert [kept.body for kept in service.refusals.kept()] == [body("300019", customer="CUS-2")]
    rows = [service.effects.get(f"e{n}") for n in (1, 2)]
    assert [row and row.excerpt for row in rows] == [None, said]
    assert [row and row.state for row in rows] == [State.DEAD, State.DEAD]
    # And what a target answers to a retry after that.
    service.effects.retry(["e1"], Operation.by(ANN, "effects retry", "e1"))
    row = service.effects.get("e1")
    assert row is not None
    assert service.effects.settle(row, attempt)
    row = service.effects.get("e1")
    assert row is not None
    assert (row.answer, row.excerpt) == ("HTTP 400", None)


def test_the_operators_log_tells_who_erased_what(service: Service) -> None:
    tell(service, body("100017"), b'{"orderId": "100017')
    erase(service)
    (row,) = service.operators.page(None, 10)
    assert (row.who, row.action, row.object, row.reason) == (
        "user ann",
        "erase",
        "default/100017",
        "request 7",
    )
    assert row.outcome == "orders default/100017; deliveries 2"


# ----------------------------------------------------------------------------------- a customer


def test_a_customer_is_erased_over_all_orders(service: Service) -> None:
    orders = [f"10{n:04d}" for n in range(7)]
    tell(service, *(body(order) for order in orders), body("200018", customer="CUS-000018"))
    tell(service, json.dumps({"wallet": {"customer": CUSTOMER}}).encode(), b'"CUS-000018')
    service.runner.catch_up()
    eraser = Eraser(service)
    plans = []
    for plan in eraser.of_customer(None, CUSTOMER):
        plans.append(plan)
        eraser.sweep(ANN, plan, "a customer", "request 7")
        service.ledger.execute(plan.erasures(ANN.who, "request 7"))
    assert sorted(s for plan in plans for s in plan.streams) == [f"default/{o}" for o in orders]
    assert sorted(readable(service)) == [8, 10]
    service.runner.catch_up()
    (left,) = eraser.of_customer("elsewhere", CUSTOMER)
    assert (left.orders, left.deliveries) == ({}, [])
    again = list(eraser.of_customer(None, CUSTOMER))
    assert [stream for plan in again for stream in plan.streams] == []
    assert verify(service).is_sound


# --------------------------------------------------------------------------------- who may destroy


def test_a_key_goes_with_its_erasure_alone(service: Service) -> None:
    tell(service, body("100017"))
    if service.settings.database_path is not None:
        destroy = "DELETE FROM order_keys"
    else:
        destroy = "SELECT order_ledger.destroy_keys(0, ARRAY[1::bigint])"
    for statement in (destroy, "DELETE FROM " + service.vault.tables.schema + "order_keys"):
        with (
            pytest.raises(PersistenceError),
            service.vault.tables.transaction(commit=True) as c,
        ):
            c.execute(statement)
    assert len(readable(service)) == 1


def test_a_key_that_a_backup_brings_back_is_destroyed_again(service: Service) -> None:
    tell(service, body("100017"))
    (key,) = service.ledger.event_log.keys([1]).values()
    erase(service)
    path = service.settings.database_path
    if path is not None:
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("INSERT INTO order_keys VALUES (1, ?)", (key,))
    else:
        with psycopg.connect(service.settings.database_url) as connection:
            connection.execute("INSERT INTO order_ledger.order_keys VALUES (0, 1, %s)", (key,))
    other = another(service)
    (receipt,) = tell(other, body("100017", "FAILED"))
    assert receipt.outcome is Outcome.STALE
    assert readable(other) == {}, "an order that is erased has no key, wherever one lies"
    assert other.ledger.event_log.keys([1]), "but it is there"
    erase(other)
    assert not other.ledger.event_log.keys([1])
    assert readable(other) == {}
    other.close()


# ------------------------------------------------------------------------------------ what is left


def test_no_byte_on_the_disk_gives_the_person_back(service: Service) -> None:
    raw = body("100017")
    tell(service, raw, b'{"orderId": "100017", "name": "' + PERSON.encode())
    tell(service, *(body(str(n), customer=f"CUS-{n}") for n in range(300000, 300050)))
    verify(service)
    service.runner.catch_up()
    keys = [*service.ledger.event_log.keys([1]).values()]
    own = service.vault.tables.body_key(2)
    assert own is not None
    digest = hashlib.sha256(raw).hexdigest()
    traces = [
        *(text.encode() for text in PERSONAL),
        digest.encode(),
        bytes.fromhex(digest),
        base64.b64encode(raw)[:40],
    ]
    on_disk = bytes_on_disk(service)
    assert not [trace for trace in traces if trace in on_disk], "sealed from the beginning"
    assert all(key in on_disk for key in (*keys, own))
    erase(service)
    service.runner.catch_up()
    on_disk = bytes_on_disk(service)
    assert not [trace for trace in traces if trace in on_disk]
    assert not [key for key in (*keys, own) if key in on_disk]
    assert verify(service).is_sound


def bytes_on_disk(service: Service) -> bytes:
    """All that the database keeps of its tables in files; of PostgreSQL, without its write-ahead
    log, which it writes over in its own time."""
    path = service.settings.database_path
    if path is not None:
        return b"".join(file.read_bytes() for file in sorted(path.parent.glob("l*.db*")))
    with psycopg.connect(service.settings.database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        folder, tables = connection.execute(
            "SELECT current_setting('data_directory'), array_agg(pg_relation_filepath(c.oid)) "
            "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname LIKE 'order_ledger%' AND pg_relation_filepath(c.oid) IS NOT NULL"
        ).fetchone() or ("", [])
    return b"".join((Path(folder) / table).read_bytes() for table in tables)
