"""A request whose sender is proven, as the delivery that the ledger records: the one way in for
webhooks, replays and imports alike."""

import logging

from adapters.ledger.application import Delivery
from adapters.providers import Ignored, Provider, Request, Unreadable
from adapters.telemetry.logs import discreetly
from adapters.vault.keys import Hashing, Opens
from domain.payment import Origin, Outcome, PaymentNotice, Personal

TYPED_DIGITS = 24
log = logging.getLogger("order_ledger.deliveries")


def delivery_of(
    provider: Provider,
    request: Request,
    key_id: str | None,
    hashing: Hashing,
    origin: Origin = Origin.WEBHOOK,
    replay_of: int | None = None,
    opens: Opens | None = None,
) -> Delivery:
    """The delivery that a request makes, translated, or set aside with the reason.

    `key_id` is that of the verdict, `replay_of` the delivery that is taken in once more, whose body
    the keys in `opens` open. `hashing` is the ledger's.
    """
    body = request.body
    body_hash = hashing.body(body)
    outcome, reason = Outcome.RECORDED, None
    notices: tuple[PaymentNotice, ...] = ()
    try:
        told = provider.translate(request, body_hash, key_id)
        if isinstance(told, Ignored):
            outcome, reason = Outcome.IGNORED, told.reason
        else:
            notices = told
    except Unreadable as unreadable:
        outcome, reason = Outcome.QUARANTINED, str(unreadable)
    except Exception as error:  # a defect of ours must not cost the shop its payment news
        log.error("the adapter of %s failed: %s", provider.name, discreetly(error))
        outcome, reason = Outcome.QUARANTINED, f"the adapter failed: {type(error).__name__}"
    for notice in notices:
        if notice.personal is not None:
            _hide(notice, notice.personal, hashing)
        notice.origin = origin
    return Delivery(
        provider.name,
        request.received_at,
        body,
        body_hash,
        notices,
        outcome,
        reason,
        address=request.client,
        key_id=key_id,
        origin=origin,
        replay_of=replay_of,
        context=provider.context(request),
        opens=opens,
    )


def _hide(notice: PaymentNotice, personal: Personal, hashing: Hashing) -> None:
    """Note the hashes by which what names a person can be found; an order that nobody but a payer
    named gets its id from one."""
    notice.hidden_references = tuple(map(hashing.reference, personal.references))
    if personal.customer is not None:
        notice.customer = hashing.customer(personal.customer)
    if not notice.order_id:
        notice.order_id = f"typed-{notice.hidden_references[0][:TYPED_DIGITS]}"
        notice.is_typed = True
