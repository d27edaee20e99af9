"""The signature of Standard Webhooks, as its specification describes it."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.providers import CannotSign, Refused, Request, Verified, replayed
from adapters.providers.base import Reason
from tests.adapters.providers.tables import (
    MAPPING,
    NOON,
    configured,
    key_id,
    lower,
    notice,
    sample,
    secret_of,
    with_headers,
)

KIND = "standard-webhooks"
STANDARD = configured(KIND)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = (
    "whpk_"
    + base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
)
BODY = STANDARD.sample("1001", "PAID", NOON)
SENT = int(NOON.timestamp())


def v1(secret: str, message: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def v1a(message: bytes) -> str:
    return "v1a," + base64.b64encode(PRIVATE.sign(message)).decode()


def request(*signatures: str, family: str = "webhook", **changes: Any) -> Request:
    told = {"id": "msg_1", "timestamp": str(SENT), "signature": " ".join(signatures)} | changes
    headers = {f"{family}-{name}": value for name, value in told.items() if value is not None}
    return Request(lower(headers), BODY, NOON)


MESSAGE = b"msg_1.%d.%s" % (SENT, BODY)
NEW, OLD = secret_of(KIND, "new"), secret_of(KIND, "old")
GOOD = v1(NEW, MESSAGE)


def test_the_signed_id_names_the_delivery() -> None:
    told = notice(STANDARD, request(GOOD))
    assert told.delivery_key == "msg_1"


def test_a_path_into_the_body_may_name_it_instead() -> None:
    named = configured(KIND, delivery_id="data.order")
    assert notice(named, request(GOOD)).delivery_key == "1001"


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_both_families_of_header_names_are_read(family: str) -> None:
    assert key_id(STANDARD, request(GOOD, family=family)) == "first"
    assert notice(STANDARD, request(GOOD, family=family)).delivery_key == "msg_1"


@pytest.mark.parametrize("place", [0, 99])
def test_an_id_that_nobody_signed_names_nothing(place: int) -> None:
    genuine = request(GOOD, family="svix")
    headers = list(genuine.headers)
    headers.insert(place, (b"webhook-id", b"msg_2"))
    retargeted = with_headers(genuine, headers)
    assert key_id(STANDARD, retargeted) == "first"
    assert notice(STANDARD, retargeted).delivery_key == "msg_1"
    again = replayed(BODY, STANDARD.context(retargeted), NOON)
    assert notice(STANDARD, again).delivery_key == "msg_1"


@pytest.mark.parametrize(
    "entries",
    [
        ["v1,AAAA", GOOD],
        [GOOD, "v1,AAAA"],
        ["nonsense", "v1", "v1,", ",", "", "v2,x,y", "v1,===", GOOD],
        ["v1a,AAAA", "v1a,", "v1,\xff\xfe", GOOD],
        [v1(OLD, MESSAGE), GOOD],
    ],
    ids=range(5),
)
def test_a_malformed_entry_never_hides_a_good_one(entries: list[str]) -> None:
    assert isinstance(STANDARD.verify(request(*entries)), Verified)


@pytest.mark.parametrize(
    "entries",
    [
        ["v1,AAAA"],
        [v1(secret_of(KIND, "stranger"), MESSAGE)],
        [GOOD.replace("v1,", "v2,")],
        [GOOD.replace("v1,", "v1a,")],
        [GOOD[:-1]],
        [GOOD.rstrip("=")],
        [GOOD[3:]],
        ["v1,"],
        ["nonsense"] * 40 + [GOOD],
    ],
    ids=range(9),
)
def test_without_a_good_entry_nobody_is_let_in(entries: list[str]) -> None:
    verdict = STANDARD.verify(request(*entries))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, Reason.NO_SIGNATURE),
        ({"timestamp": None}, Reason.NO_SIGNATURE),
        ({"signature": None}, Reason.NO_SIGNATURE),
        ({"id": ""}, Reason.MALFORMED),
        ({"id": "msg 1"}, Reason.MALFORMED),
        ({"id": "m\xe9"}, Reason.MALFORMED),
        ({"id": "m" * 256}, Reason.MALFORMED),
        ({"timestamp": ""}, Reason.MALFORMED),
        ({"timestamp": f"{SENT}.5"}, Reason.MALFORMED),
        ({"timestamp": f"+{SENT}"}, Reason.MALFORMED),
        ({"timestamp": f"0{SENT}"}, Reason.MALFORMED),
        ({"timestamp": "9" * 12}, Reason.MALFORMED),
        ({"timestamp": "\xb2"}, Reason.MALFORMED),
        ({"id": "msg_2"}, Reason.WRONG_SIGNATURE),
        ({"timestamp": str(SENT + 1)}, Reason.WRONG_SIGNATURE),
    ],
    ids=range(15),
)
def test_each_header_has_to_be_there_and_is_signed(changes: Any, reason: Reason) -> None:
    verdict = STANDARD.verify(request(GOOD, **changes))
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason


@pytest.mark.parametrize("seconds", [-301, -300, 0, 300, 301])
def test_five_minutes_either_way_are_tolerated(seconds: int) -> None:
    received = replace(request(GOOD), received_at=NOON + timedelta(seconds=seconds))
    verdict = STANDARD.verify(received)
    if abs(seconds) <= 300:
        assert isinstance(verdict, Verified)
    else:
        assert isinstance(verdict, Refused)
        assert verdict.reason is (Reason.TOO_OLD if seconds > 0 else Reason.TOO_EARLY)
        assert "301 seconds" in verdict.detail


def test_a_public_key_verifies_v1a_beside_a_shared_secret() -> None:
    both = configured(KIND, PUBLIC, NEW)
    assert key_id(both, request(v1a(MESSAGE))) == "first"
    assert key_id(both, request(GOOD)) == "second"
    assert key_id(both, request("v1,AAAA", "v1a,AAAA", v1a(MESSAGE))) == "first"
    assert key_id(both, request(v1a(MESSAGE + b" "))) is None
    assert key_id(both, request(v1a(MESSAGE).replace("v1a,", "v1,"))) is None
    assert key_id(STANDARD, request(v1a(MESSAGE))) is None, "nobody configured the public key"


def test_a_public_key_cannot_sign_and_says_so() -> None:
    with pytest.raises(CannotSign, match="whsec_"):
        configured(KIND, PUBLIC).sign(BODY, NOON)


def test_a_secret_may_lack_its_prefix() -> None:
    assert key_id(configured(KIND, NEW.removeprefix("whsec_")), request(GOOD)) == "first"


def test_the_scheme_is_there_for_a_custom_provider_too() -> None:
    table = MAPPING | {"verify": {"scheme": "standard-webhooks", "tolerance_seconds": 600}}
    table = table | {"delivery_id": None, "payment_ref": None}
    custom = configured("custom", NEW, **table)
    assert key_id(custom, sample("custom", custom)) == "first"
    late = replace(request(GOOD), received_at=NOON + timedelta(seconds=600))
    assert key_id(custom, late) == "first"
    assert notice(custom, late).delivery_key == "msg_1"
