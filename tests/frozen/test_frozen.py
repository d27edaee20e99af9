"""What earlier versions wrote is read, verified, rebuilt and proven by this one, and goes on."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.evidence import verifying
from adapters.evidence.notes import PublicKey, SignedCheckpoint
from adapters.read_models.rebuilding import Rebuild
from adapters.service import Service
from adapters.settings import Settings
from adapters.storage import postgres_schema, sqlite_schema
from domain.payment import Outcome
from projections.known import PROJECTIONS
from tests.frozen import make
from tests.frozen.shelf import BUNDLE, DUMP, LEDGER, PUBLIC_KEY, SHELF, put_out, told_by

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_bundle.py"
VERSIONS = sorted(path.name for path in SHELF.iterdir() if (path / "sqlite").is_dir())
# What stands on the shelf is never written again.
FROZEN = {
    ("v1", "sqlite"): "b5c91e7f47b467f4a7cb64064135164799b385eeac001d215e372788592cf2ec",
    ("v1", "postgres"): "4fbdfbda60cf11128b70a44887f1e335f0a67bc8b6d3c7111c59597b0e799459",
}


@pytest.fixture(params=[(v, d) for v in VERSIONS for d in ("sqlite", "postgres")], ids="-".join)
def frozen(request: pytest.FixtureRequest) -> Path:
    """The folder of a frozen ledger."""
    version, database = map(str, request.param)
    return SHELF / version / database


@pytest.fixture
def settings(frozen: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    empty = request.getfixturevalue("postgres_url") if frozen.name == "postgres" else ""
    return put_out(frozen.parent, frozen.name, tmp_path, empty)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    opened = Service(settings)
    yield opened
    opened.close()


def test_the_files_never_change(frozen: Path) -> None:
    name = LEDGER if frozen.name == "sqlite" else DUMP
    digest = hashlib.sha256((frozen / name).read_bytes()).hexdigest()
    assert digest == FROZEN[frozen.parent.name, frozen.name]


def test_it_is_read_as_its_writer_read_it(service: Service, frozen: Path) -> None:
    """Also rebuilt: read models are not on the shelf, so all of them are folded anew."""
    service.runner.catch_up()
    told = told_by(frozen.parent, frozen.name)
    now = json.loads(json.dumps(make.told_of(service)))
    assert _as_far_as(told["orders"], now["orders"]) == told["orders"]
    assert _as_far_as(told["payments"], now["payments"]) == told["payments"]
    for then, history in zip(told["histories"], now["histories"], strict=True):
        assert _as_far_as(then["events"], history["events"]) == then["events"]


def test_its_schema_is_that_of_a_new_ledger(service: Service) -> None:
    url = service.settings.database_url
    is_file = service.settings.database_path is not None
    assert (sqlite_schema if is_file else postgres_schema).check(url) == []


def _as_far_as(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is told now, without the fields that came later."""
    assert len(then) == len(now)
    return [{name: b[name] for name in a} for a, b in zip(then, now, strict=True)]


def test_every_kind_of_event_is_in_it(service: Service) -> None:
    stored = service.ledger.event_log.read(None, 1000)
    assert {at.event.topic for at in stored} >= {
        "PaymentReceived", "DeliveryConflicted", "OrderPlaced", "ReviewResolved",
        "ParkedNewsMoved", "PersonalDataErased", "Delivered", "PaymentFailed", "ReviewRequired",
    }  # fmt: skip


def test_it_is_verified_with_the_checkpoint_that_its_auditor_kept(
    service: Service, frozen: Path
) -> None:
    kept = SignedCheckpoint.parse(_bundle(frozen)["checkpoint"])
    keys = [PublicKey.parse((frozen / PUBLIC_KEY).read_text().strip())]
    url = service.settings.database_url
    service.sealer.seal()  # makes the tree anew where its file is gone
    verdict = verifying.verify(
        service.evidence, url, keys, kept_by_auditor=kept, vault=service.vault
    )
    assert verdict.is_sound, verdict.findings
    assert verdict.unsealed_events == 0


def test_a_rebuild_of_it_finds_no_difference(service: Service) -> None:
    service.runner.catch_up()
    for projection in PROJECTIONS:
        work = Rebuild(service.storage, projection)
        generation = work.build(1, service.settings.database_url, lambda done, of: None)
        report = work.compare(generation, 5)
        assert report.differences == 0, report
        assert sum(table.rows_new for table in report.tables)


def test_its_orders_are_proven_by_the_script(
    service: Service, frozen: Path, tmp_path: Path
) -> None:
    service.sealer.seal()
    now = service.bundler.bundle("default", make.HERO, with_bodies=False)
    assert now is not None
    made = json.loads(now.model_dump_json())
    assert [e["state"] for e in made["events"]] == [e["state"] for e in _bundle(frozen)["events"]]
    key = (frozen / PUBLIC_KEY).read_text().strip()
    for bundle in (made, _bundle(frozen)):
        path = tmp_path / "bundle.json"
        path.write_text(json.dumps(bundle))
        command = [sys.executable, "-P", str(SCRIPT), str(path), "--key", key]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_its_bodies_open_and_an_erased_one_does_not(service: Service) -> None:
    log = service.ledger.event_log
    rows = log.deliveries(list(Outcome), None, 1000)
    opened = {row.id: service.bodies.kept_with([row.id]) for row in rows if row.has_body}
    assert opened
    erased = [row for row in rows if row.stream == f"default/{make.ERASED}"]
    assert erased
    for row in erased:
        assert not service.bodies.kept_with([row.id])
    hero = [row for row in rows if row.stream == f"default/{make.HERO}" and row.has_body]
    assert all(opened[row.id] for row in hero)


def test_it_goes_on(settings: Settings) -> None:
    """What came then is a duplicate now, and what is new is recorded."""
    writer = make.Writer(settings)
    try:
        provider_says = make.sevi(make.HERO, "PAID", "902.10")
        writer.take("sevi", provider_says, make.sevi("F-900", "PAID", "1.00"))
        rows = writer.service.ledger.event_log.deliveries(list(Outcome), None, 2)
        assert [row.outcome for row in rows] == [Outcome.RECORDED, Outcome.DUPLICATE]
    finally:
        writer.service.close()


def _bundle(frozen: Path) -> Any:
    return json.loads((frozen / BUNDLE).read_text())
