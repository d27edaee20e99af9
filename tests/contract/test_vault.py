"""What may name a person is sealed, is found by hashes, and is gone with its key: on both
databases."""

import hashlib
import json
import os
import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from adapters.deliveries.intake import delivery_of
from adapters.deliveries.quarantine import CannotSettle, Quarantine
from adapters.evidence import verifying
from adapters.evidence.verifying import Verdict
from adapters.ledger.application import Receipt
from adapters.ledger.registering import Terms
from adapters.providers import Provider, Request
from adapters.queries.order_search import OrderFilter
from adapters.service import Service, providers
from adapters.settings import Settings
from adapters.vault import VaultTrouble, keys, rotating
from adapters.vault.dictionaries import common
from adapters.vault.keys import Drawn, Master, key_id
from adapters.vault.masters import MasterSource
from adapters.vault.rotating import Rotation
from domain.events import News, PersonalDataErased
from domain.payment import Outcome

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAMES = (b"Amina Otieno", b"+254700000000", b"C-17")
HEX = re.compile(rb"\\+x((?:[0-9a-f]{2})+)")
TYPED = "rent of Jane Wanjiku"


class Shop:
    """A ledger that is opened, and what its providers send."""

    def __init__(self, url: str, master: Path) -> None:
        tables: dict[str, Any] = {
            "sevi": {"tokens": ["token"]},
            "mpesa": {"kind": "mpesa", "tokens": ["s" * 32]},
        }
        self.url = url
        self.service = Service(
            Settings(
                database_url=url,
                providers=tables,
                master_key_file=master,
                seal_keys_file=master.with_name("seal.pem"),
            )
        )
        self.senders = providers(self.service.settings)

    def hears(self, provider: str, *bodies: bytes) -> list[Receipt]:
        sender: Provider = self.senders[provider]
        hashing = self.service.vault.hashing
        return self.service.ledger.record(
            [delivery_of(sender, Request([], body, NOW), "key", hashing) for body in bodies]
        )

    def destroy_key(self, stream: str) -> None:
        """What erasing an order does."""
        history = self.service.ledger.history(stream)
        tables = self.service.storage.vault
        with self.service.storage.evidence.transaction(commit=True) as c:
            if "sqlite" in self.url:
                c.execute("DROP TRIGGER order_keys_no_delete")
            else:
                c.execute("RESET ROLE")
            first = history[0].position.index
            c.execute(f"DELETE FROM {tables.schema}order_keys WHERE id = {first:d}")
            if "sqlite" not in self.url:
                c.execute("SET ROLE order_ledger_service")
        erased = PersonalDataErased(
            originator_id=stream,
            originator_version=history[-1].event.originator_version + 1,
            reason="she asked for it",
            by="user ann",
        )
        self.service.ledger.save(erased)

    def verdict(self) -> Verdict:
        self.service.sealer.seal()
        keys = self.service.signer.public_keys()
        vault = self.service.vault
        return verifying.verify(self.service.evidence, self.url, keys, vault=vault)

    def everything_at_rest(self) -> bytes:
        """All bytes that the database holds."""
        if "sqlite" in self.url:
            with self.service.storage.vault.transaction(commit=False) as c:
                c.execute("SELECT 1")
            folder = Path(self.url.removeprefix("sqlite:///")).parent
            return b"".join(p.read_bytes() for p in folder.iterdir() if "ledger.db" in p.name)
        import psycopg

        held = []
        with psycopg.connect(self.url) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'order_ledger%'"
            ).fetchall()
            for schema, table in tables:
                rows = connection.execute(f'SELECT t::text FROM "{schema}"."{table}" t'.encode())
                held += [str(row[0]).encode() for row in rows.fetchall()]
        raw = (bytes.fromhex(h.decode()) for one in held for h in HEX.findall(one))
        return b"\n".join([*held, *raw])  # bytea is shown in hexadecimal


@pytest.fixture
def master(tmp_path: Path) -> Path:
    return tmp_path / "master" / "keys.txt"


