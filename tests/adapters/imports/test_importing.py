"""What webhooks lost, brought in from an export: the same translation, the same decision."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.imports.exported import Exported, csv_rows, json_lines
from adapters.imports.importing import Import
from adapters.ledger.application import OrderLedger
from adapters.service import Service
from adapters.settings import Settings
from adapters.storage.log import LogEntry, VersionConflict
from domain.order import PaymentReceived
from domain.payment import Origin, Outcome
from tests.adapters.providers.sevi_bodies import bare
from tests.adapters.providers.tables import KINDS, NOON, configured

SIZE_MAX = 2**20
SEVI = configured("sevi")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = Service(Settings(database_url=f"sqlite:///{tmp_path / 'ledger.db'}"))
    yield opened
    opened.close()


def exported(*bodies: bytes) -> Iterator[Exported]:
    return json_lines(io.BytesIO(b"\n".join(bodies)), SIZE_MAX)


def imported(service: Service, *bodies: bytes, dry: bool = False) -> Import:
    taking = Import(service.ledger, SEVI, dry=dry)
    list(taking.take(exported(*bodies)))
    return taking


def rows(service: Service) -> list[Any]:
    return list(service.ledger.event_log.deliveries(list(Outcome), None, 1000))[::-1]


def test_what_was_lost_is_recorded_and_says_that_it_was_imported(service: Service) -> None:
    imported(service, bare("1", "PAID"))
    received, delivered = (one.event for one in service.ledger.history("default/1"))
    assert isinstance(received, PaymentReceived)
    assert (received.origin, received.key_id) == (Origin.IMPORT, None)
    assert type(delivered).__name__ == "Delivered"
    (row,) = rows(service)
    assert (row.origin, row.outcome, row.key_id) == (Origin.IMPORT, Outcome.RECORDED, None)


def test_the_history_says_how_news_came_in_and_with_which_secret(service: Service) -> None:
    imported(service, bare("1", "PAID"))
    service.runner.catch_up()
    history = service.queries.history("default", "1")
    assert history is not None
    news, delivered = history.events
    assert (news.origin, news.reconciled, news.key_id) == ("import", True, None)
    assert (delivered.origin, delivered.reconciled) == (None, False)


def test_an_import_can_be_repeated_and_changes_nothing(service: Service) -> None:
    news = [bare(str(n), "PAID") for n in range(3)]
    imported(service, *news)
    head = service.ledger.event_log.head()
    assert imported(service, *news).tally.outcomes == {Outcome.DUPLICATE: 3}
    assert service.ledger.event_log.head() == head


def test_what_cannot_be_read_is_quarantined_and_named_by_its_line(service: Service) -> None:
    taking = imported(service, bare("1", "PAID"), b"", b"{", b'{"x": 1}', bare("2", "PAID"))
    tally = taking.tally
    assert tally.outcomes == {Outcome.RECORDED: 2, Outcome.QUARANTINED: 2}
    assert [line for line, _ in tally.unread] == [3, 4]
    assert all(reason for _, reason in tally.unread)
    assert (tally.bodies, tally.last_line) == (4, 5)
    aside = [row.id for row in rows(service) if row.outcome is Outcome.QUARANTINED]
    kept = service.bodies.kept_with(aside)
    assert {opened.body for opened in kept.values()} == {b"{", b'{"x": 1}'}


def test_a_line_that_is_too_long_is_quarantined_with_its_beginning(service: Service) -> None:
    taking = Import(service.ledger, SEVI, dry=False)
    list(taking.take(json_lines(io.BytesIO(b"x" * 3000), 1024)))
    (row,) = rows(service)
    assert (row.outcome, row.body_bytes) == (Outcome.QUARANTINED, 1024)
    assert "1024" in str(row.reason)


def test_a_dry_run_tells_the_same_and_changes_nothing(service: Service) -> None:
    imported(service, bare("1", "PAID"))
    before = rows(service)
    news = [bare("1", "PAID"), bare("1", "PENDING"), bare("2", "PAID"), bare("2", "PAID"), b"{"]
    dry = imported(service, *news, dry=True)
    assert rows(service) == before
    assert dry.tally == imported(service, *news).tally
    assert dry.tally.outcomes == {
        Outcome.DUPLICATE: 2,
        Outcome.STALE: 1,
        Outcome.RECORDED: 1,
        Outcome.QUARANTINED: 1,
    }


def test_a_large_export_is_taken_in_bounded_batches(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.imports.importing.BATCH_COUNT", 10)
    sizes: list[int] = []
    append = service.ledger.event_log.append

    def watched(entries: list[LogEntry], master: int | None) -> Any:
        sizes.append(len(entries))
        return append(entries, master)

    monkeypatch.setattr(service.ledger.event_log, "append", watched)
    news = [bare(str(n), "PAID") for n in range(25)]
    taking = Import(service.ledger, SEVI, dry=False)
    whole = sum(map(len, news)) + 24
    assert list(taking.take(exported(*news)))[-1] == whole
    assert sizes == [10, 10, 5]
    monkeypatch.setattr("adapters.imports.importing.BATCH_BYTES", len(news[0]) * 2)
    imported(service, *(bare(f"x{n}", "PAID") for n in range(4)))
    assert max(sizes[3:]) == 2


def test_a_server_that_writes_the_same_orders_only_makes_it_wait(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.imports.importing.PAUSE_SECONDS", 0)
    record = OrderLedger.record
    lost = iter([True] * 3)

    def busy(self: OrderLedger, deliveries: Any) -> Any:
        if next(lost, False):
            raise VersionConflict("another writer was first")
        return record(self, deliveries)

    monkeypatch.setattr(OrderLedger, "record", busy)
    assert imported(service, bare("1", "PAID")).tally.outcomes == {Outcome.RECORDED: 1}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A body as the headings and cells of a CSV file."""
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from flat(one, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path, json.dumps(value) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_export_of_every_kind_delivers_the_order(
    service: Service, kind: str, form: str
) -> None:
    provider = configured(kind)
    # An M-Pesa confirmation names its order in the body; a push does so in its URL alone.
    sample = provider.sample("1001", "PARTIALLY_PAID" if kind == "mpesa" else "PAID", NOON)
    told = json.loads(sample)
    if form == "jsonl":
        raw = json.dumps(told).encode()
        found = json_lines(io.BytesIO(raw), SIZE_MAX)
    else:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerows(zip(*flat(told), strict=True))
        found = csv_rows(io.BytesIO(out.getvalue().encode()), SIZE_MAX)
    taking = Import(service.ledger, provider, dry=False)
    list(taking.take(found))
    assert taking.tally.unread == []
    assert taking.tally.outcomes == {Outcome.RECORDED: 1}
    (recorded,) = service.ledger.event_log.read(None, 9)[-1:]
    stream, topic = recorded.event.originator_id, recorded.event.topic
    if kind == "mpesa":  # which waits for the order that a payer may have meant
        assert str(stream).startswith("default/typed-")
        assert topic == "PaymentReceived"
    else:
        assert (stream, topic) == ("default/1001", "Delivered")
