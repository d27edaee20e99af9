"""A request whose sender is proven, as the delivery that the ledger records: the one way in for
webhooks, replays and imports alike."""

import hashlib
import logging

from adapters.ledger import Delivery
from adapters.logs import discreetly
from adapters.providers import Ignored, Provider, Request, Unreadable
from domain.payment import Origin, Outcome, PaymentNotice

log = logging.getLogger("order_ledger.deliveries")


def delivery_of(
    provider: Provider,
    request: Request,
    key_id: str | None,
    origin: Origin = Origin.WEBHOOK,
    replay_of: int | None = None,
) -> Delivery:
    """The delivery that a request makes, translated, or set aside with the reason.

    `key_id` is that of the verdict, `replay_of` the delivery that is taken in once more.
    """
    body = request.body
    digest = hashlib.sha256(body).hexdigest()
    outcome, reason = Outcome.RECORDED, None
    notices: tuple[PaymentNotice, ...] = ()
    try:
        told = provider.translate(request, digest, key_id)
        if isinstance(told, Ignored):
            outcome, reason = Outcome.IGNORED, told.reason
        else:
            notices = told
    except Unreadable as unreadable:
        outcome, reason = Outcome.QUARANTINED, str(unreadable)
    except Exception as error:  # a defect of ours must not cost the shop its payment news
        log.error("the adapter of %s failed: %s", provider.name, discreetly(error))
        outcome, reason = Outcome.QUARANTINED, f"the adapter failed: {type(error).__name__}"
    if origin is not Origin.WEBHOOK:
        for notice in notices:
            notice.origin = origin
    return Delivery(
        provider.name,
        request.received_at,
        body,
        digest,
        notices,
        outcome,
        reason,
        address=request.client,
        key_id=key_id,
        origin=origin,
        replay_of=replay_of,
        context=provider.context(request),
    )