@pytest.fixture
def shop(url: str, master: Path) -> Iterator[Shop]:
    opened = Shop(url, master)
    yield opened
    opened.service.close()


def paid(shop: Shop, order_id: str = "1", status: str = "PAID") -> bytes:
    return shop.senders["sevi"].sample(order_id, status, NOW)


def typed(amount: str = "902.10") -> bytes:
    told = {"TransactionType": "Pay Bill", "TransID": "SAF7Q2L9YY", "TransTime": "20260105120000"}
    told |= {"TransAmount": amount, "BillRefNumber": TYPED, "MSISDN": "254700000001"}
    return json.dumps(told).encode()


def test_nothing_that_names_a_person_is_kept_in_clear(shop: Shop) -> None:
    bodies = [paid(shop), typed(), b"{ of Amina Otieno"]
    shop.hears("sevi", bodies[0], bodies[2])
    shop.hears("mpesa", bodies[1])
    shop.service.runner.catch_up()
    held = shop.everything_at_rest()
    assert b"PaymentReceived" in held
    assert shop.service.ledger.event_log.bodies([1])[0].sealed in held, "it would be seen here"
    for name in (*NAMES, TYPED.encode(), b"254700000001"):
        assert name not in held
    for body in bodies:
        for digest in (hashlib.sha256(body), hashlib.sha1(body), hashlib.md5(body)):
            assert digest.hexdigest().encode() not in held
            assert digest.digest() not in held


def test_while_the_key_is_there_all_can_be_read_and_found(shop: Shop) -> None:
    shop.hears("sevi", paid(shop))
    shop.hears("mpesa", typed())
    shop.service.runner.catch_up()
    queries = shop.service.queries
    news = queries.history("default", "1")
    assert news is not None
    assert news.events[0].body_sha256 == hashlib.sha256(paid(shop)).hexdigest()
    assert news.events[0].customer == "C-17"
    (found,) = queries.orders(OrderFilter(customer="C-17")).items
    assert found.order_id == "1"
    (waits,) = queries.orders(OrderFilter(reference=TYPED)).items
    assert queries.find("default", TYPED) == waits.order_id
    assert (waits.order_id.startswith("typed-"), waits.parked_since) == (True, NOW)
    told = queries.history("default", waits.order_id)
    assert told is not None
    assert (told.events[0].references, told.events[0].customer) == ([TYPED], "254700000001")
    assert shop.verdict().findings == []


def test_without_its_key_an_order_keeps_its_facts_only(shop: Shop) -> None:
    shop.hears("sevi", paid(shop), paid(shop, "2"))
    before = [event.event for event in shop.service.ledger.history("default/1")]
    shop.destroy_key("default/1")
    (again,) = shop.hears("sevi", paid(shop).replace(b"mangoes", b"melons"))
    (same,) = shop.hears("sevi", paid(shop))
    assert (again.outcome, same.outcome) == (Outcome.RECORDED, Outcome.DUPLICATE)
    history = [event.event for event in shop.service.ledger.history("default/1")]
    assert history[: len(before)] == before
    late = history[-1]
    assert isinstance(late, News)
    assert (late.body_digest, late.private, late.customer) == (None, None, None)
    shop.service.runner.catch_up()
    view = shop.service.queries.history("default", "1")
    assert view is not None
    assert {event.body_sha256 for event in view.events} == {None}
    assert {event.customer for event in view.events} == {None}
    order = shop.service.queries.order("default", "1")
    assert order is not None
    assert (order.erased, order.status) == (True, "DELIVERED")
    bundle = shop.service.bundler.bundle("default", "1", with_bodies=True)
    assert bundle is not None
    assert {event.body_salt for event in bundle.events} == {None}
    assert shop.service.bodies.kept_with([1, 2]).keys() == {2}, "the other order's is there"
    assert shop.verdict().findings == []


