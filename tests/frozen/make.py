"""Writes a ledger for the shelf: `python -m tests.frozen.make FOLDER`, once for each stored format.

The ledgers that stand there are never written again: they are what earlier versions left.
"""

import gzip
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.access.roles import user_of_this_process
from adapters.deliveries.intake import delivery_of
from adapters.erasure.erasing import Eraser
from adapters.ledger.application import Command
from adapters.providers import Request, make_provider
from adapters.queries.order_search import OrderFilter
from adapters.queries.payment_search import PaymentFilter
from adapters.service import Service, webhook_secrets
from adapters.settings import Settings
from domain.events import Verdict
from domain.registration import Placement, Resolution
from tests import postgres
from tests.adapters.providers import sevi_bodies
from tests.frozen.shelf import (
    BUNDLE,
    DUMP,
    LEDGER,
    MASTER_KEY,
    PUBLIC_KEY,
    SEAL_KEYS,
    TOLD,
    settings_of,
)  # fmt: skip

BEGAN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HERO, UNDERPAID, ERASED = "F-100", "F-101", "F-102"
CUSTOMER = "C-ERASED-1"


class Writer:
    """Tells a ledger a past, at times of its own."""

    def __init__(self, settings: Settings) -> None:
        self.service = Service(settings)
        self.now = BEGAN
        self.service.ledger.event_log._clock = lambda: self.now  # type: ignore[attr-defined]
        self._settings = settings

    def execute(self, *commands: Command) -> None:
        self.now += timedelta(seconds=7)
        self.service.ledger.execute(commands)

    def take(self, name: str, *bodies: bytes) -> None:
        """Take webhooks in, one after the other."""
        secrets = webhook_secrets(self._settings, name)
        provider = make_provider(name, self._settings.providers[name], secrets)
        for body in bodies:
            self.now += timedelta(seconds=5)
            request = Request([], body, self.now, client="127.0.0.1")
            hashing = self.service.vault.hashing
            self.execute(delivery_of(provider, request, secrets[0].key_id, hashing))

    def sample(self, name: str, order_id: str, status: str) -> bytes:
        """A provider's own sample of a webhook."""
        secrets = webhook_secrets(self._settings, name)
        provider = make_provider(name, self._settings.providers[name], secrets)
        return provider.sample(order_id, status, self.now)

    def tell(self) -> None:
        """Every kind of event, and every outcome of a delivery."""
        place = Placement(
            store="default", order_id=HERO, amount=Decimal("902.10"), currency="KES",
            references=("SHOP-100",), by="token shop",
        )  # fmt: skip
        self.execute(place)
        self.take("sevi", *[sevi(HERO, status, "902.10") for status in ("PENDING", "PAID")])
        self.take("sevi", sevi(HERO, "PAID", "902.10"), sevi(HERO, "PENDING", "902.10", notes="x"))
        less = Placement(
            store="default", order_id=UNDERPAID, amount=Decimal(4500), currency="KES",
            by="token shop",
        )  # fmt: skip
        self.execute(less)
        self.take("sevi", sevi(UNDERPAID, "PAID", "450.00"))
        self.execute(
            Resolution(
                store="default", order_id=UNDERPAID, version=3, verdict=Verdict.ACCEPTED,
                by="token desk", reason="the rest came in cash",
            )
        )  # fmt: skip
        customer = {
            "name": "Amina Erasable",
            "reference": CUSTOMER,
            "phoneNumbers": ["+254700000000"],
        }
        self.take("sevi", sevi(ERASED, "PENDING", "12.50"), sevi(ERASED, "PAID", "12.50"))
        self.take("sevi", sevi_bodies.linked_transaction({"id": ERASED}, orderId=ERASED))
        self.take(
            "sevi",
            json.dumps(
                {"order": {"id": ERASED, "paymentStatus": ["PAID"]}, "customer": customer}
            ).encode(),
        )
        for number, status in enumerate(("FAILED", "REFUNDED", "DELIVERED?", "PAID")):
            self.take("sevi", sevi(f"F-2{number}", status, "75.25"))
        self.take("sevi", sevi("F-20", "PAID", "75.25"), sevi("F-23", "REFUNDED", "75.25"))
        one = self.sample("stripe", "F-300", "PAID")
        self.take("stripe", one, one.replace(b"90210", b"90211"))
        self.take("mpesa", self.sample("mpesa", "F-400", "PARTIALLY_PAID"))  # typed by its payer
        self.take("mpesa", self.sample("mpesa", "F-401", "PARTIALLY_PAID"))
        typed = Placement(
            store="default", order_id="F-400", amount=Decimal("902.10"), currency="KES",
            by="token shop",
        )  # fmt: skip
        self.execute(typed)
        self.take(
            "sevi",
            b'{"order": {"paymentStatus": "PAID"',
            sevi_bodies.lone_transaction(orderId=None),
        )
        self.service.runner.catch_up()
        self.service.sealer.seal()
        self.erase()
        self.take("sevi", sevi(ERASED, "REFUNDED", "12.50"))  # facts only
        self.service.runner.catch_up()
        self.service.sealer.seal()

    def erase(self) -> None:
        eraser = Eraser(self.service)
        plan = eraser.of_order("default", ERASED)
        eraser.sweep(user_of_this_process(), plan, ERASED, "asked for it")
        self.execute(*plan.erasures("user frozen", "asked for it"))
        eraser.finish([plan])


