"""What did not authenticate: noted off the path of deliveries, and verified again on request."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.ledger.application import OrderLedger, Receipt
from adapters.providers import Provider, ProviderSettings, Reason, Refused, Request, Verified
from adapters.storage.access import Operation, OperatorLog
from adapters.storage.log import StorageUnavailable
from adapters.storage.refusals import (
    KEPT_BYTES_MAX,
    KEPT_ROWS,
    KeptRefusal,
    RefusalRow,
    Refusals,
)
from adapters.telemetry.logs import discreetly

log = logging.getLogger("order_ledger.deliveries")

WRITE_SECONDS = 1.0
CONTENT_TYPE = b"content-type"


@dataclass(slots=True)
class _Noted:
    """Refusals of one provider for one reason since the last write, and what the last was like."""

    provider: Provider
    request: Request
    refused: Refused
    body_bytes: int | None
    count: int = 0


class RefusalNotes:
    """Notes refusals for a ring of the database. Lives on one event loop.

    A refusal costs the loop an entry in a dictionary. A task writes at most once a second what was
    noted since: a row for each provider and reason, and, of providers whose table says so, whole
    deliveries. What cannot be written is forgotten, for it must not pile up.
    """

    def __init__(self, refusals: Refusals, settings: Mapping[str, ProviderSettings]) -> None:
        self._refusals = refusals
        self._kept_headers = {
            name: kept_headers(table) for name, table in settings.items() if table.keep_refused
        }
        self._noted: dict[tuple[str, Reason], _Noted] = {}
        self._whole: dict[tuple[str, bytes], KeptRefusal] = {}
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write from now on."""
        self._task = asyncio.get_running_loop().create_task(self._write_often())

    async def close(self) -> None:
        """Write what was noted, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    def note(
        self, provider: Provider, request: Request, refused: Refused, body_bytes: int | None
    ) -> None:
        """Note a refusal. The request is looked at again when it is written."""
        key = (provider.name, refused.reason)
        count = self._noted[key].count if key in self._noted else 0
        self._noted[key] = _Noted(provider, request, refused, body_bytes, count + 1)
        names = self._kept_headers.get(provider.name)
        may_verify = refused.reason is not Reason.NO_SIGNATURE
        fits = 0 < len(request.body) <= KEPT_BYTES_MAX and len(self._whole) < KEPT_ROWS
        if names is not None and may_verify and fits:
            kept = _whole(provider, request, refused, names)
            self._whole.setdefault((kept.provider, kept.body), kept)
        self._some.set()

    async def _write_often(self) -> None:
        while True:
            await self._some.wait()
            await self._write()
            await asyncio.sleep(WRITE_SECONDS)

    async def _write(self) -> None:
        self._some.clear()
        noted, self._noted = list(self._noted.values()), {}
        whole, self._whole = list(self._whole.values()), {}
        if not noted:
            return
        try:
            await asyncio.to_thread(self._add, noted, whole)
        except StorageUnavailable as error:
            log.error("refusals could not be noted: %s", error)
        except Exception as error:  # a defect of ours must not end the task
            log.error("refusals could not be noted: %s", discreetly(error))

    def _add(self, noted: Sequence[_Noted], whole: Sequence[KeptRefusal]) -> None:
        self._refusals.add([_row(one) for one in noted], whole)


def explained(provider: Provider, request: Request, refused: Refused) -> Refused:
    """A refusal after a closer look, which costs more than the refusal did."""
    try:
        return provider.explain(request, refused)
    except Exception as error:  # none of ours raises; a package's may
        log.error("%s could not explain a refusal: %s", provider.name, discreetly(error))
        return refused


def kept_headers(table: ProviderSettings) -> frozenset[bytes]:
    """The names of the headers that are kept with a refused delivery."""
    names = table.signature_headers()
    assert names is not None, "the configuration lets no other kind keep what it refused"
    return frozenset(name.lower().encode() for name in names) | {CONTENT_TYPE}


def _row(noted: _Noted) -> RefusalRow:
    told = explained(noted.provider, noted.request, noted.refused)
    return RefusalRow(
        noted.request.received_at,
        noted.provider.name,
        told.reason.value,
        told.detail,
        noted.request.client,
        noted.body_bytes,
        noted.count,
    )


def _whole(
    provider: Provider, request: Request, refused: Refused, names: frozenset[bytes]
) -> KeptRefusal:
    return KeptRefusal(
        request.received_at,
        provider.name,
        refused.reason.value,
        request.client,
        [(name, value) for name, value in request.headers if name in names],
        request.body,
    )


# --------------------------------------------------------------------------------- verified again


class NoSuchRefusal(LookupError):
    """No refused delivery of this number is kept; the message says what may have become of it."""


class Retried(NamedTuple):
    """What became of a refused delivery: its receipt, or why it is still refused."""

    number: int
    receipt: Receipt | None
    refused: str | None = None


class RefusedDeliveries:
    """The refused deliveries that are kept whole. Every method blocks."""

    def __init__(
        self,
        refusals: Refusals,
        ledger: OrderLedger,
        providers: Mapping[str, Provider],
        operators: OperatorLog,
    ) -> None:
        self._refusals = refusals
        self._ledger = ledger
        self._providers = providers
        self._operators = operators

    def retry(self, caller: Caller, number: int) -> Retried:
        """Verify one again with the secrets of today, as of the time when it was received, and take
        it in as the delivery that it then is.

        Raises `NoSuchRefusal` and `StorageUnavailable`.
        """
        return self._retry(caller, self._kept(number))

    def retry_all(self, caller: Caller) -> Iterator[Retried]:
        """Verify all of them again, the oldest first."""
        for kept in self._refusals.kept():
            yield self._retry(caller, kept)

    def explain(self, number: int) -> Verified | Refused:
        """What the secrets of today say of one. Raises `NoSuchRefusal`."""
        kept = self._kept(number)
        provider = self._providers.get(kept.provider)
        return _not_configured(kept) if provider is None else verdict_of(provider, request_of(kept))

    def _kept(self, number: int) -> KeptRefusal:
        kept = self._refusals.one_kept(number)
        if kept is None:
            raise NoSuchRefusal(
                f"no refused delivery {number} is kept: it was taken in, or newer ones took its "
                "place"
            )
        return kept

    def _retry(self, caller: Caller, kept: KeptRefusal) -> Retried:
        provider = self._providers.get(kept.provider)
        if provider is None:
            return Retried(kept.id, None, _not_configured(kept).detail)
        request = request_of(kept)
        verdict = verdict_of(provider, request)
        if isinstance(verdict, Refused):
            return Retried(kept.id, None, verdict.detail)
        hashing = self._ledger.vault.hashing
        delivery = delivery_of(provider, request, verdict.key_id, hashing)
        (receipt,) = self._ledger.record([delivery])
        self._operators.append(
            replace(
                Operation.by(caller, "quarantine retry-refused", f"refusal {kept.id}"),
                outcome=f"{receipt.outcome} at {receipt.position}"
                if receipt.position
                else receipt.outcome.value,
            )
        )
        self._refusals.let_go(kept.id)  # last: taken in twice it is a duplicate, lost it is lost
        return Retried(kept.id, receipt)


def request_of(kept: KeptRefusal) -> Request:
    """The delivery as it came, as far as it is kept."""
    return Request(kept.headers, kept.body, kept.received_at, client=kept.address)


def verdict_of(provider: Provider, request: Request) -> Verified | Refused:
    """Whether a live secret proves the sender of a request; if not, after a closer look."""
    verdict = provider.verify(request)
    if isinstance(verdict, Refused):
        return explained(provider, request, verdict)
    if isinstance(verdict, Verified):
        return verdict
    return Refused(Reason.NO_SIGNATURE, "an unsigned greeting, which is answered and not recorded")


def _not_configured(kept: KeptRefusal) -> Refused:
    return Refused(Reason.NO_SIGNATURE, f"the provider {kept.provider} is not configured any more")
