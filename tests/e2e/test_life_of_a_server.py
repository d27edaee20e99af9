"""A server that is started, stopped, killed and started again, over real HTTP."""

import json
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.servers import RunningServer


def _body(order_id: str, status: str = "PAID") -> str:
    return json.dumps({"orderId": order_id, "orderPayment": status})


def test_an_order_is_delivered_once_its_payment_is_confirmed(server: RunningServer) -> None:
    pending = server.deliver(_body("o-1", "PENDING")).json()
    assert (pending["outcome"], pending["order_status"]) == ("recorded", "AWAITING_PAYMENT")
    paid = server.deliver(_body("o-1")).json()
    assert (paid["outcome"], paid["order_status"]) == ("recorded", "DELIVERED")
    again = server.deliver(_body("o-1")).json()
    assert again == paid | {"outcome": "duplicate"}
    order = server.get("/orders/o-1", min_position=paid["position"]).json()
    assert (order["status"], order["payment_status"]) == ("DELIVERED", "PAID")
    history = server.get("/orders/o-1/history").json()["events"]
    assert [e["type"] for e in history] == ["PaymentReceived", "PaymentReceived", "Delivered"]


def test_sixty_four_deliveries_of_one_payment_at_once_deliver_once(server: RunningServer) -> None:
    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda _: server.deliver(_body("o-1")), range(64)))
    outcomes = [answer.json()["outcome"] for answer in answers]
    assert sorted(set(outcomes)) == ["duplicate", "recorded"]
    assert outcomes.count("recorded") == 1
    assert {answer.json()["position"] for answer in answers} == {"0-2"}


def test_a_second_order_of_the_same_payment_in_other_bytes_delivers_no_second_time(
    server: RunningServer,
) -> None:
    bodies = [json.dumps({"orderId": "o-1", "orderPayment": "PAID", "n": n}) for n in range(32)]
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(server.deliver, bodies))
    assert {answer.json()["outcome"] for answer in answers} == {"recorded"}
    last = max((a.json()["position"] for a in answers), key=lambda p: int(p.split("-")[1]))
    server.get("/orders/o-1", min_position=last).raise_for_status()
    events = server.get("/orders/o-1/history").json()["events"]
    assert [e["type"] for e in events].count("Delivered") == 1


def test_tokens_that_were_made_stay_the_same_and_private(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    tokens = (server.webhook_token, server.api_token)
    server.stop()
    server.start()
    assert (server.webhook_token, server.api_token) == tokens
    for name in ("webhook-token-sevi", "api-token"):
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) == 0o600
    server.stop()


def test_a_graceful_stop_answers_what_it_took_and_keeps_it(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    acknowledged = _post_until_it_ends(server, signal.SIGTERM)
    assert server.process.returncode == 0, "it was asked to stop, and did, after its work"
    assert "Application shutdown complete" in server.errors
    server.start()
    assert _lost(server, acknowledged) == []
    server.stop()


def test_ctrl_c_is_a_graceful_stop_too(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    assert server.stop(signal.SIGINT) == 0
    assert "Application shutdown complete" in server.errors


def test_a_stop_does_not_wait_for_who_watches_a_page(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    with httpx.Client(base_url=server.url) as browser:
        form = browser.get("/console/sign-in").text
        secret = form.partition('name="form_secret" value="')[2].partition('"')[0]
        fields = {"token": server.api_token, "form_secret": secret}
        assert browser.post("/console/sign-in", data=fields).status_code == 303
        with browser.stream("GET", "/console/overview/live") as watching:
            lines = watching.iter_lines()
            assert next(line for line in lines if line.startswith("data: "))
            server.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
    assert "Application shutdown complete" in server.errors
    assert "timeout graceful shutdown exceeded" not in server.errors


@pytest.mark.parametrize("round_", range(3))
def test_a_kill_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path, round_: int) -> None:
    server = RunningServer(tmp_path)
    acknowledged = _post_until_it_ends(server, signal.SIGKILL)
    server.start()
    assert _lost(server, acknowledged) == []
    for order_id in acknowledged:
        assert server.deliver(_body(order_id)).json()["outcome"] == "duplicate"
    head = server.get("/health/ready").json()["details"]["head"]
    for order_id in acknowledged[-5:]:
        server.get(f"/orders/{order_id}", min_position=head).raise_for_status()
        events = server.get(f"/orders/{order_id}/history").json()["events"]
        assert [e["type"] for e in events] == ["PaymentReceived", "Delivered"]
    server.stop()


def test_read_models_that_were_deleted_are_made_again_from_the_log(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    position = server.deliver(_body("o-1")).json()["position"]
    before = server.get("/orders/o-1", min_position=position).json()
    server.stop()
    for file in (tmp_path / "var").glob("ledger-views.db*"):
        file.unlink()
    server.start()
    assert server.get("/orders/o-1", min_position=position).json() == before
    server.stop()


def test_a_port_in_use_is_one_clear_line(server: RunningServer, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    folder = tmp_path / "second"
    folder.mkdir()
    with pytest.raises(AssertionError, match=r"cannot listen on.*--port or ORDER_LEDGER_PORT"):
        RunningServer(folder, {"ORDER_LEDGER_PORT": port}, arguments=())


def _post_until_it_ends(server: RunningServer, how: signal.Signals) -> list[str]:
    """Post from several threads, stop the server amid them; the orders that were acknowledged."""
    acknowledged: list[str] = []
    token, url = server.webhook_token, f"{server.url}/webhooks/sevi"

    def post(sender: int) -> None:
        with httpx.Client(headers={"Authorization": token}, timeout=10) as client:
            for n in range(100_000):
                order_id = f"{sender}-{n}"
                try:
                    answer = client.post(url, content=_body(order_id))
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(order_id)

    with ThreadPoolExecutor(8) as threads:
        for sender in range(8):
            threads.submit(post, sender)
        while len(acknowledged) < 200:
            assert server.process.poll() is None
        server.stop(how)
    return acknowledged


def _lost(server: RunningServer, acknowledged: list[str]) -> list[str]:
    """The acknowledged orders that the ledger does not know."""
    server.get("/health/ready").raise_for_status()
    kept = set()
    after = None
    head = server.get("/health/ready").json()["details"]["head"]
    server.get(f"/orders/{acknowledged[0]}", min_position=head)
    while True:
        params = {"limit": 1000} | ({"after": after} if after else {})
        page = server.get("/orders", **params).json()
        kept |= {o["order_id"] for o in page["items"] if o["status"] == "DELIVERED"}
        after = page["next"]
        if after is None:
            return [order_id for order_id in acknowledged if order_id not in kept]
