"""What holds for every kind of provider: who is let in, who is not, and that nothing breaks."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers import KINDS as REGISTERED
from adapters.providers import Ignored, Ping, Refused, Request, Unreadable, Verified, replayed
from adapters.providers.base import Reason
from domain.payment import PaymentStatus
from tests.adapters.providers.tables import (
    KINDS,
    NOON,
    SIGNING_KINDS,
    configured,
    key_id,
    notice,
    sample,
    secret_of,
    sent,
    with_headers,
)

each_kind = pytest.mark.parametrize("kind", KINDS)
each_signing_kind = pytest.mark.parametrize("kind", SIGNING_KINDS)
SIGNED = [*SIGNING_KINDS, "adyen"]


def test_every_kind_that_exists_is_tested_here() -> None:
    assert sorted(REGISTERED) == KINDS


# ---------------------------------------------------------------------------------- who is let in


@each_kind
def test_what_it_signs_it_lets_in_and_reads(kind: str) -> None:
    provider = configured(kind)
    request = sample(kind, provider)
    assert key_id(provider, request) == "first"
    told = notice(provider, request)
    assert (told.order_id, told.status) == ("1001", PaymentStatus.PAID)
    assert (told.provider, told.store, told.received_at) == (kind, "default", NOON)
    assert told.key_id == "key"


@each_kind
def test_each_live_secret_lets_in_and_is_told_apart(kind: str) -> None:
    new, old = secret_of(kind, "new"), secret_of(kind, "old")
    both, only_old = configured(kind, new, old), configured(kind, old)
    request = sample(kind, only_old)
    assert key_id(both, request) == "second"
    assert key_id(configured(kind, new), request) is None, "the old one is retired"


@each_kind
def test_a_stranger_with_a_secret_of_his_own_is_not_let_in(kind: str) -> None:
    stranger = configured(kind, secret_of(kind, "stranger"))
    verdict = configured(kind).verify(sample(kind, stranger))
    assert isinstance(verdict, Refused)
    assert verdict.reason in (Reason.WRONG_SIGNATURE, Reason.WRONG_TOKEN)


@each_kind
def test_who_brings_nothing_is_not_let_in_and_is_told_so(kind: str) -> None:
    provider = configured(kind)
    request = replace(sample(kind, provider), path="", headers=[])
    if kind == "adyen":
        body = json.loads(request.body)
        del body["notificationItems"][0]["NotificationRequestItem"]["additionalData"]
        request = replace(request, body=json.dumps(body).encode())
    verdict = provider.verify(request)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.NO_SIGNATURE


@each_signing_kind
def test_not_one_byte_of_the_body_can_be_changed(kind: str) -> None:
    provider = configured(kind)
    request = sample(kind, provider)
    for place in range(0, len(request.body), 7):
        changed = bytearray(request.body)
        changed[place] ^= 1
        verdict = provider.verify(replace(request, body=bytes(changed)))
        assert isinstance(verdict, Refused)
        assert verdict.reason is Reason.WRONG_SIGNATURE
    for body in (b"", request.body[:-1], request.body + b" "):
        assert not isinstance(provider.verify(replace(request, body=body)), Verified)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("mpesa", "adyen", "mollie")])
def test_of_two_headers_of_one_name_neither_counts(kind: str) -> None:
    provider = configured(kind)
    request = sample(kind, provider)
    (host, *proofs) = request.headers
    for first, second in (
        ([(name, b"x") for name, _ in proofs], proofs),
        (proofs, [(name, b"x") for name, _ in proofs]),
        (proofs, proofs),
    ):
        verdict = provider.verify(with_headers(request, [host, *first, *second]))
        assert isinstance(verdict, Refused)
        assert verdict.reason is Reason.SEVERAL_SIGNATURES


@each_kind
def test_a_network_rule_refuses_whoever_calls_from_elsewhere(kind: str) -> None:
    provider = configured(kind, addresses=["196.201.214.200", "10.1.0.0/16", "2001:db8::/32"])
    request = sample(kind, provider)
    for client in ("196.201.214.200", "10.1.2.3", "2001:db8::7", "::ffff:10.1.0.9"):
        assert key_id(provider, replace(request, client=client))
    for stranger in ("196.201.214.201", "10.2.0.1", "::1", None, "", "unix:", "10.1.2.3:80"):
        verdict = provider.verify(replace(request, client=stranger))
        assert isinstance(verdict, Refused)
        assert verdict.reason is Reason.WRONG_ADDRESS


@each_kind
@pytest.mark.parametrize("status", PaymentStatus)
def test_a_sample_of_any_status_is_let_in_and_read(kind: str, status: PaymentStatus) -> None:
    provider = configured(kind)
    request = sample(kind, provider, "1001", status)
    assert key_id(provider, request) == "first"
    told = notice(provider, request)
    typed = told.personal.references if told.personal else ()
    assert (told.order_id or typed[0]) == "1001"
    assert (told.status is PaymentStatus.PAID) is (status is PaymentStatus.PAID)


@each_kind
def test_a_word_that_nobody_knows_is_unrecognized_and_kept(kind: str) -> None:
    provider = configured(kind)
    told = notice(provider, sample(kind, provider, "1001", "gone_fishing"))
    assert told.status is PaymentStatus.UNRECOGNIZED
    assert "gone_fishing" in told.raw_status


@each_kind
def test_what_is_kept_of_a_delivery_is_enough_to_read_it_again(kind: str) -> None:
    provider = configured(kind)
    request = sample(kind, provider)
    again = replayed(request.body, provider.context(request), NOON)
    assert notice(provider, again) == notice(provider, request)
    assert "invented-secret" not in str(provider.context(request))


# ------------------------------------------------------------------------------- why it is refused


@each_signing_kind
@pytest.mark.parametrize(
    "written",
    [
        lambda data: json.dumps(data, separators=(",", ":")),
        json.dumps,
        lambda data: json.dumps(data, indent=4),
    ],
    ids=["compact", "spaces", "indented"],
)
def test_a_body_that_was_written_anew_is_recognised_as_that(kind: str, written: Any) -> None:
    """What the ledger gets is another writing of the signed body, and it finds that one."""
    provider = configured(kind)
    data = json.loads(provider.sample("1001", "PAID", NOON))
    signed = json.dumps(data, separators=(",", ":")).encode()
    request = sent(provider, signed)
    got = replace(request, body=written(data).encode())
    verdict = provider.verify(got)
    if got.body == signed:
        assert isinstance(verdict, Verified)
        return
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.WRONG_SIGNATURE
    explained = provider.explain(got, verdict)
    assert explained.reason is Reason.RESERIALISED
    assert "raw bytes" in explained.detail


@each_signing_kind
def test_a_newline_more_or_less_is_recognised(kind: str) -> None:
    provider = configured(kind)
    body = provider.sample("1001", "PAID", NOON)
    for signed, got in ((body + b"\n", body), (body, body + b"\n"), (body, body + b"\r\n")):
        request = replace(sent(provider, signed), body=got)
        verdict = provider.verify(request)
        assert isinstance(verdict, Refused)
        assert provider.explain(request, verdict).reason is Reason.RESERIALISED


@each_kind
def test_another_secret_stays_another_secret(kind: str) -> None:
    provider = configured(kind)
    request = sample(kind, configured(kind, secret_of(kind, "stranger")))
    verdict = provider.verify(request)
    assert isinstance(verdict, Refused)
    assert provider.explain(request, verdict).reason is verdict.reason


# ------------------------------------------------------------------------------------- whatever


def values() -> st.SearchStrategy[Any]:
    words = st.sampled_from(
        "PAID paid succeeded success settled true AUTHORISATION KES kes 100 -1 0 1e9 1.5 "
        "payment.captured charge.completed 9007199254740993 2026-01-05T12:00:00Z 1767614400".split()
    )
    plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8) | words
    return st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=6,
    )


def mutate(data: Any, path: list[int], value: Any) -> Any:
    """The same JSON with another value somewhere: a path of numbers picks where."""
    if not path or not isinstance(data, dict | list) or not data:
        return value
    step, *rest = path
    if isinstance(data, list):
        index = step % len(data)
        return [mutate(v, rest, value) if i == index else v for i, v in enumerate(data)]
    keys = list(data)
    key = keys[step % len(keys)]
    return {k: mutate(v, rest, value) if k == key else v for k, v in data.items()}


PROVIDERS = {kind: configured(kind) for kind in KINDS}
STATUSES = st.sampled_from([*PaymentStatus])
PATHS = st.lists(st.integers(0, 20), max_size=6)


@each_kind
@given(status=STATUSES, changes=st.lists(st.tuples(PATHS, values()), max_size=3))
def test_whatever_an_authentic_body_says_it_is_read_ignored_or_unreadable(
    kind: str, status: str, changes: list[tuple[list[int], Any]]
) -> None:
    provider = PROVIDERS[kind]
    data = json.loads(provider.sample("1001", status, NOON))
    for path, value in changes:
        data = mutate(data, path, value)
    body = json.dumps(data).encode()
    try:
        told = provider.translate(Request([], body, NOON, query=b"order_id=1001"), "digest", "key")
    except Unreadable:
        return
    if isinstance(told, Ignored):
        assert told.reason
        return
    assert told
    for one in told:
        typed = one.personal.references if one.personal else ()
        assert 1 <= len(one.order_id or typed[0]) <= 255
        assert 1 <= len(one.raw_status) <= 255
        assert 1 <= len(one.delivery_key) <= 600
        assert one.amount is None or one.amount >= 0
        assert one.occurred_at is None or one.occurred_at.utcoffset() is not None
        assert all(1 <= len(r) <= 255 for r in one.references)


@each_kind
@given(body=st.binary(max_size=200), query=st.binary(max_size=60), path=st.text(max_size=9))
def test_whatever_the_bytes_are_nothing_breaks(
    kind: str, body: bytes, query: bytes, path: str
) -> None:
    provider = PROVIDERS[kind]
    request = Request([], body, NOON, path=path, query=query)
    verdict = provider.verify(request)
    assert isinstance(verdict, Refused | Ping)
    if isinstance(verdict, Refused):
        assert provider.explain(request, verdict).detail
    with suppress(Unreadable):
        provider.translate(request, "digest", "key")


NAMES = st.sampled_from(
    "authorization verif-hash stripe-signature webhook-id webhook-timestamp webhook-signature "
    "svix-id svix-signature svix-timestamp x-paystack-signature flutterwave-signature "
    "x-wc-webhook-signature x-shopify-hmac-sha256 shopify-hmac-sha256 "
    "x-square-hmacsha256-signature x-razorpay-signature x-mollie-signature "
    "x-till-signature host".split()
).map(str.encode)
SCRAPS = st.sampled_from(
    [b"t=", b"v1=", b"v1,", b"v1a,", b",", b" ", b"=", b"sha256=", b"1767614400", b"Bearer "]
) | st.binary(max_size=30)
VALUES = st.lists(SCRAPS, max_size=6).map(b"".join)


@each_kind
@given(headers=st.lists(st.tuples(NAMES, VALUES), max_size=6), keep=st.booleans())
def test_whatever_the_headers_are_nobody_without_a_good_signature_is_let_in(
    kind: str, headers: list[tuple[bytes, bytes]], keep: bool
) -> None:
    provider = PROVIDERS[kind]
    genuine = sample(kind, provider)
    if kind == "adyen":
        genuine = replace(genuine, body=genuine.body.replace(b"1001", b"1002"))
    elif kind == "mpesa":
        genuine = replace(genuine, path="not-the-secret")
    proofs = [header for header in genuine.headers if header[0] != b"host"]
    kept = [header for header in proofs if keep and header[0] not in dict(headers)]
    verdict = provider.verify(with_headers(genuine, [*headers, *kept]))
    if isinstance(verdict, Verified):
        assert kind not in ("adyen", "mpesa")
        assert set(proofs) <= {*headers, *kept}
    else:
        assert isinstance(verdict, Refused)
        assert provider.explain(genuine, verdict).detail
