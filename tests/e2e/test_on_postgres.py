"""The whole service on PostgreSQL: several web processes, and a server that goes away."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.postgres import Cluster, private_cluster
from tests.servers import RunningServer

VARIABLE = "ORDER_LEDGER_DATABASE_URL"


@pytest.fixture
def workers(tmp_path: Path, postgres_url: str) -> Iterator[RunningServer]:
    """A server of three web processes."""
    arguments = ("--port", "0", "--workers", "3")
    running = RunningServer(tmp_path, {VARIABLE: postgres_url}, arguments)
    yield running
    assert running.stop() == 0, "they were asked to stop, and did"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that the test may stop."""
    with private_cluster() as started:
        yield started


def _body(order_id: str, **more: object) -> str:
    return json.dumps({"orderId": order_id, "orderPayment": "PAID", **more})


def _post(server: RunningServer, body: str) -> httpx.Response:
    """Over a connection of its own, so that any of the processes may get it."""
    headers = {"Authorization": server.webhook_token}
    return httpx.post(f"{server.url}/webhooks/sevi", content=body, headers=headers, timeout=30)


def test_processes_that_race_for_an_order_deliver_it_once(workers: RunningServer) -> None:
    bodies = [_body(f"o-{order}", n=n) for order in range(8) for n in range(8)] * 2
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda body: _post(workers, body), bodies))
    assert {answer.status_code for answer in answers} == {200}
    outcomes = [answer.json()["outcome"] for answer in answers]
    assert (outcomes.count("recorded"), outcomes.count("duplicate")) == (64, 64)
    head = workers.get("/health/ready").json()["details"]["head"]
    for order in range(8):
        workers.get(f"/orders/o-{order}", min_position=head).raise_for_status()
        events = workers.get(f"/orders/o-{order}/history").json()["events"]
        types = [event["type"] for event in events]
        assert (types.count("PaymentReceived"), types.count("Delivered")) == (8, 1)


def test_whichever_process_is_asked_counts_the_deliveries_of_all(workers: RunningServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: _post(workers, _body(f"o-{n}")), range(40)))
    told = 'order_ledger_deliveries_total{outcome="recorded",provider="sevi"} 40.0'
    headers = {"Authorization": f"Bearer {workers.api_token}"}

    def all_tell() -> bool:
        """Over connections of their own, so that each of the processes gets some."""
        asked = [httpx.get(f"{workers.url}/metrics", headers=headers, timeout=30) for _ in range(9)]
        return all(told in answer.text for answer in asked)

    workers.until(all_tell)


def test_every_process_knows_a_new_token_and_forgets_a_revoked_one(workers: RunningServer) -> None:
    make = ("tokens", "create", "--name", "books", "--role", "auditor")
    headers = {"Authorization": f"Bearer {workers.command(*make).strip()}"}

    def all_answer(status: int) -> bool:
        """Over connections of their own, so that each of the processes gets some."""
        asked = [httpx.get(f"{workers.url}/orders", headers=headers, timeout=30) for _ in range(20)]
        return {answer.status_code for answer in asked} == {status}

    workers.until(lambda: all_answer(200))
    workers.command("tokens", "revoke", "books")
    workers.until(lambda: all_answer(401))


def test_a_database_that_goes_away_is_503_and_comes_back_by_itself(
    tmp_path: Path, cluster: Cluster
) -> None:
    server = RunningServer(tmp_path, {VARIABLE: cluster.url})
    first = server.deliver(_body("o-1")).json()
    cluster.stop()
    refused = server.deliver(_body("o-2"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert server.get("/health/ready").status_code == 503
    assert server.get("/health/live").status_code == 200
    cluster.start()
    assert server.deliver(_body("o-1")).json() == first | {"outcome": "duplicate"}
    again = server.deliver(_body("o-2")).json()
    assert again["outcome"] == "recorded"
    order = server.get("/orders/o-2", min_position=again["position"])
    assert order.json()["status"] == "DELIVERED"
    server.stop()


def test_a_killed_database_keeps_what_was_acknowledged(tmp_path: Path, cluster: Cluster) -> None:
    server = RunningServer(tmp_path, {VARIABLE: cluster.url})
    kept = [server.deliver(_body(f"o-{n}")).json()["position"] for n in range(20)]
    cluster.kill()
    cluster.start()
    again = [server.deliver(_body(f"o-{n}")).json() for n in range(20)]
    assert [a["outcome"] for a in again] == ["duplicate"] * 20
    assert [a["position"] for a in again] == kept
    server.stop()


def test_several_processes_on_a_file_are_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="move to PostgreSQL"):
        RunningServer(tmp_path, arguments=("--port", "0", "--workers", "2"))
