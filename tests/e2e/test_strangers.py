"""What a stranger gets out of a real server: bounded answers, and nothing that keeps others out."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx

from adapters.http.protocol import HEAD_BYTES_MAX
from tests.servers import RunningServer


def test_a_head_without_bounds_is_431_and_no_line_for_each_in_the_log(
    server: RunningServer,
) -> None:
    url = httpx.URL(server.url)
    for _ in range(50):
        with socket.create_connection((url.host, url.port or 80), timeout=20) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES_MAX + 1))
            assert stranger.recv(100).startswith(b"HTTP/1.1 431 ")
        with socket.create_connection((url.host, url.port or 80), timeout=20) as stranger:
            stranger.sendall(b"no request\r\n\r\n")
            assert stranger.recv(100).startswith(b"HTTP/1.1 400 ")
    assert server.deliver('{"orderId": "1", "orderPayment": "PAID"}').status_code == 200
    assert server.errors.count("Invalid HTTP request") < 10


def test_while_strangers_flood_what_is_authentic_is_served(server: RunningServer) -> None:
    stop = Event()

    def flood() -> set[int]:
        told = set()
        with httpx.Client(base_url=server.url, timeout=30) as stranger:
            while not stop.is_set():
                forged = {"Authorization": "wrong"}
                told.add(stranger.post("/webhooks/sevi", content=b"x", headers=forged).status_code)
        return told

    with ThreadPoolExecutor(8) as strangers:
        floods = [strangers.submit(flood) for _ in range(8)]
        try:
            answers = [
                server.deliver(f'{{"orderId": "o-{n}", "orderPayment": "PAID"}}')
                for n in range(200)
            ]
        finally:
            stop.set()
    assert {(a.status_code, a.json()["outcome"]) for a in answers} == {(200, "recorded")}
    told = set[int]().union(*(flood.result() for flood in floods))
    assert 429 in told
    assert told <= {401, 429}
    assert len(server.errors.splitlines()) < 400, "200 deliveries, and few lines about the rest"


def test_a_made_token_opens_a_running_server_and_a_revoked_one_does_not(
    server: RunningServer,
) -> None:
    """The command line makes and closes it while the server runs."""
    token = server.command("tokens", "create", "--name", "books", "--role", "auditor").strip()
    headers = {"Authorization": f"Bearer {token}"}

    def answered() -> int:
        return server.http.get("/orders", headers=headers).status_code

    server.until(lambda: answered() == 200)
    server.command("tokens", "revoke", "books")
    server.until(lambda: answered() == 401)
    operations = server.get("/operator-log").json()["items"]
    assert [o["action"] for o in operations] == ["tokens revoke", "tokens create"]
    assert token not in server.errors
