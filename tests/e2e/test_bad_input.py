"""Whatever is sent to a running server: no 5xx, no lost delivery, no change to another order."""

import copy
import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.providers import sevi_bodies as sevi
from tests.servers import RunningServer

OUTCOMES = {"recorded", "duplicate", "stale", "conflict", "ignored", "quarantined"}
BYSTANDER = "an-order-that-nobody-speaks-of"
many_bodies = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class Target(RunningServer):
    """A server that is attacked, with an order that must not notice."""

    def begin(self) -> None:
        self.looked_at = 0
        self.bystander = self._bystander(self.deliver(sevi.bare(BYSTANDER, "PENDING")).json())

    def _bystander(self, answer: Any = None) -> Any:
        position = {"min_position": answer["position"]} if answer else {}
        order = self.get(f"/orders/{BYSTANDER}", **position).raise_for_status().json()
        return order, self.get(f"/orders/{BYSTANDER}/history", **position).json()

    def delivery_count(self) -> int:
        ledger = self.folder / "var" / "ledger.db"
        connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)
        try:
            count: int = connection.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        finally:
            connection.close()
        return count

    def takes(self, body: bytes) -> Any:
        """An authentic body is taken: 200, an outcome, and exactly one row more."""
        before = self.delivery_count()
        response = self.deliver(body)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["outcome"] in OUTCOMES
        assert self.delivery_count() == before + 1
        self.is_quiet()
        return answer

    def is_quiet(self) -> None:
        """Its log has told of no error since the last look, and of nothing that is secret."""
        with (self.folder / "stderr.log").open("rb") as log:
            log.seek(self.looked_at)
            whole_lines, end, _ = log.read().rpartition(b"\n")
        self.looked_at += len(whole_lines + end)
        logged = whole_lines.decode()
        levels = {json.loads(line)["level"] for line in logged.splitlines()}
        assert levels <= {"INFO", "WARNING"}, logged
        for secret in (self.webhook_token, self.api_token, BYSTANDER, sevi.ORDER_ID):
            assert secret not in logged

    def is_unharmed(self) -> None:
        """It goes on, it is quiet, and nobody else's order moved."""
        assert self.process.poll() is None
        self.is_quiet()
        assert self._bystander() == self.bystander


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One server for all these tests, which it has to survive."""
    running = Target(tmp_path_factory.mktemp("target"))
    running.begin()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _unharmed(target: Target) -> Iterator[None]:
    yield
    target.is_unharmed()


# ------------------------------------------------------------------------------ generated bodies

BASES = [
    {"order": sevi.ORDER, "customer": sevi.CUSTOMER},
    {"order": sevi.ORDER_OF_NULLS, "users": [{"user": sevi.USER}]},
    {"order": sevi.ORDER, "customerVendor": sevi.CUSTOMER},
    {"orderId": sevi.ORDER_ID, "orderPayment": "PAID"},
    {"order": {"id": sevi.ORDER_ID, "orderPayment": {"status": "PENDING"}}},
    sevi.TRANSACTION,
    sevi.TRANSACTION | {"order": sevi.LINKED_ORDER, "customer": sevi.CUSTOMER},
    sevi.TRANSACTION | {"orderId": None, "paymentType": "SETTLEMENT"},
]
RAW = [
    *("NaN", "Infinity", "-1", "1e999999", "-0.0", "9" * 10_000, "0." + "1" * 5000, "1e-400"),
    *('"\\ud800"', '"\\u0000"', '"a\\nb"', '""', '"paid"', f'"{"x" * 10_000}"', '"\\u202e"'),
    *("[" * 70 + "]" * 70, '{"a":' * 70 + "1" + "}" * 70, '{"a":1,"a":2}', "[1,]", "'x'", "tru"),
]
NASTY: st.SearchStrategy[Any] = (
    st.sampled_from(RAW).map(sevi.raw)
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=20)
    | st.sampled_from(["PAID", "FAILED", "REFUNDED", "COMPLETED", [], {}, [[]], {"status": 1}])
).map(copy.deepcopy)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything within a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A documented body in which a few things were replaced, taken out, or added."""
    data: Any = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(sorted(places(data), key=str)))
        inside = data
        for step in path:
            inside = inside[step]
        if draw(st.booleans()) and isinstance(inside, dict) and len(inside) > 1:
            del inside[last]
        else:
            inside[last] = draw(NASTY)
    return sevi.encode(data)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A body some of whose bytes were lost, doubled or overwritten on the way."""
    body = draw(mutated())
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 50)))
    return body[:start] + draw(st.binary(max_size=5)) + body[start:end] * 2 + body[end:]


@many_bodies
@given(mutated())
def test_a_documented_body_with_strange_values_is_taken(target: Target, body: bytes) -> None:
    answer = target.takes(body)
    assert (answer["position"] is None) == (answer["outcome"] in {"ignored", "quarantined"})


@many_bodies
@given(damaged() | st.binary(max_size=300))
def test_a_damaged_body_is_taken(target: Target, body: bytes) -> None:
    target.takes(body)


@many_bodies
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255))
def test_an_order_of_any_id_is_taken_once_and_known_again(target: Target, order_id: str) -> None:
    first = target.takes(sevi.bare(order_id))
    if first["outcome"] == "quarantined":
        return
    assert first["order_id"] == order_id
    again = target.takes(sevi.bare(order_id))
    assert again == first | {"outcome": "duplicate"}


HEADERS = st.dictionaries(
    st.sampled_from(["Authorization", "Content-Type", "Content-Encoding", "Accept", "X-Forwarded"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
    | st.binary(max_size=20).filter(lambda value: not set(value) & set(b"\r\n\x00")),
)


@many_bodies
@given(HEADERS, st.binary(max_size=50))
def test_a_stranger_is_refused_whatever_his_headers(
    target: Target, headers: dict[str, Any], body: bytes
) -> None:
    before = target.delivery_count()
    try:
        response = target.http.post("/webhooks/sevi", content=body, headers=headers)
    except (httpx.LocalProtocolError, UnicodeEncodeError):
        return  # no client would send it
    assert response.status_code in {400, 401, 429}
    assert target.delivery_count() == before


LARGE = {
    "arrays in arrays": b"[" * 1_000_000,
    "objects in objects": b'{"a":' * 200_000,
    "an endless id": b'{"orderId":' + b"9" * 1_000_000 + b',"orderPayment":"PAID"}',
    "an endless amount": b'{"orderId":1,"orderPayment":"PAID","amount":' + b"1" * 1_000_000 + b"}",
    "escapes": b'{"orderId":1,"orderPayment":"PAID","x":"' + b"\\ud83e\\udd6d" * 80_000 + b'"}',
    "many keys": b"{" + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}",
    "zeros": b"\x00" * 1_000_000,
    "many items": sevi.encode({"order": sevi.ORDER, "items": [msgspec.Raw(b"[]")] * 300_000}),
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_a_body_as_large_as_allowed_is_taken(target: Target, body: bytes) -> None:
    assert len(body) <= 1024 * 1024
    target.takes(body)


def test_twenty_megabytes_are_refused_whether_announced_or_not(target: Target) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 2**20

    before = target.delivery_count()
    headers = {"Authorization": target.webhook_token}
    contents: list[Any] = [b"x" * 20 * 2**20, pieces()]
    for content in contents:
        response = httpx.post(f"{target.url}/webhooks/sevi", content=content, headers=headers)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
    assert target.delivery_count() == before


# --------------------------------------------------------------------- what no HTTP client sends


def spoken(target: Target, request: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes; what comes back until the server closes. To hang up says: no more will come."""
    host, _, port = target.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def request(target: Target, *headers: bytes, body: bytes = b"", path: bytes = b"sevi") -> bytes:
    lines = [
        b"POST /webhooks/%s HTTP/1.1" % path,
        b"Host: ledger",
        b"Authorization: %s" % target.webhook_token.encode(),
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


BODY = b'{"orderId":"raw","orderPayment":"PAID"}'
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"


STRANGE = {
    "a length of many zeros": (b"Content-Length: " + b"0" * 5000 + b"%d" % len(BODY),),
    "a length of many nines": (b"Content-Length: " + b"9" * 5000,),
    "a negative length": (b"Content-Length: -1",),
    "a length with a sign": (b"Content-Length: +%d" % len(BODY),),
    "a length in hexadecimal": (b"Content-Length: 0x27",),
    "two lengths": (LENGTH, b"Content-Length: 1"),
    "a length and chunks": (LENGTH, CHUNKED),
    "two ways to transfer": (CHUNKED, b"Transfer-Encoding: identity"),
    "no chunks": (CHUNKED,),
    "two tokens": (LENGTH, b"Authorization: another"),
    "a line that is no header": (LENGTH, b"A line without a colon"),
    "a zero byte": (LENGTH, b"X: \x00"),
}


@pytest.mark.parametrize("headers", STRANGE.values(), ids=STRANGE)
def test_a_request_that_contradicts_itself_is_refused(
    target: Target, headers: tuple[bytes, ...]
) -> None:
    before = target.delivery_count()
    answer = spoken(target, request(target, *headers, body=BODY))
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.1 1"))
    taken = answer.startswith(b"HTTP/1.1 200")
    assert target.delivery_count() - before == taken, "what is counted is acknowledged"
    if taken:
        assert b"quarantined" not in answer, "its body arrived whole"


IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c", b"TLS/1.0"])
@pytest.mark.parametrize(("header", "body"), [(LENGTH, BODY), (CHUNKED, IN_CHUNKS)])
def test_a_body_behind_an_upgrade_is_read_or_refused_but_never_lost(
    target: Target, header: bytes, body: bytes, upgrade: bytes
) -> None:
    headers = (header, b"Connection: Upgrade", b"Upgrade: %s" % upgrade)
    answer = spoken(target, request(target, *headers, body=body))
    assert b"quarantined" not in answer, "acknowledged, and its body was dropped"


def test_an_upgrade_that_the_connection_does_not_ask_for_is_a_header_like_any_other(
    target: Target,
) -> None:
    answer = spoken(target, request(target, LENGTH, b"Upgrade: h2c", body=BODY))
    assert answer.startswith(b"HTTP/1.1 200"), "a proxy may have taken the other half away"
    assert b"quarantined" not in answer


MALFORMED: dict[str, Callable[[Target], bytes]] = {
    "noise": lambda _: bytes(range(256)) * 10,
    "TLS": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 200,
    "HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown version": lambda t: request(t, LENGTH, body=BODY).replace(b"HTTP/1.1", b"HTTP/9.9"),
    "bare line feeds": lambda t: request(t, LENGTH, body=BODY).replace(b"\r\n", b"\n"),
    "a chunk of no size": lambda t: request(t, CHUNKED, body=b"zz\r\n" + BODY),
    "a chunk of a wrong size": lambda t: request(
        t, CHUNKED, body=b"5\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "a path of raw bytes": lambda t: request(t, LENGTH, body=BODY, path=b"s\xe9vi"),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_refused(target: Target, malformed: Callable[[Target], bytes]) -> None:
    before = target.delivery_count()
    answer = spoken(target, malformed(target))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert target.delivery_count() == before


def test_requests_in_one_go_are_answered_one_after_the_other(target: Target) -> None:
    before = target.delivery_count()
    one = request(target, LENGTH, body=BODY).replace(b"Connection: close\r\n", b"")
    answer = spoken(target, one + one + request(target, LENGTH, body=BODY))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert target.delivery_count() == before + 3


@pytest.mark.parametrize("length", [b"%d" % (len(BODY) + 1), b"1000000"])
def test_a_connection_that_breaks_off_within_a_body_leaves_nothing(
    target: Target, length: bytes
) -> None:
    before = target.delivery_count()
    broken = request(target, b"Content-Length: " + length, body=BODY)
    assert b"200" not in spoken(target, broken, hang_up=True)
    assert target.delivery_count() == before