def test_a_key_that_is_gone_and_that_nobody_destroyed_is_named(shop: Shop) -> None:
    shop.hears("sevi", paid(shop))
    with shop.service.storage.evidence.transaction(commit=True) as c:
        if "sqlite" in shop.url:
            c.execute("DROP TRIGGER order_keys_no_delete")
        else:
            c.execute("RESET ROLE")
        c.execute(f"DELETE FROM {shop.service.storage.vault.schema}order_keys")
    (found,) = shop.verdict().findings
    assert (found.at, "nobody erased it" in found.problem) == ("delivery 1", True)


def test_the_key_of_an_erased_order_opens_nothing_where_it_came_back(shop: Shop) -> None:
    shop.hears("sevi", paid(shop, "1"), paid(shop, "2"))
    version = len(shop.service.ledger.history("default/1")) + 1
    told = {"reason": "she asked for it", "by": "user ann"}
    shop.service.ledger.save(
        PersonalDataErased(originator_id="default/1", originator_version=version, **told)
    )
    assert len(shop.service.storage.vault.keys_after("order_keys", 0, 3)) == 2, "its key is there"
    assert shop.service.bodies.kept_with([1, 2]).keys() == {2}
    assert shop.verdict().findings == []


def test_what_was_typed_is_taken_in_by_the_order_that_goes_by_it(shop: Shop) -> None:
    shop.hears("mpesa", typed())
    terms = Terms(amount="902.10", currency="KES", references=(TYPED,))
    placed = terms.placement("default", "42", Decimal(0), "token shop")
    (receipt,) = shop.service.ledger.execute([placed])
    assert isinstance(receipt, Receipt)
    assert receipt.order is not None
    assert (receipt.order.id, receipt.order.status) == ("default/42", "DELIVERED")
    shop.service.runner.catch_up()
    view = shop.service.queries.history("default", "42")
    assert view is not None
    news = next(event for event in view.events if event.type == "PaymentReceived")
    assert (news.references, news.customer) == ([TYPED], "254700000001")
    assert shop.verdict().findings == []


def test_what_was_set_aside_has_a_key_of_its_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.hears("sevi", b"{", b"[")
    with shop.service.storage.evidence.transaction(commit=True) as c:
        if "sqlite" in shop.url:
            c.execute("DROP TRIGGER order_keys_no_delete")
        else:
            c.execute("RESET ROLE")
        c.execute(f"DELETE FROM {shop.service.storage.vault.schema}body_keys WHERE id = 1")
    assert shop.service.bodies.kept_with([1, 2]).keys() == {2}
    quarantine = Quarantine(
        shop.service.ledger, shop.service.bodies, shop.senders, shop.service.operators
    )
    with pytest.raises(CannotSettle, match="cannot be read any more"):
        quarantine.replay(1)
    assert quarantine.replay(2).body == b"["


# ------------------------------------------------------------------------------------ master keys


