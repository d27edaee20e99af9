"""What the commands of the read models show: generations, parity reports, drift."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from adapters.cli.output import print_blank, print_json, print_table, print_text, short_time

if TYPE_CHECKING:
    from pydantic import BaseModel

    from adapters.parity import Difference, Parity
    from adapters.service import Service
    from adapters.verifying import Verified

HOURS_OF_A_DAY = 24


def print_model(model: "BaseModel") -> None:
    """A report as JSON."""
    print_json(model)


def _facts(service: "Service", projection: str | None) -> list[dict[str, Any]]:
    from adapters.service import PROJECTIONS
    from projections.model import State

    ours = {p.name: p for p in PROJECTIONS}
    head = service.ledger.event_log.head()
    poisons = service.views.poisons()
    facts = []
    for each in service.views.generations(projection):
        mine = ours.get(each.projection)
        reached = each.position.index if each.position else 0
        poison = poisons.get((each.projection, each.number))
        is_live = each.state is State.LIVE
        is_kept_up = mine is not None and each.is_followed_by(mine)
        facts.append(
            {
                "projection": each.projection,
                "generation": each.number,
                "state": each.state.value,
                "version": each.version,
                "fingerprint": each.fingerprint,
                "followed": is_kept_up and each.state in (State.LIVE, State.BUILT),
                "changed_at": str(each.changed_at) if each.changed_at else None,
                "position": str(each.position) if each.position else None,
                "lag": (head.index if head else 0) - reached,
                "bytes": service.views.bytes_of(each),
                "created_at": each.created_at.isoformat(),
                "switched_at": each.switched_at.isoformat() if each.switched_at else None,
                "parked_at": str(poison.position) if poison else None,
                "rebuild_due": each.rebuild_due(mine) if mine and is_live else None,
            }
        )
    return facts


def print_generations_json(service: "Service", projection: str | None = None) -> None:
    """Generations as JSON, a list."""
    typer.echo(json.dumps(_facts(service, projection)))


def print_generations(service: "Service", projection: str | None = None) -> None:
    """Generations as a table, and a line for each rebuild that is due."""
    facts = _facts(service, projection)
    headings = "Read model,Gen,State,Version,Fold,Position,Lag,Size,Age,Stands".split(",")
    rows = [
        (
            fact["projection"],
            str(fact["generation"]),
            fact["state"],
            str(fact["version"]),
            fact["fingerprint"],
            fact["position"],
            str(fact["lag"]),
            None if fact["bytes"] is None else f"{fact['bytes'] / 1e6:.1f} MB",
            _age(datetime.fromisoformat(fact["created_at"])),
            _stands(fact),
        )
        for fact in facts
    ]
    print_table(headings, rows, folds=["Stands"], gives_way="Fold")
    for fact in facts:
        if fact["rebuild_due"]:
            print_blank()
            print_text(
                f"A rebuild of {fact['projection']} is due ({fact['rebuild_due']}): "
                f"order-ledger projections rebuild {fact['projection']}"
            )


def _stands(fact: dict[str, Any]) -> str | None:
    if fact["parked_at"]:
        return f"parked at {fact['parked_at']}"
    if fact["state"] == "live" and not fact["followed"]:
        return "still: another release's fold made it"
    return "rebuild due" if fact["rebuild_due"] else None


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
