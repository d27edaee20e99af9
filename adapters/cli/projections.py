"""`order-ledger projections`: where the read models stand, and how they are made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, group, name, number
from adapters.cli.output import (
    Failed,
    complain,
    print_blank,
    print_facts,
    print_json,
    print_text,
    visible,
)
from adapters.cli.parity_views import (
    print_drift,
    print_generations,
    print_generations_json,
    print_model,
    print_parity,
)

if TYPE_CHECKING:
    from adapters.read_models.parity import Difference, Parity
    from adapters.read_models.read_model import ReadModel
    from adapters.read_models.rebuilding import Rebuild
    from adapters.read_models.verifying import Verifier
    from adapters.service import Service
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
        model = _model(service, projection)
        if as_json:
            print_generations_json(service, projection)
            return
        print_generations(service, projection)
        for (of, number_), poison in service.views.poisons().items():
            if of == projection:
                print_blank()
                print_text(f"generation {number_} stands still before {poison.event}")
                print_facts([("position", str(poison.position))])
                for line in poison.error.splitlines():
                    print_text(line, indent=2)
        report = model.report()
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
            help="Switch where no more rows differ, in all or in a column; then other columns, and "
            "rows that are added or gone, want a bound in all. Can be repeated.",
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
    if order is not None and (plan or accept or tolerance or csv or workers > 1):
        raise typer.BadParameter("--order goes with --store, --dry-run and --json alone")
    with _service() as service:
        model = _model(service, projection)
        _see_to_the_bounds(model.work.projection, tolerance or [])
        if plan:
            _print_plan(model.work, workers, as_json)
        elif order is not None:
            _repair(service, model.work, f"{store}/{order}", dry_run, as_json)
        else:
            _run(model, workers, accept, tolerance or [], dry_run, samples, csv, as_json)


@app.command("switch", epilog=_ending("projections switch order_status"))
def switch(projection: Name) -> None:
    """Make the generation live that was built.

    Where none waits, the one that a rollback took back. The one that was live is kept.
    """
    with _service() as service:
        built = _model(service, projection).switch()
        typer.echo(f"generation {built.number} of {projection} is live")


@app.command("rollback", epilog=_ending("projections rollback order_status"))
def rollback(projection: Name) -> None:
    """Return to the generation that was live before.

    Where this release has its fold, it catches up first; else it serves its rows as they were. A
    second one goes further back; `switch` goes forward again.
    """
    with _service() as service:
        former, is_current = _model(service, projection).roll_back()
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
        model = _model(service, projection)
        every = service.views.generations(projection)
        chosen = [g.number for g in every if g.number != model.work.live.number]
        for each in chosen if generation is None else [generation]:
            model.drop(each)
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
        typer.Option(
            metavar="SHARE",
            parser=_share,
            help="Only a random share of the orders, such as 1%. Rows of an order that has no "
            "events are looked for only where all are.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name live rows that the events do not make.

    Orders are folded again, nothing is rebuilt. For each row that differs: the columns, and the
    last event up to which the fold agrees with it, or none.
    """
    with _service() as service:
        from adapters.read_models.read_model import projection_of
        from adapters.read_models.verifying import Verified, Verifier

        verifier = Verifier(service.storage, projection_of(projection))
        found = Verified(projection=projection, orders=0, drift=[])
        for streams in _streams(verifier, sample):
            found.orders += len(streams)
            found.drift += verifier.check(streams)
        print_model(found) if as_json else print_drift(found)
    if found.drift:
        raise typer.Exit(EXIT_DIFFERENT)


def _streams(verifier: "Verifier", sample: float | None) -> Iterator[list[str]]:
    yield from verifier.orders(sample)
    if sample in (None, 1):
        yield from verifier.strays()


@contextmanager
def _service() -> Iterator["Service"]:
    """The service; what cannot be done with its generations is told in a line."""
    from adapters.read_models.read_model import FAILURES, explained

    with opened() as service:
        try:
            yield service
        except FAILURES as error:
            told, *traceback = explained(error).splitlines()
            for line in traceback:
                typer.echo(f"  {visible(line)}", err=True)
            raise Failed(told) from None


def _model(service: "Service", projection: str) -> "ReadModel":
    from adapters.access.roles import user_of_this_process
    from adapters.read_models.read_model import ReadModel, projection_of

    return ReadModel(service, user_of_this_process(), projection_of(projection))


