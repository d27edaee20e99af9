"""A page of large deliveries is shown without all of their bodies in memory."""

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.deliveries.intake import delivery_of
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from adapters.service import Service
from adapters.settings import Settings
from domain.payment import Outcome

MEGABYTE = 1024 * 1024
SEVI = Sevi("sevi", "default", [Secret("key", "token")])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    master, seal = tmp_path / "master-keys.txt", tmp_path / "seal-keys.pem"
    url = f"sqlite:///{tmp_path}/l.db"
    service = Service(Settings(database_url=url, master_key_file=master, seal_keys_file=seal))
    yield service
    service.close()


def test_digests_hold_one_body_at_a_time(service: Service) -> None:
    told = [json.dumps({"n": n, "pad": "x" * MEGABYTE}).encode() for n in range(20)]
    for raw in [*told, told[0]]:
        request = Request([], raw, datetime.now(UTC))
        service.ledger.record([delivery_of(SEVI, request, None, service.ledger.vault.hashing)])
    rows = service.ledger.event_log.deliveries(list(Outcome), None, 100)
    tracemalloc.start()
    try:
        digests = service.bodies.digests(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = [hashlib.sha256(raw).hexdigest() for raw in (*told, told[0])]
    assert [digests[row.id] for row in reversed(rows)] == expected
    assert peak < 5 * MEGABYTE
