"""`order-ledger projections`: where the read models stand, and how they are made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, group, name, number
from adapters.cli.output import Failed, complain, print_blank, print_facts, print_text
from adapters.cli.parity_views import (
    print_drift,
    print_generations,
    print_generations_json,
    print_model,
    print_parity,
)

if TYPE_CHECKING:
    from adapters.parity import Difference, Parity
    from adapters.rebuilding import Rebuild
    from adapters.service import Service
    from adapters.verifying import Verifier
    from projections.model import Generation, Projection

EXIT_DIFFERENT = 3
SAMPLES = 5


def _ending(*examples: str) -> str:
    return f"{ending(*examples)} And 3: rows differ (and a rebuild did not switch)."


app = group(
    "Where the read models stand, and how they are made anew.",
    _ending(
        "projections list",
        "projections rebuild order_status --plan",
        "projections rebuild order_status --workers 2",
        "projections switch order_status",
        "projections verify order_status --sample 1%",
    ),
)


def _share(text: str) -> float:
    """A share: `1%`, or all where nothing is given."""
    digits = text.removesuffix("%")
    try:
        share = float(digits) / 100
    except ValueError:
        share = 0
    if not text.endswith("%") or not 0 < share <= 1:
        raise typer.BadParameter("a share is wanted, such as 1% (more than 0%, at most 100%)")
    return share


class Bound(NamedTuple):
    """How many rows may differ: in all, or in one column."""

    column: str | None
    rows: int


def _bound(text: str) -> Bound:
    """How much may differ: so many rows, or `column=rows`."""
    column, _, rows = text.rpartition("=")
    if not rows.isascii() or not rows.isdigit() or text.startswith("="):
        raise typer.BadParameter("a number of rows is wanted, or COLUMN=ROWS")
    return Bound(column or None, int(rows))


Name = Annotated[
    str, typer.Argument(metavar="NAME", parser=name, help="The read model, as `list` names it.")
]


@app.command("list", epilog=_ending("projections list", "projections list --json"))
def list_all(as_json: AsJson = False) -> None:
    """List the generations of the read models.

    Where each stands, and whether a rebuild is due.
    lag is how many events of the log it has not taken in. One that no fold of this release keeps
    stands still: it is served as it is.
    """
    with _service() as service:
        print_generations_json(service) if as_json else print_generations(service)


@app.command("show", epilog=_ending("projections show order_status"))
def show(projection: Name, as_json: AsJson = False) -> None:
    """Show one read model, and its last report.

    Its generations, the event before which one stands still, and why.
    """
    with _service() as service:
        chosen = _chosen(service, projection)
        if as_json:
            print_generations_json(service, chosen.name)
            return
        print_generations(service, chosen.name)
        for (of, number_), poison in service.views.poisons().items():
            if of == chosen.name:
                print_blank()
                print_text(f"generation {number_} stands still before {poison.event}")
                print_facts([("position", str(poison.position))])
                print_text(poison.error, indent=2)
        report = _kept_report(_rebuild(service, chosen))
        if report is not None:
            print_blank()
            print_parity(report)


@app.command(
    "rebuild",
    epilog=_ending(
        "projections rebuild order_status --plan",
        "projections rebuild order_status",
        "projections rebuild order_status --workers 2 --accept",
        "projections rebuild order_status --tolerance 100 --tolerance status=10",
        "projections rebuild order_status --dry-run --csv differences.csv",
        "projections rebuild order_status --order 42",
    ),
)
def rebuild(
    projection: Name,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say how many events, how long, how much disk.")
    ] = False,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Processes that fold, each its orders.")
    ] = 1,
    accept: Annotated[
        bool, typer.Option("--accept", help="Switch also where rows differ.")
    ] = False,
    tolerance: Annotated[
        list[Bound] | None,
        typer.Option(
            metavar="[COLUMN=]ROWS",
            parser=_bound,
            help="Switch where no more rows differ, in all or in a column. Can be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report, switch nothing, leave nothing behind.")
    ] = False,
    order: Annotated[
        str | None,
        typer.Option(metavar="ORDER_ID", parser=name, help="Fold only this order again."),
    ] = None,
    store: Annotated[
        str, typer.Option(metavar="STORE", parser=name, help="The store that --order is of.")
    ] = "default",
    samples: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Rows shown of each kind and table.")
    ] = SAMPLES,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every difference there, as CSV."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a read model anew, beside the live one.

    Its next generation is folded from the events while webhooks and queries go on. Where it was
    killed, the same command goes on. At the end both generations are compared at the same
    position: without a difference it switches; else it shows the report, keeps the new generation
    up to date, and `projections switch` finishes. Nothing but the tables is made anew: no effect is
    fired again.
    """
    with _service() as service:
        work = _rebuild(service, _chosen(service, projection))
        if plan:
            _print_plan(work, workers)
        elif order is not None:
            _repair(service, work, f"{store}/{order}", dry_run, as_json)
        else:
            _run(service, work, workers, accept, tolerance or [], dry_run, samples, csv, as_json)