def test_a_ledger_opens_with_its_own_master_key_or_not_at_all(url: str, master: Path) -> None:
    first = Shop(url, master)
    first.hears("sevi", paid(first))
    first.service.close()
    assert master.stat().st_mode & 0o777 == 0o600
    right = master.read_text()
    master.unlink()
    for wrong in (None, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"):
        if wrong is not None:
            master.touch(mode=0o600)
            master.write_text(wrong)
        shop = Shop(url, master)
        with pytest.raises(VaultTrouble, match="wrapped by the master key"):
            shop.service.vault.open()
        shop.service.close()
        assert (master.read_text() if master.exists() else None) == wrong, "no second is made"
    master.write_text(right)
    again = Shop(url, master)
    assert again.service.bodies.kept_with([1])[1].body == paid(again)
    again.service.close()


def test_a_rotation_goes_on_where_it_was_interrupted_beside_a_service(
    url: str, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "BATCH", 2)
    shop, operator = Shop(url, master), Shop(url, master)
    shop.hears("sevi", *(paid(shop, str(n)) for n in range(5)), b"{")
    old = master.read_text()
    rewrap = operator.service.storage.vault.rewrap
    calls = iter([1, 2])

    def killed(*told: Any) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        rewrap(*told)

    with monkeypatch.context() as patch:
        patch.setattr(operator.service.storage.vault, "rewrap", killed)
        with pytest.raises(KeyboardInterrupt):
            Rotation(operator.service.vault).run()
    shop.hears("sevi", paid(shop, "meanwhile"))
    assert len(shop.service.bodies.kept_with(range(1, 8))) == 7, "both master keys open"
    operator.service.close()

    operator = Shop(url, master)
    assert Rotation(operator.service.vault).run() == 7
    operator.service.close()
    assert master.read_text().endswith(old), "the one before it opens the backups from before"
    master.write_text(master.read_text().removesuffix(old))
    anew = Shop(url, master)
    assert len(anew.service.bodies.kept_with(range(1, 8))) == 7
    assert [row.retired_at is None for row in anew.service.storage.vault.masters()] == [False, True]
    (same,) = anew.hears("sevi", paid(anew, "meanwhile"))
    assert same.outcome is Outcome.DUPLICATE
    anew.service.close()
    shop.service.close()


def test_two_rotations_at_once_leave_every_master_key_in_the_file(
    url: str, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Shop(url, master)
    first.service.vault.open()
    first.service.close()
    operators = [Shop(url, master) for _ in range(2)]
    for operator in operators:
        operator.service.vault.open()
    both_read, write = Barrier(2), MasterSource.write

    def slowly(self: MasterSource, keys: Sequence[bytes]) -> None:
        with suppress(BrokenBarrierError):  # under the lock the other never comes
            both_read.wait(0.5)
        write(self, keys)

    monkeypatch.setattr(MasterSource, "write", slowly)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: Rotation(each.service.vault).run(), operators))
    for operator in operators:
        operator.service.close()
    again = Shop(url, master)
    again.service.vault.open()
    known = {row.key_id for row in again.service.storage.vault.masters()}
    in_file = again.service.vault.source.keys()
    assert known == set(map(key_id, in_file))
    again.service.close()


def test_no_file_of_master_keys_is_written_without_one_that_is_needed(
    url: str, master: Path
) -> None:
    shop = Shop(url, master)
    shop.service.vault.open()
    master.unlink()
    with pytest.raises(VaultTrouble, match="wrapped by the master key"):
        Rotation(shop.service.vault).run()
    assert not master.exists()
    shop.service.close()


def test_the_name_of_the_file_is_on_the_disk_before_the_ledger_knows_its_keys(
    master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, fsync = [], os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), master.parent.stat()):
            seen.append(master.read_text())

    monkeypatch.setattr(os, "fsync", watched)
    source = MasterSource(master)
    source.make()
    first = master.read_text()
    source.write([bytes(32)])
    assert seen == [first, master.read_text()]


def test_a_key_with_a_changed_master_number_stops_its_order_alone(shop: Shop) -> None:
    shop.hears("sevi", paid(shop, "1"), paid(shop, "2"))
    tables = shop.service.storage.vault
    (damaged, _) = tables.keys_after("order_keys", 0, 2)
    tables.rewrap("order_keys", [(damaged, b"\x08" + damaged.wrapped[1:])])
    later = Shop(shop.url, shop.service.vault.source.path)
    first, second = later.hears("sevi", paid(later, "1", "PENDING"), paid(later, "2", "PENDING"))
    assert (first.outcome, second.outcome) == (Outcome.QUARANTINED, Outcome.STALE)
    assert later.service.bodies.kept_with([1, 2]).keys() == {2}
    Rotation(later.service.vault).run()
    assert later.service.bodies.kept_with([1, 2]).keys() == {2}
    assert any("key" in str(finding) for finding in later.verdict().findings)
    later.service.close()


