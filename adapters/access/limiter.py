"""Refusing addresses that keep failing to authenticate. What is authentic never comes here."""

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address
from time import monotonic

from adapters.access.addresses import Address

FAILURES_AT_ONCE = 20  # a shop that changes its token must not be refused in its first minute
SECONDS_PER_FAILURE = 3.0
ADDRESSES_MAX = 10_000
IPV6_HOST_BITS = 64  # a customer has a whole /64: its addresses are one

Key = int | tuple[int] | None


class FailureLimiter:
    """A bucket of failures for each address: so many at once, then one every few seconds.

    Lives on one event loop. An address is one number: the time at which its bucket will be empty
    again (the generic cell rate algorithm, ITU-T I.371). At most `addresses_max` are known; beyond
    that the one that failed longest ago is forgotten.
    """

    def __init__(
        self,
        at_once: int = FAILURES_AT_ONCE,
        seconds_per_failure: float = SECONDS_PER_FAILURE,
        addresses_max: int = ADDRESSES_MAX,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._interval = seconds_per_failure
        self._room = at_once * seconds_per_failure
        self._addresses_max = addresses_max
        self._clock = clock
        self._empty_at: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._empty_at)

    def failed(self, address: Address | None) -> int | None:
        """Count a failure. None where it may be answered as the failure that it is; else the
        seconds after which the next one may, for 429 and its Retry-After.

        A failure that is refused fills no bucket: who keeps on is refused at the same pace.
        """
        key = _key(address)
        now = self._clock()
        empty_at = max(self._empty_at.get(key, now), now) + self._interval
        over = empty_at - now - self._room
        if over > 0:
            self._empty_at.move_to_end(key)
            return math.ceil(over)
        self._empty_at[key] = empty_at
        self._empty_at.move_to_end(key)
        if len(self._empty_at) > self._addresses_max:
            self._empty_at.popitem(last=False)
        return None


def _key(address: Address | None) -> Key:
    if isinstance(address, IPv6Address):
        return (int(address) >> IPV6_HOST_BITS,)  # a tuple, so that no IPv4 address equals it
    return None if address is None else int(address)