@app.command("switch", epilog=_ending("projections switch order_status"))
def switch(projection: Name) -> None:
    """Make the generation live that was built.

    The one that was live is kept for a rollback.
    """
    with _service() as service:
        work = _rebuild(service, _chosen(service, projection))
        built = work.built
        if built is None:
            raise Failed(
                f"nothing of {projection} waits for a switch: projections rebuild makes it"
            )
        work.switch(built)
        _log(service, "switch", projection, built.number)
        typer.echo(f"generation {built.number} of {projection} is live")


@app.command("rollback", epilog=_ending("projections rollback order_status"))
def rollback(projection: Name) -> None:
    """Return to the generation that was live before.

    Where this release has its fold, it catches up first; else it serves its rows as they were.
    """
    with _service() as service:
        former, is_current = _rebuild(service, _chosen(service, projection)).roll_back()
        _log(service, "rollback", projection, former.number)
        typer.echo(f"generation {former.number} of {projection} is live")
        if not is_current:
            typer.echo(
                f"its rows are as they were at {former.position or 'the beginning'}: this release "
                "does not have the fold that made it, so it stands still there"
            )


@app.command("drop", epilog=_ending("projections drop order_status --generation 1"))
def drop(
    projection: Name,
    generation: Annotated[
        int | None,
        typer.Option(metavar="N", parser=number, help="Which; all that are not live unless said."),
    ] = None,
) -> None:
    """Remove generations that are not live.

    With them goes the way back.
    """
    with _service() as service:
        work = _rebuild(service, _chosen(service, projection))
        every = service.views.generations(projection)
        chosen = [g.number for g in every if g.number != work.live.number]
        for each in chosen if generation is None else [generation]:
            work.steps.drop(projection, each)
            _log(service, "drop", projection, each)
            typer.echo(f"generation {each} of {projection} is dropped")