def test_a_key_opens_nothing_but_what_it_was_wrapped_for() -> None:
    from adapters.vault import Unopened

    one, other = Master(1, bytes(32), "ledger-a"), Master(1, bytes(32), "ledger-b")
    wrapped = one.wrap(b"k" * 32, b"order default/1")
    assert one.unwrap(wrapped, b"order default/1") == b"k" * 32
    for master_key, about in ((one, b"order default/2"), (other, b"order default/1")):
        with pytest.raises(Unopened):
            master_key.unwrap(wrapped, about)


def test_no_random_byte_that_was_drawn_ahead_is_given_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = count()
    monkeypatch.setattr(os, "urandom", lambda n: bytes(islice(numbers, n)))
    monkeypatch.setattr(keys, "DRAWN_BYTES", 50)
    drawn = Drawn()
    given = [drawn(n) for n in (32, 12, 12, 32, 12)]
    assert [len(piece) for piece in given] == [32, 12, 12, 32, 12]
    every = b"".join(given)
    assert len(set(every)) == len(every)
    with pytest.raises(AssertionError):
        drawn(51)


def test_of_a_duplicate_nothing_is_sealed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.hears("sevi", paid(shop))
    monkeypatch.setattr("adapters.ledger.protecting.body_digest", pytest.fail)
    monkeypatch.setattr("adapters.ledger.protecting.seal_private", pytest.fail)
    (again,) = shop.hears("sevi", paid(shop))
    assert again.outcome is Outcome.DUPLICATE


def test_the_keys_of_a_batch_and_their_nonces_all_differ(shop: Shop) -> None:
    orders = range(1, 41)
    shop.hears("sevi", *(paid(shop, str(n), "PENDING") for n in orders))
    log = shop.service.ledger.event_log
    wrapped = log.keys(orders)
    news = [shop.service.ledger.history(f"default/{n}")[0].event for n in orders]
    private = [event.private for event in news if isinstance(event, News) and event.private]
    nonces = [
        *(key[2:14] for key in wrapped.values()),
        *(b64decode(field)[:12] for field in private),
        *(body.sealed[4:16] for body in log.bodies(orders)),
    ]
    assert len(set(nonces)) == len(nonces) == 3 * len(orders)
    raw = {shop.service.vault.unwrap(wrapped[n], f"default/{n}")._raw for n in orders}
    assert len(raw) == len(orders)


# ----------------------------------------------------------------------------------- dictionaries


def test_a_dictionary_learns_no_name_in_capitals() -> None:
    def told(name: str, status: str) -> bytes:
        order = {"id": name, "paymentStatus": status}
        return json.dumps({"order": order, "customer": {"name": name, "city": "NAIROBI"}}).encode()

    statuses = ("PENDING", "PARTIALLY_PAID", "PAID", "REFUNDED", "DISPUTED") * 2
    bodies = [*(told("WANJIRU", s) for s in statuses), *(told(f"N{n}", "PAID") for n in range(10))]
    content = common(bodies)
    assert b'"city"' in content
    assert b'"PAID"' in content
    assert not [name for name in (b"WANJIRU", b"NAIROBI") if name in content]


def test_a_dictionary_holds_nothing_of_a_person_and_old_bodies_stay_readable(shop: Shop) -> None:
    bodies = [paid(shop, f"order-{n}") for n in range(40)]
    shop.hears("sevi", *bodies)
    content = common(bodies)
    assert b'"paymentStatus"' in content
    assert b'"PAID"' in content
    for name in (*NAMES, b"order-", b"ORD-", b"902"):
        assert name not in content
    before = shop.service.ledger.event_log.bodies([1])[0].sealed
    assert shop.service.storage.vault.add_dictionary("sevi", content, 40) == 1
    shop.service.vault.learn()
    shop.hears("sevi", paid(shop, "order-x"))
    after = shop.service.ledger.event_log.bodies([41])[0].sealed
    assert len(after) < len(before) < len(bodies[0])
    elsewhere = shop.service.bodies.kept_with([1, 41])
    assert elsewhere[1].body == bodies[0]
    assert elsewhere[41].body == paid(shop, "order-x")
