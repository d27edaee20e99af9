"""Where a request comes from, and whom nobody can make it say that it comes from."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.access.addresses import HOPS_MAX, client_address, parse_address

PROXIES = [ip_network("127.0.0.1/32"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def client(peer: str | None, *forwarded: str) -> str:
    headers = [(b"host", b"ledger"), *((b"x-forwarded-for", f.encode()) for f in forwarded)]
    return str(client_address(peer, headers, PROXIES))


def test_without_trusted_proxies_it_is_the_peer_whatever_the_headers_say() -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.7"), (b"forwarded", b"for=198.51.100.7")]
    assert str(client_address("203.0.113.5", headers)) == "203.0.113.5"


def test_a_stranger_cannot_name_another_address() -> None:
    assert client("203.0.113.5", "198.51.100.7") == "203.0.113.5"


@pytest.mark.parametrize(
    ("forwarded", "named"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        (["198.51.100.7", "10.1.2.3"], "198.51.100.7"),
        (["1.1.1.1, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        (["1.1.1.1", "198.51.100.7,10.1.2.3 ,10.1.2.4"], "198.51.100.7"),
        (["rubbish, 198.51.100.7"], "198.51.100.7"),
        (["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, ::ffff:10.1.2.3"], "198.51.100.7"),
        (["198.51.100.7, fd00::1"], "198.51.100.7"),
    ],
)
def test_behind_proxies_it_is_the_first_untrusted_hop_from_the_right(
    forwarded: list[str], named: str
) -> None:
    assert client("127.0.0.1", *forwarded) == named
    assert client("::ffff:127.0.0.1", *forwarded) == named


@pytest.mark.parametrize(
    "forwarded",
    [
        "",
        " ",
        ",",
        "rubbish",
        "198.51.100.7, rubbish",
        "198.51.100.7,",
        "unknown",
        "_hidden",
        "198.51.100.256",
        "0198.51.100.7",
        "1" * 5000,
        "198.51.100.7; drop",
        ", ".join(["198.51.100.7", *["10.1.2.3"] * (HOPS_MAX + 1)]),
    ],
)
def test_a_header_that_cannot_be_read_means_the_peer(forwarded: str) -> None:
    assert client("127.0.0.1", forwarded) == "127.0.0.1"


def test_a_proxy_that_says_nothing_is_the_client() -> None:
    assert client("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("peer", [None, "", "/run/ledger.sock"])
def test_a_local_socket_has_no_address(peer: str | None) -> None:
    assert client_address(peer, [(b"x-forwarded-for", b"198.51.100.7")], PROXIES) is None


def test_an_interface_says_nothing_of_who_somebody_is() -> None:
    assert parse_address("fe80::1%eth0") == ip_address("fe80::1")


@given(
    peer=st.ip_addresses(),
    left=st.lists(st.binary(max_size=40), max_size=3),
    right=st.lists(st.binary(max_size=40), max_size=3),
)
def test_whatever_is_sent_an_untrusted_peer_is_the_client(
    peer: object, left: list[bytes], right: list[bytes]
) -> None:
    proxies = [ip_network("192.0.2.0/24")]
    address = parse_address(str(peer))
    assert address is not None
    headers = [(b"x-forwarded-for", value) for value in [*left, b"198.51.100.7", *right]]
    found = client_address(str(peer), headers, proxies)
    assert found is not None, "no header makes a client vanish"
    if address not in proxies[0]:
        assert found == address


@given(left=st.binary(max_size=60))
def test_what_stands_left_of_an_untrusted_hop_changes_nothing(left: bytes) -> None:
    headers = [(b"x-forwarded-for", left), (b"x-forwarded-for", b"198.51.100.7, 10.1.2.3")]
    assert str(client_address("127.0.0.1", headers, PROXIES)) == "198.51.100.7"
