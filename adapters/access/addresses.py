"""Where a request comes from: its peer, or, behind proxies that are trusted, whom they name."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOPS_MAX = 16  # of X-Forwarded-For that are looked at; who sends more says nothing credible
FORWARDED_FOR = b"x-forwarded-for"


def client_address(
    peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network] = ()
) -> Address | None:
    """The address of the client; None where the peer has none (a local socket).

    X-Forwarded-For counts only where the peer is a trusted proxy. It is read from the right, since
    each proxy adds whom it saw at the end, and what stands to the left of the first untrusted hop
    was written by a stranger. Where every hop is trusted, the leftmost is the client. One that is
    no address, or too many, and the peer it is: nobody hides behind a header that cannot be read.
    Header names are lower case, as in ASGI.
    """
    address = parse_address(peer or "")
    if address is None or not _is_trusted(address, trusted):
        return address
    hops = b",".join(value for name, value in headers if name == FORWARDED_FOR).decode("latin-1")
    if not hops:
        return address
    client = address
    for hop in reversed(hops.rsplit(",", HOPS_MAX)):
        named = parse_address(_without_port(hop.strip()))
        if named is None:
            return address
        client = named
        if not _is_trusted(named, trusted):
            break
    return client


def is_trusted_peer(peer: str | None, trusted: Sequence[Network]) -> bool:
    """Whether the peer of a connection is a proxy that is trusted."""
    address = parse_address(peer or "")
    return address is not None and _is_trusted(address, trusted)


def parse_address(text: str) -> Address | None:
    """The address that a text names. An IPv4 address in IPv6's clothes is the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:  # which interface it came in by says nothing of who it is
            address = IPv6Address(int(address))
        return address.ipv4_mapped or address
    return address


def _without_port(hop: str) -> str:
    """`192.0.2.1:4711` and `[2001:db8::1]:4711`, as some proxies write, without the port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
