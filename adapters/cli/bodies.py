"""`order-ledger bodies`: how the bodies of deliveries are kept."""

from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import ending, group
from adapters.cli.output import Failed

if TYPE_CHECKING:
    from adapters.service import Service

SAMPLES_MAX = 2000
PAGE = 500

app = group("How the bodies of deliveries are kept.", ending("bodies train --provider sevi"))


@app.command("train", epilog=ending("bodies train --provider sevi"))
def train(
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Whose bodies have something in common.")
    ],
    samples: Annotated[
        int, typer.Option(metavar="N", min=20, max=20_000, help="Learn from the newest N bodies.")
    ] = SAMPLES_MAX,
) -> None:
    """Make a dictionary of what a provider's bodies have in common.

    New bodies are compressed with it within half a minute; those that are kept already stay as they
    are. It is kept for ever, so that nothing of a person goes into it: names of fields, and words
    such as PAID, that many bodies share. What it saves is measured on bodies that it did not learn
    from.
    """
    with opened() as service:
        from adapters.access.roles import user_of_this_process
        from adapters.storage.access import Operation
        from adapters.vault.dictionaries import Dictionaries, Dictionary, Untrainable, common

        bodies = _newest(service, provider, samples)
        learnt, held_out = bodies[::2], bodies[1::2]
        try:
            content = common(learnt)
        except Untrainable as error:
            raise Failed(f"{provider}: {error}") from None
        number = service.storage.vault.add_dictionary(provider, content, len(learnt))
        what = f"dictionary {number} of {provider}"
        service.operators.append(Operation.by(user_of_this_process(), "bodies train", what))
    whole = sum(map(len, held_out)) or 1
    made = Dictionaries([Dictionary(number, provider, content)])
    sizes = [
        sum(map(len, each.compress(provider, held_out)[1])) / whole
        for each in (Dictionaries(), made)
    ]
    typer.echo(
        f"{what}, {len(content):,} bytes, of {len(learnt)} bodies: compressed, a body takes "
        f"{sizes[1]:.0%} of its size instead of {sizes[0]:.0%}"
    )


def _newest(service: "Service", provider: str, limit: int) -> list[bytes]:
    """The newest bodies of a provider that can be read."""
    from adapters.storage.deliveries import DeliveryFilter
    from domain.payment import Outcome

    log, wanted = service.ledger.event_log, DeliveryFilter(provider=provider)
    bodies: list[bytes] = []
    before = None
    while len(bodies) < limit:
        rows = log.deliveries(list(Outcome), before, PAGE, wanted)
        opened = service.bodies.kept_with(row.id for row in rows if row.has_body)
        bodies += [one.body for one in opened.values()]
        if len(rows) < PAGE:
            break
        before = rows[-1].id
    return bodies[:limit]
