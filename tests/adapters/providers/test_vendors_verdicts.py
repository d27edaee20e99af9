"""The vendors' own libraries as judges: their verdict is ours, but for the defects named here.

Each property makes a delivery, good or spoilt in some way, and asks both.
"""

import json
import time
from datetime import UTC, datetime, timedelta

import Adyen.util
import pytest
import razorpay.errors
import razorpay.utility
import standardwebhooks
import stripe
from hypothesis import given
from hypothesis import strategies as st
from square.utils.webhooks_helper import verify_signature as square_verifies

from adapters.providers import Provider, Request, Verified
from tests.adapters.providers.tables import URL, configured, lower, secret_of, sent
from tests.adapters.providers.test_adyen import batch, item, signed

BODIES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(
    lambda text: json.dumps({"note": text}, ensure_ascii=False)
)
SECRETS = st.sampled_from(["new", "stranger"])
# Far enough from the edges of the tolerance that the clock's going on changes nothing.
OFFSETS = st.sampled_from([0, 1, 200, -200, 290, -290])
TEXTS = st.text(st.characters(codec="ascii", min_codepoint=33), max_size=12)


def spoilt(header: str) -> st.SearchStrategy[str]:
    """The header as it is, or changed in some way that a header can be changed."""
    return st.one_of(
        st.just(header),
        st.just(header[:-1]),
        st.just(header + "A"),
        st.just(header.swapcase()),
        st.integers(0, len(header) - 1).map(lambda i: header[:i] + "0" + header[i + 1 :]),
        TEXTS,
    )


def ours(provider: Provider, headers: dict[str, str], body: str, now: datetime) -> bool:
    verdict = provider.verify(Request(lower(headers), body.encode(), now))
    return isinstance(verdict, Verified)


# --------------------------------------------------------------------------------------- Stripe


def stripe_says(header: str, body: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300)
    except stripe.SignatureVerificationError:
        return False
    return True


STRIPE = configured("stripe", secret_of("stripe", "new"))


@given(data=st.data(), body=BODIES, got=BODIES, which=SECRETS, late=OFFSETS, kept=st.booleans())
def test_stripe(
    data: st.DataObject, body: str, got: str, which: str, late: int, kept: bool
) -> None:
    now = datetime.now(UTC)
    sender = configured("stripe", secret_of("stripe", which))
    made = sent(sender, body.encode(), now - timedelta(seconds=late))
    header = data.draw(spoilt(dict(made.headers)[b"stripe-signature"].decode()))
    got = body if kept else got
    theirs = stripe_says(header, got, secret_of("stripe", "new"))
    assert ours(STRIPE, {"Stripe-Signature": header}, got, now) is theirs


def test_stripe_takes_what_is_signed_for_tomorrow_and_we_do_not() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    header = sent(STRIPE, b"{}", tomorrow).headers[1][1].decode()
    assert stripe_says(header, "{}", secret_of("stripe", "new"))
    assert not ours(STRIPE, {"Stripe-Signature": header}, "{}", datetime.now(UTC))


def test_stripe_reads_a_time_as_python_does_and_we_only_as_stripe_writes_it() -> None:
    now = int(time.time())
    signature = stripe.WebhookSignature._compute_signature(f"{now}.{{}}", "invented-secret-new")
    for written in (f" {now}", f"0{now}", f"+{now}", f"{now},t=1"):
        header = f"t={written},v1={signature}"
        assert stripe_says(header, "{}", "invented-secret-new")
        assert not ours(STRIPE, {"Stripe-Signature": header}, "{}", datetime.now(UTC))


def test_stripe_breaks_on_letters_that_are_not_ascii_and_we_do_not() -> None:
    header = sent(STRIPE, b"{}", datetime.now(UTC)).headers[1][1].decode()
    hidden = header.replace("v1=", "v1=\xe9,v1=")
    with pytest.raises(TypeError):
        stripe_says(hidden, "{}", "invented-secret-new")
    assert ours(STRIPE, {"Stripe-Signature": hidden}, "{}", datetime.now(UTC))


# --------------------------------------------------------------------------- Standard Webhooks


STANDARD = configured("standard-webhooks", secret_of("standard-webhooks", "new"))
JUDGE = standardwebhooks.Webhook(secret_of("standard-webhooks", "new"))


def standard_says(headers: dict[str, str], body: str) -> bool:
    try:
        JUDGE.verify(body, headers, json_parse=False)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


@given(
    body=BODIES,
    got=BODIES,
    which=st.lists(SECRETS, min_size=1, max_size=3),
    late=st.sampled_from([0, 200, -200, 400, -400, 90000]),
    kept=st.booleans(),
    message_id=TEXTS,
    version=st.sampled_from(["v1", "v1a", "v2", "V1", ""]),
)
def test_standard_webhooks(
    body: str, got: str, which: list[str], late: int, kept: bool, message_id: str, version: str
) -> None:
    now = datetime.now(UTC)
    at = now - timedelta(seconds=late)
    entries = [
        standardwebhooks.Webhook(secret_of("standard-webhooks", one)).sign("msg_1", at, body)
        for one in which
    ]
    entries[0] = entries[0].replace("v1,", f"{version},")
    headers = {
        "webhook-id": message_id if not kept else "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(entries),
    }
    got = body if kept else got
    assert ours(STANDARD, headers, got, now) is standard_says(headers, got)


