"""Hypothesis strategies that several tests share."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import strategies as st

from domain.payment import Payment, PaymentNotice, PaymentStatus
from tests.notices import NOON, notice

# Few values of each, and some more often than others, so that what is drawn often meets: the same
# key, payment or time, and news that follows a PAID.
statuses = st.sampled_from([*PaymentStatus, *[PaymentStatus.PAID, PaymentStatus.FAILED] * 3])
providers = st.sampled_from(["sevi", "sevi", "sevi", "stripe", "adyen"])
unknown_words = st.sampled_from(["settled", "cleared"])
bodies = st.integers(0, 15).map(lambda number: f"body {number}".encode())
amounts = st.sampled_from([None, Decimal("902.1"), Decimal("902.10"), Decimal("902.11")])
times = st.none() | st.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes))
payments = st.none() | st.builds(
    Payment, ref=st.sampled_from(["tx-1", "tx-2"]), status=statuses, amount=amounts
)


@st.composite
def notices(
    draw: st.DrawFn,
    of_status: st.SearchStrategy[PaymentStatus] = statuses,
    by_provider: st.SearchStrategy[str] = providers,
) -> PaymentNotice:
    """A notice about order 1. Its delivery key is its body's digest, or one of a few ids."""
    status = draw(of_status)
    key = draw(st.sampled_from([None, "evt_1", "evt_2"]))
    word = status.value if status is not PaymentStatus.UNRECOGNIZED else draw(unknown_words)
    return notice(
        status=status,
        provider=draw(by_provider),
        body=draw(bodies),
        raw_status=word,
        amount=draw(amounts),
        currency=draw(st.sampled_from([None, "KES", "UGX"])),
        payment=draw(payments),
        occurred_at=draw(times),
        **{} if key is None else {"delivery_key": key},
    )
