"""The command line of the bench: `python -m tests.bench --help`."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from adapters.cli.serve import _config
from tests.bench import append, bodies, evidence, ingest, machine, memory, rebuild
from tests.bench.contenders import NAMES, machinery
from tests.bench.figures import Report
from tests.bench.generator import choose

BENCHES = ("ingest", "append", "memory", "rebuild", "evidence")
FULL: Report = {
    "rounds": 5,
    "seconds": 8.0,
    "warm_up": 2.0,
    "connections": [64, 256],
    "append_sizes": [10_000, 1_000_000],
    "deliveries": 1_000_000,
    "rebuild_events": 1_000_000,
    "verified_events": 1_000_000,
    "tree_sizes": [1_000_000, 10_000_000],
}
SHORT: Report = {
    "rounds": 2,
    "seconds": 2.0,
    "warm_up": 1.0,
    "connections": [64],
    "append_sizes": [10_000, 50_000],
    "deliveries": 20_000,
    "rebuild_events": 40_000,
    "verified_events": 100_000,
    "tree_sizes": [100_000, 1_000_000],
}
UVICORN_SHOWN = "loop http ws lifespan access_log server_header date_header proxy_headers".split()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        unknown = set(text.split(",")) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return text.split(",")

    return names


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the whole service, as ratios inside one run.",
        epilog="ORDER_LEDGER_TEST_DSN names a PostgreSQL server; else a private one is started. "
        "Everything is written under TMPDIR: point it at the disk that matters.",
    )
    parser.add_argument("benches", nargs="*", metavar="|".join(BENCHES), help="all by default")
    parser.add_argument("--short", action="store_true", help="a rough picture in minutes")
    parser.add_argument("--rounds", type=int, help="how often each contender takes its turn")
    parser.add_argument("--seconds", type=float, help="of load in one turn")
    parser.add_argument("--warm-up", type=float, help="seconds of load before, not counted")
    parser.add_argument("--connections", type=_numbers, help="such as 64,256")
    for option, known in (("--contenders", NAMES), ("--workloads", ingest.WORKLOADS)):
        default = list(known)
        parser.add_argument(
            option, type=_some_of(known), default=default, help=f"some of {','.join(known)}"
        )
    parser.add_argument("--generator", choices=("auto", "wrk", "python"), default="auto")
    parser.add_argument("--append-sizes", type=_numbers, help="events in the log")
    parser.add_argument("--deliveries", type=int, help="taken in by the memory bench")
    parser.add_argument("--rebuild-events", type=int, help="folded by the rebuild bench")
    parser.add_argument("--verified-events", type=int, help="in the ledger that is verified")
    parser.add_argument("--tree-sizes", type=_numbers, help="of trees that proofs are read from")
    parser.add_argument("--json", type=Path, help="write everything to this file; - is the output")
    given = parser.parse_args(arguments)
    wrong = set(given.benches) - set(BENCHES)
    if wrong:
        parser.error(f"no such bench: {', '.join(sorted(wrong))}")
    for name, value in (SHORT if given.short else FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def _flags(given: argparse.Namespace) -> Report:
    told = {name: value for name, value in vars(given).items() if name != "json"}
    config = _config(None)
    uvicorn: dict[str, Any] = {name: getattr(config, name) for name in UVICORN_SHOWN}
    return told | {"body_bytes": bodies.BODY_BYTES, "uvicorn": uvicorn}


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _measure(given: argparse.Namespace) -> Report:
    report: Report = {"machine": machine.machine(), "versions": machine.versions()}
    generator = choose(given.generator)
    wanted = given.benches or BENCHES
    with machinery(given.contenders) as services:
        report["postgres"] = services.postgres_settings
        report["flags"] = _flags(given) | {"generator": generator}
        if "ingest" in wanted:
            plan = ingest.Plan(
                given.contenders, given.workloads, given.connections, given.rounds,
                given.seconds, given.warm_up, generator, _say,
            )  # fmt: skip
            report["ingest"] = ingest.ingest(plan, services)
        if "append" in wanted:
            report["append"] = append.append(
                services, given.append_sizes, given.rounds, given.contenders, _say
            )
        if "memory" in wanted:
            report["memory"] = memory.memory(
                services, given.deliveries, given.connections[0], generator,
                given.contenders, _say,
            )  # fmt: skip
        if "rebuild" in wanted:
            plan_of_rebuild = rebuild.Plan(
                given.rebuild_events, given.rounds, given.seconds, given.connections[0],
                generator, given.contenders, _say,
            )  # fmt: skip
            report["rebuild"] = rebuild.rebuild(plan_of_rebuild, services)
        if "evidence" in wanted:
            report["evidence"] = evidence.evidence(
                services, given.verified_events, given.tree_sizes, given.rounds,
                given.contenders, _say,
            )  # fmt: skip
        report["machine"]["load_average_after"] = machine.load_average()
    return report


def _print(report: Report) -> None:
    lines = [f"{part}: {_pairs(report[part])}" for part in ("machine", "versions", "postgres")]
    lines.append(f"flags: {_pairs(report['flags'])}")
    for module, name in (
        (ingest, "ingest"),
        (append, "append"),
        (memory, "memory"),
        (rebuild, "rebuild"),
        (evidence, "evidence"),
    ):
        if name in report:
            lines += module.told(report[name])
    sys.stdout.write("\n".join([*lines, ""]))


def _pairs(values: Report) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Measure and report; 1 where an acknowledged delivery is not stored."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        report = _measure(given)
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return 130
    if given.json == Path("-"):
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        _print(report)
        if given.json:
            given.json.write_text(json.dumps(report, indent=1) + "\n")
    parts = report.get("ingest", {}).get("workloads", ())
    return 0 if all(c["is_all_stored"] for p in parts for c in p["contenders"].values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
