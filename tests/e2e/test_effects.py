"""Effects of a running server: what a shop gets, and what it gets when something dies."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.servers import RunningServer
from tests.web import HANG, Came, FakeServer, Reply

SECRET = "whsec_" + "c2VjcmV0" * 4
TABLE = """
[effects.shop]
kind = "webhook"
url = "{url}"
secret = "{secret}"
"""


class Shop(FakeServer):
    """A shop that checks signatures, and may do something before it answers."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.kills: RunningServer | None = None
        super().__init__(self._take)

    @property
    def got(self) -> list[tuple[str, str]]:
        """The (id, order) of what came, in its order."""
        return [(c.headers["webhook-id"], c.json["data"]["order_id"]) for c in self.came]

    def _take(self, came: Came) -> Reply:
        Webhook(SECRET).verify(came.body, dict(came.headers))
        if self.kills is not None and not self.killed:
            # The shop has the order; whoever sent it dies before it can know.
            self.killed = children(self.kills.process.pid)
            for process in self.killed:
                os.kill(process, signal.SIGKILL)
            return Reply(HANG)
        return Reply()


def children(parent: int) -> list[int]:
    """The processes that a process started."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        yield server


@pytest.fixture
def server(tmp_path: Path, shop: Shop) -> Iterator[RunningServer]:
    """A server with the shop as a target."""
    (tmp_path / "order-ledger.toml").write_text(TABLE.format(url=shop.url, secret=SECRET))
    running = RunningServer(tmp_path)
    yield running
    running.stop()


def pay(server: RunningServer, order_id: str, status: str = "PAID") -> None:
    body = json.dumps({"orderId": order_id, "orderPayment": status})
    server.deliver(body).raise_for_status()


def states(server: RunningServer) -> list[str]:
    return [effect["state"] for effect in server.get("/effects").json()["items"]]


def test_a_shop_is_told_once_and_the_history_says_so(server: RunningServer, shop: Shop) -> None:
    pay(server, "o-1", "PENDING")
    pay(server, "o-1")
    pay(server, "o-1")
    server.until(lambda: states(server) == ["sent"])
    ((effect_id, order_id),) = shop.got
    assert order_id == "o-1"
    assert shop.came[0].json["type"] == "order.delivered"
    (effect,) = server.get("/orders/o-1/history").json()["effects"]
    assert (effect["id"], effect["state"], effect["answer"], effect["attempts"]) == (
        effect_id,
        "sent",
        "HTTP 204",
        1,
    )
    shown = json.loads(server.command("effects", "show", effect_id, "--json"))
    assert shown == effect
    assert "shop  sent   HTTP 204" in server.command("orders", "history", "o-1")
    (target,) = server.get("/effects").json()["targets"]
    assert (target["name"], target["pending"], target["dead"]) == ("shop", 0, 0)


def test_a_kill_between_an_effect_and_its_row_repeats_only_that_one_under_its_id(
    server: RunningServer, shop: Shop
) -> None:
    pay(server, "before")
    server.until(lambda: states(server) == ["sent"])
    shop.kills = server
    pay(server, "between")
    pay(server, "after")
    server.until(lambda: states(server) == ["sent"] * 3)
    assert shop.killed, "nobody was killed, so nothing was shown"
    before, between, again, after = shop.got
    assert between == again
    assert [order_id for _, order_id in (before, between, after)] == ["before", "between", "after"]
    assert len({before, between, after}) == 3


def test_a_shop_that_was_down_is_told_when_it_is_back(
    server: RunningServer, shop: Shop, tmp_path: Path
) -> None:
    port = shop.port
    shop.close()
    pay(server, "o-1")
    server.until(lambda: states(server) == ["failed"])
    assert server.get("/effects").json()["items"][0]["answer"] == "ConnectError"
    with FakeServer(port=port) as back:
        server.until(lambda: states(server) == ["sent"])
        assert len(back.came) == 1


def test_a_paused_target_gets_nothing_until_it_is_resumed(
    server: RunningServer, shop: Shop
) -> None:
    server.command("effects", "pause", "shop", "--reason", "it moves")
    pay(server, "o-1")
    server.until(lambda: states(server) == ["pending"])
    (target,) = server.get("/effects").json()["targets"]
    assert target["paused"] == "it moves"
    assert shop.came == []
    server.command("effects", "resume", "shop")
    server.until(lambda: states(server) == ["sent"])
    assert len(shop.came) == 1
    logged = server.get("/operator-log").json()["items"]
    assert [(one["action"], one["object"], one["reason"]) for one in logged] == [
        ("effects resume", "shop", None),
        ("effects pause", "shop", "it moves"),
    ]


def test_of_two_services_on_one_ledger_one_sends(
    tmp_path: Path, postgres_url: str, shop: Shop
) -> None:
    services = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        table = f'[providers.sevi]\ntokens = ["t"]\n{TABLE.format(url=shop.url, secret=SECRET)}'
        (folder / "order-ledger.toml").write_text(table)
        shared = {
            "ORDER_LEDGER_DATABASE_URL": postgres_url,
            "XDG_DATA_HOME": str(tmp_path / "data"),
        }
        services.append(RunningServer(folder, shared))
    try:
        for number in range(10):
            server = services[number % 2]
            body = json.dumps({"orderId": f"o-{number}", "orderPayment": "PAID"})
            headers = {"Authorization": "t"}
            server.http.post("/webhooks/sevi", content=body, headers=headers).raise_for_status()
        services[0].until(lambda: states(services[0]) == ["sent"] * 10)
        assert sorted(order_id for _, order_id in shop.got) == [f"o-{n}" for n in range(10)]
        services[0].stop(signal.SIGKILL)
        body = json.dumps({"orderId": "last", "orderPayment": "PAID"})
        services[1].http.post("/webhooks/sevi", content=body, headers={"Authorization": "t"})
        services[1].until(lambda: states(services[1]) == ["sent"] * 11)
        assert [order_id for _, order_id in shop.got].count("last") == 1
    finally:
        for running in services:
            if running.process.poll() is None:
                running.stop()