def test_their_library_lets_a_malformed_entry_hide_a_good_one_and_we_do_not() -> None:
    now = datetime.now(UTC)
    good = JUDGE.sign("msg_1", now, "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    hidden = headers | {"webhook-signature": f"nonsense {good}"}
    with pytest.raises(ValueError, match="unpack"):
        standard_says(hidden, "{}")
    assert ours(STANDARD, hidden, "{}", now)


def test_their_library_reads_base64_with_other_letters_in_it_and_we_do_not() -> None:
    now = datetime.now(UTC)
    good = JUDGE.sign("msg_1", now, "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    odd = headers | {"webhook-signature": good.replace("v1,", "v1,!!")}
    assert standard_says(odd, "{}")
    assert not ours(STANDARD, odd, "{}", now)


# -------------------------------------------------------------------------------------- Razorpay


RAZORPAY = configured("razorpay", secret_of("razorpay", "new"))


def razorpay_says(header: str, body: str) -> bool:
    utility = razorpay.utility.Utility()
    try:
        utility.verify_webhook_signature(body, header, secret_of("razorpay", "new"))
    except razorpay.errors.SignatureVerificationError:
        return False
    return True


@given(data=st.data(), body=BODIES, got=BODIES, which=SECRETS, kept=st.booleans())
def test_razorpay(data: st.DataObject, body: str, got: str, which: str, kept: bool) -> None:
    now = datetime.now(UTC)
    made = sent(configured("razorpay", secret_of("razorpay", which)), body.encode(), now)
    header = data.draw(spoilt(dict(made.headers)[b"x-razorpay-signature"].decode()))
    got = body if kept else got
    assert ours(RAZORPAY, {"X-Razorpay-Signature": header}, got, now) is razorpay_says(header, got)


def test_razorpay_breaks_on_letters_that_are_not_ascii_and_we_do_not() -> None:
    with pytest.raises(TypeError):
        razorpay_says("\xe9", "{}")
    assert not ours(RAZORPAY, {"X-Razorpay-Signature": "\xe9"}, "{}", datetime.now(UTC))


# ---------------------------------------------------------------------------------------- Square


SQUARE = configured("square", secret_of("square", "new"))


@given(data=st.data(), body=BODIES, got=BODIES, which=SECRETS, kept=st.booleans())
def test_square(data: st.DataObject, body: str, got: str, which: str, kept: bool) -> None:
    now = datetime.now(UTC)
    made = sent(configured("square", secret_of("square", which)), body.encode(), now)
    header = data.draw(spoilt(dict(made.headers)[b"x-square-hmacsha256-signature"].decode()))
    got = body if kept else got
    theirs = square_verifies(
        request_body=got,
        signature_header=header,
        signature_key=secret_of("square", "new"),
        notification_url=URL,
    )
    assert ours(SQUARE, {"X-Square-HmacSha256-Signature": header}, got, now) is theirs


# ----------------------------------------------------------------------------------------- Adyen


NEW = secret_of("adyen", "new")
ADYEN = configured("adyen", NEW)


def adyen_says(request: Request) -> bool:
    verdict = Adyen.util.is_valid_hmac_notification(json.loads(request.body), NEW)
    return bool(verdict)


def let_in(request: Request) -> bool:
    return isinstance(ADYEN.verify(request), Verified)


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), max_size=9)


@given(
    fields=st.fixed_dictionaries(
        {
            "pspReference": FIELDS,
            "merchantReference": FIELDS,
            "success": st.sampled_from(["true", "false"]),
            "eventCode": FIELDS,
        },
        optional={"originalReference": FIELDS},
    ),
    value=st.integers(-10, 10**20),
    changes=st.dictionaries(
        st.sampled_from("pspReference merchantReference success eventCode reason".split()),
        FIELDS,
        max_size=1,
    ),
    which=SECRETS,
)
def test_adyen_on_batches_of_one(
    fields: dict[str, str], value: int, changes: dict[str, str], which: str
) -> None:
    made = signed(
        item(**fields, amount={"value": value, "currency": "KES"}), secret_of("adyen", which)
    )
    request = batch(made | changes)
    assert let_in(request) is adyen_says(request)


def test_adyen_looks_at_the_first_item_only_and_we_at_all() -> None:
    forged = batch(signed(item()), item(merchantReference="forged"))
    assert adyen_says(forged)
    assert not let_in(forged)


def test_adyen_breaks_on_an_item_without_a_signature_and_we_refuse_it() -> None:
    with pytest.raises(KeyError):
        adyen_says(batch(item(additionalData={})))
    assert not let_in(batch(item(additionalData={})))
    assert not let_in(batch(item()))


def test_adyen_takes_fields_that_were_shared_out_anew_and_we_do_not() -> None:
    genuine = signed(item(merchantReference="1001:7"))
    moved = batch(genuine | {"merchantAccountCode": "FruitShop:1001", "merchantReference": "7"})
    assert adyen_says(moved)
    assert not let_in(moved)
