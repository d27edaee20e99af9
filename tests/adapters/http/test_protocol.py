"""What a stranger with a socket can do to the head of a request, and what he cannot."""

import asyncio
import gc
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from adapters.http import protocol
from adapters.http.protocol import HEAD_BYTES_MAX, QUEUED_MAX, BoundedProtocol, answer_whole

LARGE = 10_000_000  # more than the systems between the two keep
PATIENCE = 20.0  # for what has to come; nothing here is timed
HEAD = b"POST / HTTP/1.1\r\nHost: ledger\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the size of the body; `/early` without having read it, `/whole` in one piece,
    `/slow` after a while."""
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    body = str(size).encode()
    if scope["path"] == "/headers":
        body = b" ".join(name for name, _ in scope["headers"])
    if scope["path"] == "/large":
        body = b"x" * LARGE
    if scope["path"] == "/never":
        await asyncio.sleep(PATIENCE)
    if scope["path"] == "/whole":
        assert answer_whole(send, b"text/plain", body)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.1)
    if scope["path"] == "/heard":

        async def heard(message: Any) -> None:
            await send(message)

        assert not answer_whole(heard, b"text/plain", body)
        body = b"not in one piece"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Client:
    """A connection on which anything can be said."""

    def __init__(self, port: int, small: bool = False) -> None:
        self.heard = b""
        self.socket = socket.socket()
        if small:  # little waits in the client's system
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bytes:
        """The next answer, whole."""
        while True:
            head, end, body = self.heard.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if end and len(body) >= size:
                answer = self.heard[: len(head) + len(end) + size]
                self.heard = self.heard[len(answer) :]
                return answer
            piece = self.socket.recv(65536)
            assert piece, "the server closed"
            self.heard += piece

    def rest(self) -> bytes:
        """Everything until the server closes."""
        pieces = []
        try:
            while piece := self.socket.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)

    def told(self) -> tuple[int, str]:
        """The status and the detail of the problem after which the server closes."""
        head, _, body = self.rest().partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head
        problem = json.loads(body)
        assert head.startswith(f"HTTP/1.1 {problem['status']} ".encode())
        return problem["status"], problem["detail"]


@pytest.fixture
def port() -> Iterator[int]:
    """A server in a thread; when it ends, no timer is left."""
    config, state = Config(echo, log_config=None, lifespan="off"), ServerState()
    loop = asyncio.new_event_loop()
    made: WeakSet[BoundedProtocol] = WeakSet()

    def make() -> BoundedProtocol:
        one = BoundedProtocol(config=config, server_state=state, app_state={}, _loop=loop)
        made.add(one)
        return one

    server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0))
    thread = Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]

    async def stop() -> None:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(PATIENCE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()
    assert [p for p in made if p._deadline or p._unread_deadline] == []


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    client = Client(port)
    yield client
    client.socket.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server waits for a tenth of a second only."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.1)


def head_of(size: int) -> bytes:
    """A head whose request line and headers have so many bytes."""
    filler = size - len(b"/HostledgerXContent-Length0")
    return HEAD + b"X: " + b"x" * filler + b"\r\nContent-Length: 0\r\n\r\n"


# ------------------------------------------------------------------------------------------- size


def test_a_head_of_the_size_that_is_allowed_is_taken(client: Client) -> None:
    for _ in range(3):
        client.say(head_of(HEAD_BYTES_MAX - 200))
        assert client.answer().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX + 1, 200_000, 2_000_000])
def test_a_larger_one_is_431_in_one_piece(client: Client, size: int) -> None:
    client.say(head_of(size))
    status, detail = client.told()
    assert status == 431
    assert str(HEAD_BYTES_MAX) in detail


def test_so_is_one_in_many_pieces_that_never_end(client: Client) -> None:
    client.say(HEAD)
    for _ in range(20):
        client.say(b"X: " + b"x" * 2000 + b"\r\n")
    assert client.told()[0] == 431


@pytest.mark.parametrize("start", [b"POST /", HEAD + b"X: ", HEAD + b"X"])
def test_a_header_a_name_or_a_url_without_an_end_is_not_kept(client: Client, start: bytes) -> None:
    client.say(start)
    for _ in range(20):
        client.say(b"a" * 4096)
    assert client.told()[0] == 431


def test_many_requests_in_one_piece_are_each_within_bounds(client: Client) -> None:
    client.say(head_of(2000) * 40)
    for _ in range(40):
        assert client.answer().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("size", "chunk"), [(1000, 1), (100_000, 100), (2_560_000, 256)])
def test_a_chunked_body_may_be_cut_fine(client: Client, size: int, chunk: int) -> None:
    client.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    client.say((b"%x\r\n" % chunk + b"x" * chunk + b"\r\n") * (size // chunk) + b"0\r\n\r\n")
    assert client.answer().endswith(str(size).encode())


@pytest.mark.parametrize("chunk", [1, 10, 100])
def test_one_that_is_nothing_but_cuts_is_400_before_it_is_whole(client: Client, chunk: int) -> None:
    client.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    client.say((b"%x\r\n" % chunk + b"x" * chunk + b"\r\n") * 3000)
    status, detail = client.told()
    assert status == 400
    assert "pieces" in detail


def test_every_body_has_its_own_pieces(client: Client) -> None:
    for _ in range(3):
        client.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000)
        client.say(b"0\r\n\r\n")
        assert client.answer().endswith(b"1000")


@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["in one piece", "later"])
def test_a_trailer_is_no_header(client: Client, pause: float) -> None:
    client.say(b"POST /headers HTTP/1.1\r\nHost: ledger\r\nTransfer-Encoding: chunked\r\n\r\n")
    sleep(pause)
    client.say(b"1\r\nx\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: x\r\n\r\n")
    assert client.answer().endswith(b"host transfer-encoding")


@pytest.mark.parametrize(
    "noise", [b"X: " + b"x" * 2000 + b"\r\n", b"x" * 2000], ids=["headers", "one header"]
)
def test_trailers_without_an_end_are_431(client: Client, noise: bytes) -> None:
    client.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ")
    for _ in range(40):
        client.say(noise)
    assert client.told()[0] == 431


def test_what_is_no_request_is_a_problem_as_well(client: Client) -> None:
    client.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS")
    assert client.told()[0] == 400


# ------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    "said",
    [
        b"P",
        HEAD,
        HEAD + b"Content-Length: 5\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5",
    ],
)
def test_a_head_or_a_body_that_does_not_come_is_408(
    impatient: None, client: Client, said: bytes
) -> None:
    client.say(said)
    assert client.told()[0] == 408


def test_one_that_drips_is_408_however_steadily_it_drips(impatient: None, client: Client) -> None:
    client.say(HEAD)
    assert _drip(client).startswith(b"HTTP/1.1 408 ")


def _drip(client: Client) -> bytes:
    """Say a header every hundredth of a second until there is an answer."""
    client.socket.settimeout(0.01)
    while True:
        client.say(b"X: y\r\n")
        with suppress(TimeoutError):
            return client.answer()


def test_a_connection_on_which_nobody_speaks_is_closed(impatient: None, client: Client) -> None:
    assert client.rest() == b""


def test_the_second_request_has_its_own_time(impatient: None, client: Client) -> None:
    client.say(head_of(100))
    assert client.answer().startswith(b"HTTP/1.1 200 ")
    client.say(HEAD)
    assert client.told()[0] == 408


def test_a_body_that_has_begun_has_the_time_that_the_application_gives(
    impatient: None, client: Client
) -> None:
    client.say(HEAD + b"Content-Length: 5\r\n\r\nab")
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.answer()
    client.socket.settimeout(PATIENCE)
    client.say(b"cde")
    assert client.answer().endswith(b"\r\n5")


def test_who_asks_whether_to_go_on_is_told_and_may(client: Client) -> None:
    client.say(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert client.answer().startswith(b"HTTP/1.1 100 ")
    client.say(b"ab")
    assert client.answer().endswith(b"\r\n2")


@pytest.mark.parametrize("rest", [b"", b"a", b"a" * 70_000])
def test_a_request_that_was_answered_early_has_a_little_time_to_end(
    impatient: None, client: Client, rest: bytes
) -> None:
    client.say(b"POST /early HTTP/1.1\r\nHost: ledger\r\nContent-Length: 999999\r\n\r\n" + rest)
    told = client.rest()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert told.count(b"HTTP/1.1") == 1


def test_one_that_ends_in_time_keeps_its_connection(client: Client) -> None:
    for _ in range(3):
        client.say(b"POST /early HTTP/1.1\r\nHost: ledger\r\nContent-Length: 3\r\n\r\n")
        assert client.answer().startswith(b"HTTP/1.1 200 ")
        client.say(b"abc")


def test_a_slow_request_is_waited_for_no_longer_than_its_head_and_the_next_one_is_served(
    impatient: None, port: int
) -> None:
    slow = [Client(port) for _ in range(50)]
    for client in slow:
        client.say(HEAD)
    honest = Client(port)
    honest.say(head_of(100))
    assert honest.answer().startswith(b"HTTP/1.1 200 ")
    assert {client.told()[0] for client in slow} == {408}
    for client in (honest, *slow):
        client.socket.close()


# -------------------------------------------------------------------------------- many, and unread


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nobody looks for what is no one's any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def requests_in_memory() -> int:
    return sum(isinstance(thing, RequestResponseCycle) for thing in gc.get_objects())


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.01)


def test_more_requests_at_once_than_may_wait_end_the_connection(client: Client) -> None:
    client.say(b"POST /never HTTP/1.1\r\nHost: ledger\r\nContent-Length: 0\r\n\r\n")
    with suppress(ConnectionError):
        client.say(head_of(100) * (QUEUED_MAX + 2))
    assert client.rest() == b""


def test_while_requests_wait_no_more_are_read(client: Client, uncollected: None) -> None:
    before = requests_in_memory()
    client.socket.settimeout(0.5)
    with suppress(TimeoutError):  # the systems between the two take some more
        for path in (b"/never", *[b"/"] * 2000):
            client.say(b"POST %b HTTP/1.1\r\nHost: l\r\nContent-Length: 10000\r\n\r\n" % path)
            client.say(b"x" * 10_000)
    assert requests_in_memory() - before < 100


def test_large_requests_that_wait_are_all_answered(client: Client) -> None:
    for _ in range(20):
        client.say(b"POST /slow HTTP/1.1\r\nHost: l\r\nContent-Length: 60000\r\n\r\n")
        client.say(b"x" * 60_000)
    assert all(client.answer().endswith(b"60000") for _ in range(20))


def test_what_waited_goes_with_its_connection(port: int, uncollected: None) -> None:
    before = requests_in_memory()
    for _ in range(20):
        client = Client(port)
        client.say(b"POST /slow HTTP/1.1\r\nHost: l\r\nContent-Length: 9\r\n\r\nunwelcome" * 100)
        client.socket.close()
    until(lambda: requests_in_memory() <= before)


@pytest.mark.parametrize("path", [b"/", b"/whole", b"/early"])
def test_what_was_answered_is_gone(port: int, path: bytes, uncollected: None) -> None:
    before = requests_in_memory()
    for _ in range(20):
        client = Client(port)
        client.say(b"POST %b HTTP/1.1\r\nHost: l\r\nContent-Length: 4\r\n\r\nbody" % path * 5)
        assert all(client.answer().startswith(b"HTTP/1.1 200 ") for _ in range(5))
        client.socket.close()
    until(lambda: requests_in_memory() <= before)


@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
def test_who_takes_nothing_of_the_answer_is_left(
    port: int, monkeypatch: pytest.MonkeyPatch, fields: bytes
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.1)
    deaf = Client(port, small=True)
    deaf.say(b"POST /large HTTP/1.1\r\nHost: l\r\n%bContent-Length: 0\r\n\r\n" % fields)
    sleep(1)
    assert len(deaf.rest()) < LARGE
    deaf.socket.close()


def test_who_is_slow_but_takes_it_hears_all(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.2)
    slow = Client(port)
    slow.say(b"POST /large HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    heard = 0
    while piece := slow.socket.recv(1_000_000):
        heard += len(piece)
        sleep(0.02)
    assert heard > LARGE
    slow.socket.close()


# ---------------------------------------------------------------------------------- in one piece


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (b"1.1", b""),
        (b"1.1", b"Connection: close\r\n"),
        (b"1.0", b""),
        (b"1.0", b"Connection: keep-alive\r\n"),
        (b"1.1", b"Expect: 100-continue\r\n"),
    ],
)
def test_an_answer_in_one_piece_is_the_very_same(port: int, version: bytes, fields: bytes) -> None:
    heard = []
    for path in (b"/", b"/whole"):
        client = Client(port)
        request = b"POST %b HTTP/%b\r\nHost: ledger\r\n%bContent-Length: 2\r\n\r\nab"
        client.say(request % (path, version, fields) * 2)
        client.socket.shutdown(socket.SHUT_WR)
        heard.append(client.rest())
        client.socket.close()
    assert heard[0] == heard[1]
    assert heard[0].count(b" 200 OK\r\n") == (1 if b"connection: close" in heard[0] else 2)


def test_who_only_stops_speaking_hears_the_answers_to_what_was_said(client: Client) -> None:
    client.say(b"POST /slow HTTP/1.1\r\nHost: ledger\r\nContent-Length: 2\r\n\r\nab" * 2)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.answer()[-1:] for _ in range(2)] == [b"2", b"2"]
    assert client.rest() == b""


def test_who_stops_in_the_middle_of_a_body_is_left(client: Client) -> None:
    client.say(b"POST /slow HTTP/1.1\r\nHost: ledger\r\nContent-Length: 3\r\n\r\nab")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest() == b""


def test_who_stands_between_hears_of_the_answer(client: Client) -> None:
    client.say(b"POST /heard HTTP/1.1\r\nHost: ledger\r\nContent-Length: 2\r\n\r\nab")
    assert client.answer().endswith(b"\r\n\r\nnot in one piece")


def test_pipelined_requests_are_answered_in_their_order(client: Client) -> None:
    sizes = [3, 1, 4, 1, 5, 9, 2, 6]
    for path in (b"/whole", b"/"):
        request = b"POST %b HTTP/1.1\r\nHost: ledger\r\nContent-Length: %d\r\n\r\n%b"
        client.say(b"".join(request % (path, size, b"x" * size) for size in sizes))
        assert [client.answer()[-1:] for _ in sizes] == [b"%d" % size for size in sizes]
