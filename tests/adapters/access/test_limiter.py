"""Whoever keeps failing is refused for a while; nobody else is, and memory stays bounded."""

from ipaddress import ip_address, ip_network

import pytest

from adapters.access.addresses import Address
from adapters.access.limiter import FailureLimiter

STRANGER = ip_address("203.0.113.5")


class Seconds:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def limiter(clock: Seconds) -> FailureLimiter:
    return FailureLimiter(at_once=3, seconds_per_failure=10, addresses_max=100, clock=clock)


def fail(limiter: FailureLimiter, times: int, address: Address | None = STRANGER) -> list[object]:
    return [limiter.failed(address) for _ in range(times)]


def test_some_failures_at_once_are_answered_as_such(limiter: FailureLimiter) -> None:
    assert fail(limiter, 3) == [None, None, None]


def test_more_are_refused_until_the_time_that_is_told(
    limiter: FailureLimiter, clock: Seconds
) -> None:
    fail(limiter, 3)
    assert fail(limiter, 2) == [10, 10], "what is refused makes the wait no longer"
    clock.now += 4
    assert fail(limiter, 1) == [6]
    clock.now += 6
    assert fail(limiter, 2) == [None, 10]


def test_who_waits_may_fail_again_as_often_as_at_first(
    limiter: FailureLimiter, clock: Seconds
) -> None:
    fail(limiter, 9)
    clock.now += 30
    assert fail(limiter, 4) == [None, None, None, 10]


def test_the_wait_is_a_whole_number_of_seconds_that_suffices(
    limiter: FailureLimiter, clock: Seconds
) -> None:
    fail(limiter, 3)
    clock.now += 0.25
    assert fail(limiter, 1) == [10]


def test_every_address_has_its_own_failures(limiter: FailureLimiter) -> None:
    fail(limiter, 9)
    assert fail(limiter, 1, ip_address("203.0.113.6")) == [None]
    assert fail(limiter, 1, None) == [None]
    assert fail(limiter, 1, ip_address("::cb00:7105")) == [None], "IPv6 with the same number"


def test_the_addresses_of_an_ipv6_network_of_64_bits_are_one(limiter: FailureLimiter) -> None:
    network = ip_network("2001:db8:0:1::/64")
    told = [limiter.failed(network[n]) for n in (1, 2, 2**63, 4)]
    assert told == [None, None, None, 10]
    assert fail(limiter, 1, ip_address("2001:db8:0:2::1")) == [None]
    assert len(limiter) == 2


def test_a_flood_from_many_addresses_takes_bounded_memory(limiter: FailureLimiter) -> None:
    for number in range(5000):
        assert limiter.failed(ip_network("198.18.0.0/15")[number]) is None
    assert len(limiter) == 100


def test_who_keeps_failing_is_not_forgotten_in_the_flood_of_others(
    limiter: FailureLimiter,
) -> None:
    fail(limiter, 3)
    for number in range(5000):
        limiter.failed(ip_network("198.18.0.0/15")[number])
        if number % 50 == 0:
            assert fail(limiter, 1) == [10]
