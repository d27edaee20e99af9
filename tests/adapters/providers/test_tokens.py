"""A token in the Authorization header: who holds a live one is let in, and nobody else."""

import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers import Request, Secret, Verified
from adapters.providers.base import Headers
from adapters.providers.sevi import Sevi
from adapters.providers.verifying import TokenInHeader

NEW, OLD = "new-token-3f9c", "old-token-81aa"
SECRETS = [Secret("new", NEW), Secret("old", OLD)]
VERIFIER = TokenInHeader(SECRETS, "Authorization", bearer=True)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
AUTHORIZATION = b"authorization"


def verified(verifier: TokenInHeader | Sevi, headers: Headers, body: bytes = b"") -> str | None:
    """The id of the secret that proved the sender, if one did."""
    verdict = verifier.verify(Request(headers, body, NOON))
    return verdict.key_id if isinstance(verdict, Verified) else None


def let_in(*values: bytes) -> bool:
    headers = [(b"host", b"x"), *((AUTHORIZATION, value) for value in values)]
    return verified(VERIFIER, headers) is not None


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
    assert not verified(VERIFIER, [])
    assert not verified(VERIFIER, [(b"x-authorization", NEW.encode())])


@pytest.mark.parametrize("second", [NEW, OLD, "wrong", ""])
def test_of_two_headers_neither_counts(second: str) -> None:
    assert not let_in(NEW.encode(), second.encode())
    assert not let_in(second.encode(), NEW.encode())


def test_a_token_that_was_taken_out_is_live_no_more() -> None:
    assert not verified(TokenInHeader(SECRETS[:1]), [(AUTHORIZATION, OLD.encode())])


def test_it_is_told_which_token_let_in() -> None:
    assert verified(VERIFIER, [(AUTHORIZATION, NEW.encode())]) == "new"
    assert verified(VERIFIER, [(AUTHORIZATION, OLD.encode())]) == "old"


def test_what_it_signs_it_lets_in_with_the_newest_token() -> None:
    sevi = Sevi("sevi", "default", SECRETS)
    signed = sevi.sign(b"{}", NOON).headers
    assert signed == {"Authorization": NEW}
    headers = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
    assert verified(sevi, headers, b"{}") == "new"


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
    let_in = verified(Sevi("sevi", "default", SECRETS), headers, body) is not None
    assert let_in is (len(given_values) == 1 and given_values[0] in live)