def sevi(order_id: str, status: str, amount: str, **more: object) -> bytes:
    number = order_id.partition("-")[2]
    return sevi_bodies.order_webhook(
        id=order_id, referenceNumber=f"ORD-{number}", platformReference=None, platformId=None,
        paymentStatus=status, amount=Decimal(amount), originalAmount=Decimal(amount),
        currency="KES", **more,
    )  # fmt: skip


def told_of(service: Service) -> dict[str, object]:
    """What a ledger answers: its orders and all payment news, as people see them."""
    orders = service.queries.stream_orders(OrderFilter())
    payments = service.queries.stream_payments(PaymentFilter(), None, None)
    return {
        "orders": [order.model_dump(mode="json") for order in orders],
        "payments": [payment.model_dump(mode="json") for payment in payments],
        "histories": [
            history.model_dump(mode="json")
            for order in service.queries.stream_orders(OrderFilter())
            if (history := service.queries.history(order.store, order.order_id)) is not None
        ],
    }


def write(folder: Path, database: str, server: str) -> None:
    into = folder / database
    into.mkdir(parents=True)
    with TemporaryDirectory() as made, postgres.database(server) as url:
        work = Path(made)
        settings = settings_of(work, f"sqlite:///{work}/ledger.db" if database == "sqlite" else url)
        writer = Writer(settings)
        writer.tell()
        service = writer.service
        bundle = service.bundler.bundle("default", HERO, with_bodies=False)
        assert bundle is not None
        (into / BUNDLE).write_text(bundle.model_dump_json(indent=1) + "\n")
        (into / PUBLIC_KEY).write_text(f"{service.signer.public_keys()[0]}\n")
        pack(into / TOLD, json.dumps(told_of(service), indent=1).encode())
        service.close()
        for name in (MASTER_KEY, SEAL_KEYS):
            shutil.copy(work / name, into)
        if database == "sqlite":
            pack(into / LEDGER, (work / "ledger.db").read_bytes())
        else:
            pack(into / DUMP, dump(url))


def dump(url: str) -> bytes:
    """The log as statements that any client can execute. Read models are not in it."""
    program = postgres.binaries() / "pg_dump"
    command = [str(program), url, "--schema=order_ledger", "--inserts", "--no-owner"]
    text = subprocess.run(command, capture_output=True, check=True).stdout
    # Commands of psql, and a setting that older servers do not know.
    unwanted = (b"\\", b"SET transaction_timeout")
    return b"".join(x for x in text.splitlines(keepends=True) if not x.startswith(unwanted))


def pack(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0))


def main() -> None:
    folder = Path(sys.argv[1])
    with postgres.server() as server:
        for database in ("sqlite", "postgres"):
            write(folder, database, server)


if __name__ == "__main__":
    main()
