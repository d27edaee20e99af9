"""A shop with a past: a running server whose ledger tells of three hours of payments.

The same every time, but for the clock: the past ends now. Names, amounts and secrets are invented.
"""

import json
import random
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.access.roles import COMMAND_LINE, Role
from adapters.deliveries.intake import delivery_of
from adapters.ledger.application import Receipt
from adapters.providers import Provider, Request, Secret, make_provider
from adapters.secrets import token_sha256
from adapters.service import Service, webhook_secrets
from adapters.settings import Settings, load_settings
from adapters.storage.access import Operation, TokenRow
from domain.registration import Placement
from tests.adapters.providers import sevi_bodies
from tests.releases import BUG, SMALL_STEPS, Changes, release
from tests.servers import RunningServer
from tests.web import Came, FakeServer, Reply

PAST = timedelta(hours=3)
ORDERS = 90
ADDRESS = "78.47.73.35"
HERO, HERO_REFERENCE = (
    "SO-10231",
    "SHOP-10231",
)  # registered, paid in the end, told of more often than was needed
UNDERPAID, CONFLICTING, REFUNDED = "SO-10240", "SO-10241", "SO-10242"
REFUSED_BY_SHOP = "SO-10250"  # the shop's own system wants nothing to do with it
UNREADABLE_TILL = ("T-501", "T-502")  # the till's first table named the wrong field

ADMIN = "console-admin-7d1f"  # configured: every role
AUDITOR, OPERATOR, UGANDA = "olt_auditor-44a1", "olt_operator-0b7c", "olt_uganda-92e3"
TOKENS = {
    "audit-2026": (AUDITOR, frozenset({Role.AUDITOR}), None),
    "night-shift": (OPERATOR, frozenset({Role.AUDITOR, Role.OPERATOR}), None),
    "uganda-desk": (UGANDA, frozenset({Role.AUDITOR, Role.OPERATOR}), "uganda"),
}
# Its rebuild takes as long as that of a larger ledger would, so that there is something to look at.
MENDED: Changes = {
    **SMALL_STEPS,
    "adapters/jobs.py": (
        'say("folding", done, of)',
        'say("folding", done, of); sleep(0.2)',
    ),
}
CONFIGURATION = """
api_tokens = ["{admin}"]
seal_seconds = 1
ledger_name = "ledger.example/2026"

[providers.sevi]
secrets = [{{ name = "2026-11", value = "sevi-token-new-51c" }},
           {{ name = "2026-05", value = "sevi-token-old-88d" }}]

[providers.stripe]
secrets = [{{ name = "endpoint", value = "whsec_invented-stripe-1" }}]

[providers.sevi-uganda]
kind = "sevi"
store = "uganda"
silence_seconds = 1800
secrets = [{{ name = "2026", value = "sevi-token-ug-3f0" }}]

[providers.till]
kind = "custom"
secrets = [{{ name = "till", value = "till-secret-29a" }}]
order_id = "data.order"
status = "data.state"
statuses = {{ PAID = ["settled"], PENDING = ["open"], FAILED = ["refused"] }}
amount = "data.total"
amount_unit = "minor"
currency = "data.currency"
occurred_at = "data.at"
delivery_id = "id"
payment_ref = "data.payment"

[providers.till.verify]
scheme = "hmac"
header = "X-Till-Signature"
algorithm = "sha256"
encoding = "hex"
message = "{{body}}"

[effects.shop]
kind = "webhook"
url = "{url}"
secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
on = ["Delivered"]
tries = 1
begin_after = "0-0"
"""


@dataclass
class Clock:
    """What time it is in the past that is being told."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


class Shop:
    """A folder with a configuration and a ledger that has a past, and later a server on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receiver = FakeServer(_receive)
        self.text = CONFIGURATION.format(admin=ADMIN, url=self.receiver.url)
        (folder / "order-ledger.toml").write_text(self.text)

    def tell_its_past(self) -> None:
        """Fill the ledger as webhooks would have, at the times at which they would have come."""
        tables = tomllib.loads(self.text)
        tables["providers"]["till"]["order_id"] = "data.reference"
        settings = load_settings(**tables, database_url=f"sqlite:///{self.folder}/var/ledger.db")
        service = Service(settings)
        try:
            Past(service, settings).tell()
        finally:
            service.close()

    def start(self, **env: str) -> RunningServer:
        """Start the server."""
        self.server = RunningServer(self.folder, env)
        return self.server

    def close(self) -> None:
        """Stop whatever runs."""
        if self.server.process.poll() is None:
            self.server.stop()
        self.receiver.close()


