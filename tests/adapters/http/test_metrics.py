"""GET /metrics: what Prometheus sees of a service, and what it never sees."""

import sqlite3
from pathlib import Path
from time import sleep

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.access import doorkeeper
from adapters.access.roles import Role
from adapters.evidence.sealer import Sealer
from adapters.secrets import new_api_token, token_sha256
from adapters.storage.access import Operation, TokenRow, TokenStore
from adapters.storage.log import StorageUnavailable, utc_now
from adapters.storage.sqlite_views import SQLiteViews
from adapters.telemetry.tally import Histogram
from projections.order_status import ORDER_STATUS
from tests.adapters.http.local import API_TOKEN, TOKENS, LocalService

Samples = dict[str, dict[tuple[str, ...], float]]


def samples(local: LocalService) -> Samples:
    """Every sample by its name, and by its labels in the order of their names."""
    response = local.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def happened(counts: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """What was counted at all."""
    return {labels: count for labels, count in counts.items() if count}


def test_deliveries_are_counted_by_provider_and_outcome(local: LocalService) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PAID")
    local.tell("2", "PENDING")
    local.deliver(b"no JSON", "sevi-uganda")
    found = samples(local)
    assert happened(found["order_ledger_deliveries_total"]) == {
        ("recorded", "sevi"): 2,
        ("duplicate", "sevi"): 1,
        ("quarantined", "sevi-uganda"): 1,
    }
    assert found["order_ledger_ack_seconds_count"][()] == 4
    assert 0 < found["order_ledger_ack_seconds_sum"][()] < 60
    assert found["order_ledger_batch_deliveries_sum"][()] == 4
    assert found["order_ledger_queue_deliveries"][()] == 0
    assert found["order_ledger_quarantine_deliveries"][()] == 1


def test_refusals_are_counted_and_name_no_provider_that_is_not_there(local: LocalService) -> None:
    local.run(local.post(b"{}", headers={"Authorization": "wrong"}))
    local.run(local.post(b"{}", "nobody-knows-it", headers={}))
    refused = samples(local)["order_ledger_refusals_total"]
    assert happened(refused) == {("sevi", "401"): 1, ("", "404"): 1}


def test_what_has_not_happened_is_told_as_none(local: LocalService) -> None:
    found = samples(local)
    providers = {"sevi", "sevi-uganda", "second"}
    outcomes = {"recorded", "duplicate", "stale", "conflict", "ignored", "quarantined"}
    delivered = dict.fromkeys(((o, p) for o in outcomes for p in providers), 0)
    assert found["order_ledger_deliveries_total"] == delivered
    refused = {("sevi", status): 0 for status in ("400", "401", "408", "413", "429", "503")}
    assert refused.items() <= found["order_ledger_refusals_total"].items()


def test_a_made_token_hears_that_the_database_is_down(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_api_token()
    digest = token_sha256(token.encode())
    row = TokenRow("prometheus", frozenset({Role.AUDITOR}), None, digest, utc_now())
    local.service.tokens.create(row, Operation("user alice", "command line", "tokens", "it"))

    def ask(path: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return local.run(local.http.get(path, headers=headers))

    assert ask("/metrics", token).status_code == 200
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    for of, name in ((TokenStore, "live"), (TokenStore, "note_use"), (SQLiteViews, "parked")):
        monkeypatch.setattr(of, name, _gone)
    assert ask("/orders", token).status_code == 503
    answer = ask("/metrics", token)
    assert answer.status_code == 200
    assert "order_ledger_storage_up 0.0" in answer.text
    assert ask("/metrics", new_api_token()).status_code == 503


def _gone(*_: object) -> None:
    raise StorageUnavailable("the disk is gone")


def test_read_models_tell_their_lag_and_their_drift(local: LocalService) -> None:
    local.tell("1", "PAID")
    local.settle()
    found = samples(local)
    each = {("order_status",): 0, ("audit_history",): 0, ("money",): 0}
    assert found["order_ledger_projection_lag_events"] == each
    assert found["order_ledger_projection_lag_seconds"] == each
    assert found["order_ledger_projection_parked"] == each
    assert found["order_ledger_projection_rebuild_due"] == each
    assert found["order_ledger_storage_up"][()] == 1
    path = local.service.settings.database_path
    assert path is not None
    views = sqlite3.connect(path.with_name("ledger-views.db"))
    views.execute("UPDATE order_status__g1 SET status = 'PAYMENT_FAILED'")
    views.commit()
    views.close()
    local.service.watch.check(ORDER_STATUS)
    drifting = samples(local)["order_ledger_projection_drifting_orders"]
    assert drifting[("order_status",)] == 1


def test_a_read_model_that_is_behind_tells_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteViews, "leads", lambda *_: False)  # another process does, it says
    with LocalService(tmp_path) as local:
        local.tell("1", "PAID")
        before = samples(local)
        sleep(0.05)
        later = samples(local)
    for name in ("order_status", "audit_history", "money"):
        assert before["order_ledger_projection_lag_events"][name,] == 2
        waits = [s["order_ledger_projection_lag_seconds"][name,] for s in (before, later)]
        assert 0 < waits[0] + 0.05 <= waits[1] < 60


def test_what_is_not_sealed_is_told_with_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sealer, "run", lambda *_: None)
    with LocalService(tmp_path) as local:
        local.tell("1", "PAID")
        found = samples(local)
        assert found["order_ledger_unsealed_events"][()] == 2
        assert 0 <= found["order_ledger_unsealed_seconds"][()] < 60
        assert found["order_ledger_sealing_stopped"][()] == 0
        local.service.evidence.set_problem("the key is missing")
        assert samples(local)["order_ledger_sealing_stopped"][()] == 1


def test_a_service_that_seals_nothing_tells_nothing_of_it(tmp_path: Path) -> None:
    with LocalService(tmp_path, seal_seconds=0) as local:
        local.tell("1", "PAID")
        assert not [name for name in samples(local) if "seal" in name]


def test_news_that_waits_for_its_order_is_counted(tmp_path: Path) -> None:
    with LocalService(tmp_path, require_registered_orders=True) as local:
        local.tell("1", "PAID")
        local.settle()
        found = samples(local)
        assert found["order_ledger_parked_orders"][()] == 1
        assert 0 <= found["order_ledger_parked_seconds"][()] < 60


def test_silent_providers_are_named(local: LocalService) -> None:
    silent = samples(local)["order_ledger_provider_silent"]
    assert silent == {("sevi",): 0, ("sevi-uganda",): 0, ("second",): 0}


def test_no_order_no_person_and_no_secret_is_in_the_figures(local: LocalService) -> None:
    local.tell("an-order-of-amina", "PAID", customer={"name": "Amina"})
    text = local.get("/metrics").text
    for word in ("amina", "Amina", API_TOKEN, *TOKENS.values()):
        assert word not in text


def test_a_bound_belongs_to_its_bucket_and_what_is_beyond_all_to_the_last() -> None:
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 2, 3):
        histogram.note(value)
    assert (histogram.counts, histogram.sum) == ([2, 1, 1], 6.5)