@app.command(
    "verify",
    epilog=_ending(
        "projections verify order_status", "projections verify order_status --sample 1%"
    ),
)
def verify(
    projection: Name,
    sample: Annotated[
        float | None,
        typer.Option(metavar="SHARE", parser=_share, help="Only a random share, such as 1%."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name live rows that the events do not make.

    Orders are folded again, nothing is rebuilt. For each row that differs: the columns, and the
    last event up to which the fold agrees with it, or none.
    """
    with _service() as service:
        from adapters.verifying import Verified, Verifier

        verifier = Verifier(service.storage, _chosen(service, projection))
        found = Verified(projection=projection, orders=0, drift=[])
        for streams in _streams(verifier, sample):
            found.orders += len(streams)
            found.drift += verifier.check(streams)
        print_model(found) if as_json else print_drift(found)
    if found.drift:
        raise typer.Exit(EXIT_DIFFERENT)


def _streams(verifier: "Verifier", sample: float | None) -> Iterator[list[str]]:
    yield from verifier.orders(sample)
    if sample is None:
        yield from verifier.strays()


@contextmanager
def _service() -> Iterator["Service"]:
    """The service; what cannot be done with its generations is told in a line."""
    from adapters.rebuilding import Poisoned, WorkerLost
    from adapters.storage.rebuilds import Refused
    from projections.runner import CheckpointMoved

    with opened() as service:
        try:
            yield service
        except Poisoned as error:
            raise Failed(
                f"{error}: the generation stands there until the fold can; "
                f"after the fix the same command goes on\n{error.poison.error}"
            ) from None
        except WorkerLost as error:
            raise Failed(f"{error}; the same command goes on") from None
        except Refused as error:
            raise Failed(str(error)) from None
        except CheckpointMoved:
            raise Failed(
                "the live generation moves on faster than the new one: try again when less comes in"
            ) from None


def _chosen(service: "Service", projection: str) -> "Projection":
    from adapters.service import PROJECTIONS

    for known in PROJECTIONS:
        if known.name == projection:
            return known
    names = ", ".join(p.name for p in PROJECTIONS)
    raise Failed(f"there is no read model {projection}; there are: {names}")


def _rebuild(service: "Service", projection: "Projection") -> "Rebuild":
    from adapters.rebuilding import Rebuild

    return Rebuild(service.storage, projection)


def _print_plan(work: "Rebuild", workers: int) -> None:
    planned = work.plan(workers)
    megabytes = None if planned.bytes is None else f"{planned.bytes / 1e6:,.0f} MB"
    print_facts(
        [
            ("events", f"{planned.events:,}"),
            (
                "time",
                f"about {planned.seconds:,.0f} s, by {planned.sampled:,} events that were timed",
            ),
            ("disk", megabytes and f"about {megabytes}"),
        ]
    )


def _log(service: "Service", action: str, what: str, generation: int | None = None) -> None:
    """Tell the operators' log: a read model is what auditors see."""
    from adapters.access.roles import user_of_this_process
    from adapters.storage.access import Operation

    named = what if generation is None else f"{what}, generation {generation}"
    operation = Operation.by(user_of_this_process(), f"projections {action}", named)
    service.operators.append(operation)


def _repair(service: "Service", work: "Rebuild", stream: str, dry_run: bool, as_json: bool) -> None:
    from adapters.verifying import Verified, Verifier

    if not service.storage.events.of_streams([stream]):
        raise Failed(f"no event is of order {stream}")
    drift = Verifier(service.storage, work.projection).repair(stream, is_dry_run=dry_run)
    if not dry_run:
        _log(service, "rebuild", f"{work.projection.name}, order {stream}")
    found = Verified(projection=work.projection.name, orders=1, drift=drift)
    print_model(found) if as_json else print_drift(found)
    if dry_run and drift:
        raise typer.Exit(EXIT_DIFFERENT)


def _run(
    service: "Service",
    work: "Rebuild",
    workers: int,
    accept: bool,
    tolerance: list[Bound],
    dry_run: bool,
    samples: int,
    csv: Path | None,
    as_json: bool,
) -> None:
    built = work.built
    if built is not None and built.is_made_by(work.projection):
        complain(f"generation {built.number} is built already: it is compared again")
    elif built is not None:
        work.steps.drop(work.projection.name, built.number)
        built = None
    new = built or _build(service, work, workers)
    report = _compare(work, new, samples, csv)
    print_model(report) if as_json else print_parity(report)
    if dry_run:
        if built is None:
            work.steps.drop(work.projection.name, new.number)
        raise typer.Exit(EXIT_DIFFERENT if report.differences else 0)
    work.steps.settle(new, report.model_dump_json())
    _log(service, "rebuild", work.projection.name, new.number)
    if report.differences and not _is_tolerated(report, accept, tolerance):
        complain(
            f"{report.differences} rows differ, so nothing is switched: generation {new.number} is "
            f"kept up to date; projections switch {work.projection.name} makes it live, "
            f"projections drop {work.projection.name} gives it up"
        )
        raise typer.Exit(EXIT_DIFFERENT)
    work.switch(new)
    _log(service, "switch", work.projection.name, new.number)
    complain(f"generation {new.number} is live; generation {report.old} is kept for a rollback")


def _is_tolerated(report: "Parity", accept: bool, tolerance: list[Bound]) -> bool:
    """Whether the differences are accepted: all, or as many as the bounds allow."""
    counts = report.by_column
    within = all(
        (report.differences if column is None else counts.get(column, 0)) <= rows
        for column, rows in tolerance
    )
    return within and (accept or bool(tolerance))


def _build(service: "Service", work: "Rebuild", workers: int) -> "Generation":
    from adapters.cli.progress import progress
    from adapters.rebuilding import be_nice

    be_nice()
    if work.begun is not None:
        complain(f"generation {work.begun.number} was begun before: it is gone on with")
    with progress(f"{work.projection.name}") as tell:
        return work.build(workers, service.settings.database_url, tell)


def _compare(work: "Rebuild", new: "Generation", samples: int, csv: Path | None) -> "Parity":
    if csv is None:
        return work.compare(new, samples)
    from adapters.parity import csv_lines

    def write(differences: "Iterator[Difference]") -> None:
        with csv.open("w") as file:  # anew, where the comparison has to be repeated
            file.writelines(csv_lines(differences))

    return work.compare(new, samples, write)


def _kept_report(work: "Rebuild") -> "Parity | None":
    from adapters.parity import Parity

    for generation in (work.built, work.live):
        kept = work.steps.report(generation) if generation else None
        if kept is not None:
            return Parity.model_validate_json(kept)
    return None
