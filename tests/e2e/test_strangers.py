"""What a stranger gets out of a real server: bounded answers, and nothing that keeps others out."""

import socket

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