def _print_plan(work: "Rebuild", workers: int, as_json: bool) -> None:
    planned = work.plan(workers)
    if as_json:
        print_json(planned)
        return
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


def _repair(service: "Service", work: "Rebuild", stream: str, dry_run: bool, as_json: bool) -> None:
    from adapters.access.roles import user_of_this_process
    from adapters.read_models.verifying import Verified, Verifier
    from adapters.storage.access import Operation

    if not service.storage.events.of_streams([stream]):
        raise Failed(f"no event is of order {stream}")
    drift = Verifier(service.storage, work.projection).repair(stream, is_dry_run=dry_run)
    if not dry_run:
        what = f"{work.projection.name}, order {stream}"
        done = Operation.by(user_of_this_process(), "projections rebuild", what)
        service.operators.append(done)
    found = Verified(projection=work.projection.name, orders=1, drift=drift)
    print_model(found) if as_json else print_drift(found)
    if drift and not dry_run:
        complain(f"the rows of order {stream} are written anew")
    if dry_run and drift:
        raise typer.Exit(EXIT_DIFFERENT)


def _run(
    model: "ReadModel",
    workers: int,
    accept: bool,
    tolerance: list[Bound],
    dry_run: bool,
    samples: int,
    csv: Path | None,
    as_json: bool,
) -> None:
    was_built = model.work.built
    if csv is not None:
        csv.open("a").close()  # a file that cannot be written is told now, and not after hours
    new = _build(model, workers)
    is_again = was_built is not None and was_built.number == new.number
    if is_again:
        complain(f"generation {new.number} is built already: it is compared again")
    name = model.work.projection.name
    try:
        report = _compare(model.work, new, samples, csv)
    finally:
        if dry_run and not is_again:
            model.work.steps.drop(name, new.number)
    print_model(report) if as_json else print_parity(report)
    if dry_run:
        raise typer.Exit(EXIT_DIFFERENT if report.differences else 0)
    model.settle(new, report)
    if report.differences and not _is_tolerated(report, accept, tolerance):
        complain(
            f"{report.differences} rows differ, so nothing is switched: generation {new.number} is "
            f"kept up to date; projections switch {name} makes it live, "
            f"projections drop {name} gives it up"
        )
        raise typer.Exit(EXIT_DIFFERENT)
    model.switch(new)
    complain(f"generation {new.number} is live; generation {report.old} is kept for a rollback")


def _see_to_the_bounds(projection: "Projection", tolerance: list[Bound]) -> None:
    """Refuse a bound of a column that is not there: it would allow everything."""
    columns = [(t.name, c) for t in projection.tables for c in t.columns if c not in t.key]
    known = {None, *(c for _, c in columns), *(f"{t}.{c}" for t, c in columns)}
    for bound in tolerance:
        if bound.column not in known:
            names = ", ".join(dict.fromkeys(c for _, c in columns))
            raise typer.BadParameter(
                f"--tolerance {bound.column}: {projection.name} has no such column; it has {names}"
            )


def _is_tolerated(report: "Parity", accept: bool, tolerance: list[Bound]) -> bool:
    """Whether the differences are accepted: all, or as many as the bounds allow. Bounds of columns
    alone allow nothing else: no other column, and no row that was added or is gone."""
    counts = report.by_column
    within = all(
        (report.differences if column is None else counts.get(column, 0)) <= rows
        for column, rows in tolerance
    )
    named = {bound.column for bound in tolerance}
    is_all_bounded = None in named or all(
        not table.added + table.gone
        and all(c in named or f"{table.table}.{c}" in named for c in table.columns)
        for table in report.tables
    )
    return within and (accept or (bool(tolerance) and is_all_bounded))


def _build(model: "ReadModel", workers: int) -> "Generation":
    from adapters.cli.progress import progress
    from adapters.read_models.folding import be_nice

    be_nice()
    begun = model.work.begun
    if begun is not None:
        complain(f"generation {begun.number} was begun before: it is gone on with")
    with progress(model.work.projection.name) as tell:
        return model.build(workers, tell)


def _compare(work: "Rebuild", new: "Generation", samples: int, csv: Path | None) -> "Parity":
    if csv is None:
        return work.compare(new, samples)
    from adapters.read_models.parity import csv_lines

    def write(differences: "Iterator[Difference]") -> None:
        with csv.open("w") as file:  # anew, where the comparison has to be repeated
            file.writelines(csv_lines(differences))

    return work.compare(new, samples, write)
