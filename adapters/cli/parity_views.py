"""What the commands of the read models show: generations, parity reports, drift."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from adapters.cli.output import print_blank, print_json, print_table, print_text, short_time

if TYPE_CHECKING:
    from pydantic import BaseModel

    from adapters.read_models.parity import Difference, Parity
    from adapters.read_models.read_model import GenerationView
    from adapters.read_models.verifying import Verified
    from adapters.service import Service

HOURS_OF_A_DAY = 24


def print_model(model: "BaseModel") -> None:
    """A report as JSON."""
    print_json(model)


def print_generations_json(service: "Service", projection: str | None = None) -> None:
    """Generations as JSON, a list."""
    from adapters.read_models.read_model import generation_views

    views = generation_views(service, projection)
    typer.echo(json.dumps([view.model_dump(mode="json") for view in views]))


def print_generations(service: "Service", projection: str | None = None) -> None:
    """Generations as a table, and a line for each rebuild that is due."""
    from adapters.read_models.read_model import generation_views

    views = generation_views(service, projection)
    headings = "Read model,Gen,State,Version,Fold,Position,Lag,Size,Age,Stands".split(",")
    rows = [
        (
            view.projection,
            str(view.generation),
            view.state.value,
            str(view.version),
            view.fingerprint,
            view.position,
            str(view.lag),
            None if view.bytes is None else f"{view.bytes / 1e6:.1f} MB",
            _age(view.created_at),
            _stands(view),
        )
        for view in views
    ]
    print_table(headings, rows, folds=["Stands"], gives_way="Fold")
    for view in views:
        if view.rebuild_due:
            print_blank()
            print_text(
                f"A rebuild of {view.projection} is due ({view.rebuild_due}): "
                f"order-ledger projections rebuild {view.projection}"
            )


def _stands(view: "GenerationView") -> str | None:
    if view.parked_at:
        return f"parked at {view.parked_at}"
    if view.stands_still:
        return "still: another release's fold made it"
    return "rebuild due" if view.rebuild_due else None


def _age(since: datetime) -> str:
    hours = int((datetime.now(UTC) - since).total_seconds() // 3600)
    return f"{hours // HOURS_OF_A_DAY} d" if hours >= HOURS_OF_A_DAY else f"{hours} h"


def print_parity(report: "Parity") -> None:
    """A parity report: the counts, and the samples with the events that explain them."""
    print_text(
        f"{report.projection}: generation {report.old} (live) and {report.new} (new) "
        f"at {report.position or 'the beginning'}"
    )
    print_blank()
    print_table(
        ("Table", "Rows old", "Rows new", "Added", "Gone", "Changed", "By column"),
        [
            (
                table.table,
                f"{table.rows_old:,}",
                f"{table.rows_new:,}",
                str(table.added),
                str(table.gone),
                str(table.changed),
                ", ".join(f"{column} {count}" for column, count in table.columns.items()),
            )
            for table in report.tables
        ],
        folds=["By column"],
    )
    for table in report.tables:
        for which, names in (("old", table.columns_gone), ("new", table.columns_new)):
            if names:
                print_blank()
                print_text(f"not compared, only the {which} {table.table} has: {', '.join(names)}")
    for table in report.tables:
        for sample in table.samples:
            print_blank()
            _print_difference(sample, "old", "new")
    if not report.differences:
        print_blank()
        print_text("no difference")


def _print_difference(difference: "Difference", left: str, right: str) -> None:
    key = ", ".join(f"{column} {value}" for column, value in difference.key.items())
    order = f" of order {difference.order_id}" if "order_id" not in difference.key else ""
    print_text(f"{difference.table}, {difference.kind}: {key}{order}", "bold")
    print_table(
        ("  Column", left, right),
        [(f"  {column}", old, new) for column, (old, new) in difference.columns.items()],
        folds=[left, right],
    )
    if difference.events:
        print_table(
            ("  Event", "Recorded", "Type", "Told", "Sets"),
            [
                (
                    f"  {event.position}",
                    short_time(event.recorded_at),
                    event.type,
                    event.told,
                    ", ".join(event.sets),
                )
                for event in difference.events
            ],
            folds=["Told", "Sets"],
        )


def print_drift(found: "Verified") -> None:
    """What a verification found, row by row."""
    for drift in found.drift:
        _print_difference(drift, "live", "folded")
        print_text(
            f"the fold agrees with the live row up to {drift.agrees_upto}"
            if drift.agrees_upto
            else "at no event does the fold agree with the live row"
        )
        print_blank()
    print_text(f"{found.orders} orders of {found.projection}, {len(found.drift)} rows differ")
