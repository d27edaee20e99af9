"""`order-ledger payments export`: payment news as a file, however much there is."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Literal, TypeVar

import typer

from adapters.cli.opening import opened
from adapters.cli.options import (
    AnyStore,
    AsOf,
    OccurredBefore,
    Since,
    Until,
    ending,
    group,
    name,
    one_of,
)
from adapters.cli.orders import require_an_id
from adapters.cli.output import Failed, complain
from domain.payment import PaymentStatus
from projections.audit_history import AUDIT_HISTORY

Item = TypeVar("Item")

EXAMPLES = ending(
    "payments export > payments.csv",
    "payments export --from 2026-01-01T00:00:00Z -o payments.csv",
    "payments export --status REFUNDED --format jsonl | jq .amount",
)
app = group("What the providers told, as a file.", EXAMPLES)


Status = Annotated[
    PaymentStatus | None,
    typer.Option(
        metavar="STATUS",
        parser=one_of(PaymentStatus),
        help=f"Only news that says {', '.join(PaymentStatus)}.",
    ),
]
ProviderName = Annotated[
    str | None, typer.Option(metavar="PROVIDER", parser=name, help="Only this provider's news.")
]
OrderId = Annotated[
    str | None, typer.Option(metavar="ORDER_ID", parser=name, help="Only news of this order.")
]
Form = Annotated[
    Literal["csv", "jsonl"],
    typer.Option("--format", metavar="FORMAT", help="csv, or jsonl: one JSON object a line."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write there instead of to standard output."
    ),
]


@app.callback()
def payments() -> None:
    """What the providers told, as a file."""


@app.command("export", epilog=EXAMPLES)
def export(
    since: Since = None,
    until: Until = None,
    status: Status = None,
    provider: ProviderName = None,
    order_id: OrderId = None,
    store: AnyStore = None,
    as_of: AsOf = None,
    occurred_before: OccurredBefore = None,
    form: Form = "csv",
    output: Output = None,
) -> None:
    """Export the payment news, in the order of recording.

    Each is a line, the same as of the HTTP API. Whoever adds money up counts each payment_ref of a
    provider once, with its latest state and amount. A file gets its name once it is whole.
    """
    if order_id is not None:
        require_an_id(store, order_id)
    with opened(AUDIT_HISTORY.name) as service:
        from adapters.queries.exports import FORMATS
        from adapters.queries.payment_search import PaymentFilter

        wanted = PaymentFilter(
            since=since,
            until=until,
            status=status.value if status else None,
            provider=provider,
            order_id=order_id,
            store=store,
            as_of=as_of,
            occurred_before=occurred_before,
        )
        events = _Counted(service.queries.stream_payments(wanted, None, None))
        with target(output) as file:
            for line in FORMATS[form](events):
                file.write(line.encode())
            file.flush()
    if output is not None:
        complain(f"{events.count} payments written to {output}")


class _Counted(Iterable[Item]):
    """Items that were counted as they went by."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.count = 0
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.count += 1
            yield item


@contextmanager
def target(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that replaces one of its name when it is whole."""
    if output is None or str(output) == "-":
        yield typer.get_binary_stream("stdout")
        return
    if output.exists() and not output.is_file():  # a pipe or a device has no draft
        with output.open("wb") as file:
            yield file
        return
    path = output.resolve()
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("xb") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise Failed(f"cannot write {output}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