def _receive(came: Came) -> Reply:
    """The shop's own system takes every order but one, until it is asked by a person."""
    if came.json["data"]["order_id"] == REFUSED_BY_SHOP:
        return Reply(422, b'{"error": "no such order here"}')
    return Reply()


class Past:
    """Tells a ledger what happened, with the clock at the time at which it did."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._clock = Clock(datetime.now(UTC) - PAST)
        service.ledger.event_log._clock = self._clock  # type: ignore[attr-defined]
        self._chance = random.Random(20261124)
        self._created: dict[str, datetime] = {}
        self._providers: dict[str, tuple[Provider, tuple[Secret, ...]]] = {}
        for name, table in settings.providers.items():
            secrets = webhook_secrets(settings, name)
            self._providers[name] = (make_provider(name, table, secrets), secrets)

    def tell(self) -> None:
        """All of it."""
        self._make_tokens()
        began = self._clock.now
        step = (PAST - timedelta(minutes=5)) / ORDERS
        for number in range(ORDERS):
            planned = began + step * (number + self._chance.random())
            self._clock.now = max(self._clock.now, planned)
            self._order(number)
            if number == ORDERS // 2:
                self._hero()
                self._troubles()
        self._set_aside()

    def _make_tokens(self) -> None:
        for name, (token, roles, store) in TOKENS.items():
            digest = token_sha256(token.encode())
            row = TokenRow(name, roles, store, digest, self._clock.now, None)
            made = Operation("user root", COMMAND_LINE, "tokens create", f"token {name}")
            self._service.tokens.create(row, made)

    def _order(self, number: int) -> None:
        """One of many: most are paid, some fail, some wait."""
        order_id = f"SO-{10_100 + number}"
        amount = Decimal(self._chance.randrange(8_000, 950_000)) / 100
        if number % 3 == 1:
            for status in self._chance.choice([["PENDING", "PAID"], ["PAID"], ["FAILED"]]):
                self._stripe(order_id, status, amount)
            return
        if number % 10 == 3:
            self._till(f"T-{400 + number}", "PAID", amount, at_all="reference")
            return
        provider = "sevi-uganda" if number % 7 == 2 and number < ORDERS // 2 else "sevi"
        currency = "KES"
        if provider == "sevi-uganda":
            amount, currency = amount.quantize(Decimal(1)) * 30, "UGX"
        told = self._chance.choice([["PENDING", "PAID"]] * 4 + [["PENDING"], ["PENDING", "FAILED"]])
        for status in told:
            self._sevi(order_id, status, amount, provider, currency)
            self._wait(self._chance.uniform(2, 40))
        if number % 6 == 0:
            self._sevi(order_id, told[-1], amount, provider, currency)

    def _hero(self) -> None:
        """An order with everything that an order without trouble can have."""
        self._place(HERO, "902.10", HERO_REFERENCE)
        self._wait(35)
        self._sevi(HERO, "PENDING", Decimal("902.1"))
        self._wait(94)
        self._record("sevi", self._paid_by_mpesa(HERO, "902.1"))
        self._wait(3)
        self._sevi(HERO, "PAID", Decimal("902.1"))
        self._sevi(HERO, "PAID", Decimal("902.1"))
        self._wait(11)
        self._sevi(HERO, "PENDING", Decimal("902.1"), notes="sent late")

    def _troubles(self) -> None:
        """Orders that a person has to look at."""
        self._place(UNDERPAID, "4500.00", "SHOP-10240")
        self._sevi(UNDERPAID, "PAID", Decimal("450.00"))
        self._wait(20)
        self._stripe(CONFLICTING, "PAID", Decimal("1299.00"))
        self._stripe(CONFLICTING, "PAID", Decimal("12.99"))
        self._wait(20)
        self._sevi(REFUNDED, "PAID", Decimal("2750.5"))
        self._wait(60)
        self._sevi(REFUNDED, "REFUNDED", Decimal("2750.5"))
        self._sevi(REFUSED_BY_SHOP, "PAID", Decimal("318.25"))

    def _set_aside(self) -> None:
        """What could not be read, and what is no order's business."""
        for order_id in UNREADABLE_TILL:
            self._till(order_id, "PAID", Decimal("1280.00"))
            self._wait(15)
        self._record("sevi", b'{"order": {"id": "SO-10299", "paymentStatus": ["PAID"]}}')
        self._wait(9)
        self._record("sevi", b'{"order": {"paymentStatus": "PAID"')
        self._wait(9)
        topped_up = sevi_bodies.lone_transaction(orderId=None, description="Wallet top-up")
        self._record("sevi", topped_up)
        self._wait(30)

    def _place(self, order_id: str, amount: str, *references: str) -> None:
        self._service.ledger.execute(
            [
                Placement(
                    store="default",
                    order_id=order_id,
                    amount=Decimal(amount),
                    currency="KES",
                    references=references,
                    by="token shop-backend",
                )
            ]
        )

    def _sevi(
        self,
        order_id: str,
        status: str,
        amount: Decimal,
        provider: str = "sevi",
        currency: str = "KES",
        **more: Any,
    ) -> None:
        number = int(order_id.rpartition("-")[2])
        body = sevi_bodies.order_webhook(
            id=order_id,
            referenceNumber=f"ORD-{700_000 + number}",
            platformReference=f"SHOP-{number}",
            platformId=None,
            paymentStatus=status,
            amount=amount,
            originalAmount=amount,
            currency=currency,
            createdAt=_instant(self._created.setdefault(order_id, self._clock.now)),
            **more,
        )
        self._record(provider, body)

    def _paid_by_mpesa(self, order_id: str, amount: str) -> bytes:
        order = {"id": order_id, "amount": Decimal(amount), "paymentStatus": "PAID"}
        names = {"referenceNumber": "ORD-710231", "platformReference": HERO_REFERENCE}
        return sevi_bodies.linked_transaction(
            order | names,
            amount=Decimal(amount),
            orderId=order_id,
            createdAt=_instant(self._clock.now),
        )

    def _stripe(self, order_id: str, status: str, amount: Decimal) -> None:
        sender, _ = self._providers["stripe"]
        sample = sender.sample(order_id, status, self._clock.now)
        self._record("stripe", sample.replace(b"90210", str(int(amount * 100)).encode()))
        self._wait(4)

    def _till(self, order_id: str, state: str, amount: Decimal, at_all: str = "order") -> None:
        word = {"PAID": "settled", "PENDING": "open"}[state]
        data = {at_all: order_id, "state": word, "total": int(amount * 100), "currency": "KES"}
        data |= {"at": _instant(self._clock.now), "payment": f"pay-{order_id}"}
        self._record("till", json.dumps({"id": f"till-{order_id}", "data": data}).encode())

    def _record(self, name: str, body: bytes) -> Receipt:
        provider, secrets = self._providers[name]
        # The newer secret came into use in the middle of the past.
        is_new = len(secrets) == 1 or self._chance.random() < 0.8
        request = Request([], body, self._clock.now, client=ADDRESS)
        self._wait(self._chance.uniform(0.002, 0.02))
        hashing = self._service.vault.hashing
        delivery = delivery_of(provider, request, secrets[0 if is_new else 1].key_id, hashing)
        (receipt,) = self._service.ledger.record([delivery])
        return receipt

    def _wait(self, seconds: float) -> None:
        self._clock.now += timedelta(seconds=seconds)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def with_a_mended_fold(folder: Path) -> Iterator[Shop]:
    """A shop whose read models were folded with a bug, and whose release has mended it."""
    shop = Shop(folder)
    try:
        shop.tell_its_past()
        shop.start(PYTHONPATH=str(release(folder / "buggy", BUG)))
        shop.server.until(lambda: is_settled(shop.server))
        shop.server.stop()
        shop.start(PYTHONPATH=str(release(folder / "mended", MENDED)))
        yield shop
    finally:
        shop.close()


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    """A shop whose server runs, its read models up to the end of its past."""
    shop = Shop(folder)
    try:
        shop.tell_its_past()
        shop.start()
        shop.server.until(lambda: is_settled(shop.server))
        yield shop
    finally:
        shop.close()


def is_settled(server: RunningServer) -> bool:
    """Whether the read models are as far as the log, and everything is sealed."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    details = server.http.get("/health/ready", headers=headers).json().get("details", {})
    if not details:
        return False
    lags = [projection["lag"] for projection in details["projections"].values()]
    return not any(lags) and not details["evidence"]["unsealed_events"]
