"""`python -m tests.crash`: the crash suite for the command line (see `scripts/crash --help`)."""

import json
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from adapters.storage.urls import is_sqlite
from tests.crash.run import HASTY, HONEST, Report, Wish, run
from tests.crash.server import NotReady
from tests.crash.targets import FAULTS, OWN, Refused, impossible_faults

KILLS = 20
SENDERS = 8
DISK_KILLS_DIVISOR = 10
INTERRUPTED = 130

ABOUT = """\
Does the ledger keep its word while everything under it breaks?

Senders post over HTTP and note every acknowledgement. Meanwhile the server is killed with -9, its
PostgreSQL is killed and restarted, connections between the two are cut in mid-commit, and the disk
fills up. After each fault deliveries are sent again. At the end the ledger itself is read:
acknowledged, lost (must be 0), doubled (must be 0), Delivered without PAID (must be 0), and read
models equal to a fresh fold. Exit code 0 where all is well.

The service runs with your configuration (order-ledger.toml, ORDER_LEDGER_ variables), but for the
database, the address, the tokens and the provider. A killed process proves nothing about a disk
that lies about fsync: for that, pull the plug. A database that a URL names keeps what the run
wrote; drop it afterwards.
"""


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def wishes(base: Wish, faults: str | None) -> list[Wish]:
    """The runs that make up what was asked for. The disk is filled in a run of its own: there the
    ledger lies on a small tmpfs, and the other faults are to meet a real disk."""
    asked = set(faults.split(",")) if faults else set(FAULTS)
    if not asked <= set(FAULTS):
        raise Refused(f"--faults: choose from {','.join(FAULTS)}")
    impossible = impossible_faults(base.database)
    if base.workers > 1 and (base.database == "sqlite" or is_sqlite(base.database)):
        raise Refused("--workers: an SQLite ledger has one writer; add --database postgres")
    chosen = asked - impossible.keys()
    if faults and not chosen:
        whys = "; ".join(f"{name}: {impossible[name]}" for name in sorted(asked))
        raise Refused(f"--faults: none of these can be done to {base.database} ({whys})")
    for name in sorted(asked & impossible.keys()):
        _progress(f"{base.database.partition(':')[0]}: no {name} faults, {impossible[name]}")
    if base.database not in OWN or chosen == {"disk"} or "disk" not in chosen:
        return [replace(base, faults=frozenset(chosen))]
    kills = min(base.kills, max(2, base.kills // DISK_KILLS_DIVISOR))
    apart = frozenset(chosen & {"disk", "server"})
    return [
        replace(base, faults=frozenset(chosen - {"disk"})),
        replace(base, faults=apart, kills=kills),
    ]


def conclude(reports: Sequence[Report], canary: bool) -> tuple[bool, str]:
    """Whether the suite succeeded, and the verdict in one line."""
    lost = sum(report.lost for report in reports)
    acknowledged = sum(report.verdict.acknowledged for report in reports)
    faults = sum(sum(report.faults.values()) for report in reports)
    kills = sum(
        count
        for report in reports
        for kind, count in report.faults.items()
        if kind.startswith("kill server")
    )
    seed = reports[0].seed
    if canary:
        caught = lost > 0
        word = "caught" if caught else "NOT CAUGHT"
        return caught, f"canary {word}: {lost} of {acknowledged} acknowledged lost, seed {seed}"
    well = all(report.is_well for report in reports)
    return well, (
        f"{'all is well' if well else 'BROKEN'}: seed {seed}, {faults} faults, "
        f"{kills} of them kills of the server, {acknowledged} acknowledged, {lost} lost, "
        f"{sum(r.verdict.doubled for r in reports)} doubled, "
        f"{sum(r.verdict.delivered_without_paid for r in reports)} Delivered without PAID"
    )


def _explain(report: Report) -> None:
    typer.echo(report.line())
    if report.is_well:
        return
    for line in [*report.verdict.findings[:10], *report.problems[:10]]:
        typer.echo(f"  {line}", err=True)
    if report.folder:
        typer.echo(f"  logs and ledger: {report.folder}", err=True)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def main(
    database: Annotated[
        str, typer.Option(help="sqlite, postgres, both, or the URL of an empty database.")
    ] = "both",
    kills: Annotated[int, typer.Option(min=1, help="How often the server is killed.")] = KILLS,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End each run after this time.")
    ] = None,
    senders: Annotated[int, typer.Option(min=1, max=256)] = SENDERS,
    workers: Annotated[int, typer.Option(min=1, help="Web processes; needs PostgreSQL.")] = 1,
    faults: Annotated[
        str | None, typer.Option(help="Some of server,database,connection,disk.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draw the same faults again.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the verdict.")] = None,
    canary: Annotated[
        bool, typer.Option(help="Run a build that acknowledges before it commits: be caught.")
    ] = False,
) -> None:
    """Make the runs that were asked for."""
    signal.signal(signal.SIGTERM, _interrupt)
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    reports: list[Report] = []
    module = HASTY if canary else HONEST
    base = Wish("", frozenset(), kills, seed, seconds, senders, workers=workers, module=module)
    try:
        todo = [
            wish
            for name in (OWN if database == "both" else (database,))
            for wish in wishes(
                replace(base, database=name),
                "server" if canary and faults is None else faults,
            )
        ]
        for wish in todo:
            reports.append(run(wish, _progress))
            _explain(reports[-1])
    except (Refused, NotReady) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        typer.echo(f"interrupted, seed {seed}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    success, line = conclude(reports, canary)
    typer.echo(line)
    if json_file is not None:
        told = {"success": success, "verdict": line, "runs": [r.json() for r in reports]}
        json_file.write_text(json.dumps(told, indent=2) + "\n")
    raise typer.Exit(0 if success else 1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(help=ABOUT)(main)
    app(prog_name="scripts/crash")
