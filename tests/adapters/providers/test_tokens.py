"""A token in the Authorization header: who holds a live one is let in, and nobody else."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.base import TokenInHeader
from adapters.providers.sevi import Sevi

NEW, OLD = "new-token-3f9c", "old-token-81aa"
VERIFIER = TokenInHeader([NEW, OLD])
AUTHORIZATION = b"authorization"


def let_in(*values: bytes) -> bool:
    return VERIFIER.verify([(b"host", b"x"), *((AUTHORIZATION, value) for value in values)])


@pytest.mark.parametrize("token", [NEW, OLD])
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer ", "BEARER "])
def test_each_live_token_is_let_in_bare_or_as_bearer(scheme: str, token: str) -> None:
    assert let_in(f"{scheme}{token}".encode())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"wrong",
        NEW[:-1].encode(),
        f"{NEW}x".encode(),
        f"x{NEW}".encode(),
        NEW.upper().encode(),
        f"{NEW},{OLD}".encode(),
        f"{NEW}, {NEW}".encode(),
        f"Basic {NEW}".encode(),
        f"Token {NEW}".encode(),
        f"Bearer: {NEW}".encode(),
        f"Bearer{NEW}".encode(),
        f"Bearer Bearer {NEW}".encode(),
        f"{NEW}\x00".encode(),
        f"{NEW}\n".encode(),
        b"\xff\xfe\xfd",
        "\u0442oken".encode(),
        NEW.encode("utf-16"),
        b"x" * 100_000,
    ],
)
def test_anything_else_is_not(value: bytes) -> None:
    assert not let_in(value)


def test_without_the_header_nobody_is_let_in() -> None:
    assert not let_in()
    assert not VERIFIER.verify([])
    assert not VERIFIER.verify([(b"x-authorization", NEW.encode())])


@pytest.mark.parametrize("second", [NEW, OLD, "wrong", ""])
def test_of_two_headers_neither_counts(second: str) -> None:
    assert not let_in(NEW.encode(), second.encode())
    assert not let_in(second.encode(), NEW.encode())


def test_a_token_that_was_taken_out_is_live_no_more() -> None:
    assert not TokenInHeader([NEW]).verify([(AUTHORIZATION, OLD.encode())])


def test_what_it_signs_it_lets_in_with_the_newest_token() -> None:
    sevi = Sevi("sevi", "default", [NEW, OLD])
    signed = sevi.sign(b"{}")
    assert signed == {"Authorization": NEW}
    headers = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
    assert sevi.authenticate(headers, b"{}")


@pytest.mark.parametrize("value", [NEW, OLD, "wrong", ""])
def test_every_live_token_is_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return hmac_compare(a, b)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    let_in(value.encode())
    assert compared == [(32, 32), (32, 32)], "whatever was given, and wherever it differs"


HEADER_NAMES = st.sampled_from([AUTHORIZATION, b"Authorization", b"host", b""]) | st.binary()
HEADER_VALUES = (
    st.sampled_from([NEW.encode(), b"Bearer " + OLD.encode(), b"Bearer ", b""]) | st.binary()
)


@given(st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=5), st.binary())
def test_whatever_the_headers_the_answer_is_yes_or_no(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    given_values = [value for name, value in headers if name == AUTHORIZATION]
    live = {scheme + token.encode() for scheme in (b"", b"Bearer ") for token in (NEW, OLD)}
    let_in = Sevi("sevi", "default", [NEW, OLD]).authenticate(headers, body)
    assert let_in is (len(given_values) == 1 and given_values[0] in live)
