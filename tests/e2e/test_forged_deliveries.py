"""Every kind of provider at a real server, and senders who are not that provider: whatever they
send, it is refused without an error, and nothing is recorded."""

import json
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.providers import Secret, kind_of, make_provider
from adapters.providers.base import Outgoing
from tests.adapters.providers.tables import KINDS, NEEDS, secret_of
from tests.servers import RunningServer

REFUSED = {400, 401, 404, 429, 431}
TABLES: dict[str, Any] = {
    kind: {"kind": kind, **NEEDS[kind], "secrets": [secret_of(kind, "new")]} for kind in KINDS
}
Headers = Sequence[tuple[bytes, bytes]]
each_kind = pytest.mark.parametrize("kind", KINDS)
UNSIGNED = ("adyen", "mpesa")  # a signature in each item of the body; a secret in the URL
signed_kind = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNSIGNED])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with every kind, for all these tests."""
    env = {"ORDER_LEDGER_PROVIDERS": json.dumps(TABLES)}
    running = RunningServer(tmp_path_factory.mktemp("every-kind"), env)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _quiet(server: RunningServer) -> Iterator[None]:
    """The server goes on, and has told of no error and no secret."""
    yield
    assert server.process.poll() is None
    logged = server.errors
    assert '"ERROR"' not in logged
    for kind in KINDS:
        assert secret_of(kind, "new") not in logged


def signed(kind: str, which: str = "new", order_id: str = "1") -> tuple[bytes, Outgoing]:
    """A body as its sender would send it now, with the right secret or a stranger's."""
    table = kind_of(kind).settings.model_validate(TABLES[kind])
    sender = make_provider(kind, table, [Secret("sender", secret_of(kind, which))])
    now = datetime.now(UTC)
    body = sender.sample(order_id, "PAID", now)
    return body, sender.sign(body, now, order_id)


def post(
    server: RunningServer, kind: str, body: bytes, headers: Headers, path: str = "", query: str = ""
) -> int:
    """Send what no client library would, on a connection of its own; the status of the answer."""
    url = f"/webhooks/{kind}{f'/{path}' if path else ''}{f'?{query}' if query else ''}"
    lines = [
        f"POST {url} HTTP/1.1".encode(),
        b"Host: ledger",
        b"Connection: close",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *(name + b": " + value for name, value in headers),
    ]
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


def raw(how: Outgoing) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in how.headers.items()]


def recorded(server: RunningServer) -> int:
    ledger = server.folder / "var" / "ledger.db"
    connection = sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)
    try:
        count: int = connection.execute("SELECT count(*) FROM deliveries").fetchone()[0]
    finally:
        connection.close()
    return count


@each_kind
def test_the_provider_itself_is_let_in(server: RunningServer, kind: str) -> None:
    before = recorded(server)
    body, how = signed(kind)
    assert post(server, kind, body, raw(how), how.path, how.query) == 200
    assert recorded(server) == before + 1, "so what follows is refused for what it says"


@each_kind
def test_a_strangers_secret_lets_nobody_in(server: RunningServer, kind: str) -> None:
    before = recorded(server)
    body, how = signed(kind, "stranger")
    assert post(server, kind, body, raw(how), how.path, how.query) in {401, 429}
    assert recorded(server) == before


# A token or a URL is all that the others prove themselves with.
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("sevi", "flutterwave-v3", "mpesa")])
def test_a_changed_body_is_nobodys(server: RunningServer, kind: str) -> None:
    before = recorded(server)
    body, how = signed(kind)
    changed = body.replace(b"KES", b"USD") if b"KES" in body else body.replace(b"1", b"2", 1)
    assert changed != body
    assert post(server, kind, changed, raw(how)) in {401, 429}
    assert recorded(server) == before


MANGLED = {
    "empty": b"",
    "blanks": b"   ",
    "one byte": b"\xff",
    "Latin-1": "é".encode("latin-1") * 30,
    "UTF-8": "ключ".encode() * 10,
    "broken UTF-8": b"\xc3\x28" * 20,
    "long": b"a" * 16_000,
    "too long": b"a" * 40_000,
    "padding": b"====",
    "commas": b"," * 200,
    "signs of equality": b"t=,v1==,=" * 20,
    "versions": b"v1,v1a,v2," * 20,
    "a long number": b"t=" + b"9" * 5000 + b",v1=" + b"0" * 64,
    "a negative time": b"t=-1,v1=" + b"0" * 64,
    "quotes": b'"\\"' * 20,
}


@signed_kind
@pytest.mark.parametrize("value", MANGLED.values(), ids=MANGLED)
def test_a_mangled_signature_is_refused(server: RunningServer, kind: str, value: bytes) -> None:
    before = recorded(server)
    body, how = signed(kind)
    for name, _ in raw(how):
        headers = [(n, value if n == name else v) for n, v in raw(how)]
        assert post(server, kind, body, headers) in REFUSED
    assert recorded(server) == before


@signed_kind
@pytest.mark.parametrize("change", ["cut", "longer", "in front", "high bit"])
def test_a_signature_that_is_nearly_right_is_refused(
    server: RunningServer, kind: str, change: str
) -> None:
    before = recorded(server)
    body, how = signed(kind)
    for name, good in raw(how):
        value = {
            "cut": good[:-2],
            "longer": good + b"\xe9",
            "in front": b"\xe9" + good,
            "high bit": good[:-3] + bytes([good[-3] | 0x80]) + good[-2:],
        }[change]
        headers = [(n, value if n == name else v) for n, v in raw(how)]
        assert post(server, kind, body, headers) in REFUSED
    assert recorded(server) == before


# Mollie signs with both secrets while one replaces the other, each in a header of its own.
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in (*UNSIGNED, "mollie")])
def test_two_signatures_that_disagree_are_refused(server: RunningServer, kind: str) -> None:
    """Whichever of the two a proxy or a library would take, it is not left to chance."""
    before = recorded(server)
    body, how = signed(kind)
    _, other = signed(kind, "stranger")
    for headers in (raw(how) + raw(other), raw(other) + raw(how)):
        assert post(server, kind, body, headers) in REFUSED
    assert recorded(server) == before


@signed_kind
def test_without_a_signature_nobody_is_let_in(server: RunningServer, kind: str) -> None:
    before = recorded(server)
    body, how = signed(kind)
    assert post(server, kind, body, []) in {401, 429}
    for name, _ in raw(how):
        assert post(server, kind, body, [h for h in raw(how) if h[0] != name]) in {401, 429}
    assert recorded(server) == before


@each_kind
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_a_stranger_sends_is_refused(
    server: RunningServer, kind: str, data: st.DataObject
) -> None:
    before = recorded(server)
    body, how = signed(kind, "stranger")
    value = st.binary(max_size=80).filter(lambda v: not set(v) & set(b"\r\n\x00"))
    names = [name for name, _ in raw(how)] or [b"X-Signature"]
    headers = data.draw(st.lists(st.tuples(st.sampled_from(names), value), max_size=4))
    sent = data.draw(st.sampled_from([body, body[:-1], b"", b"\xff\xfe", b"{}", b"[" * 5000]))
    path = data.draw(st.sampled_from(["", "x", "%00", "..%2f", "a" * 3000]))
    assert post(server, kind, sent, headers, path) in REFUSED
    assert recorded(server) == before
