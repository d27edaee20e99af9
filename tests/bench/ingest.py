"""Whole-service ingest: how many deliveries a second each contender acknowledges with 200."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.contenders import OURS, PLAIN, TOKEN, Machinery, Running, running
from tests.bench.figures import Report, shown, spread, table
from tests.bench.generator import Answers, Load, send
from tests.bench.usage import measured

WORKLOADS = {"unique": False, "duplicates": True}  # all new, or one of ten sent before
HEADROOM_WANTED = 2.0
COLUMNS = (
    "requests_per_second", "ratio", "p50_ms", "p99_ms", "server_cpu_us", "database_cpu_us",
    "server_cpu_seconds", "database_cpu_seconds", "rss_mb",
)  # fmt: skip
OF_PLAIN = ("ratio_to_plain",)
OF_OURS = (
    "ledger_bytes_per_delivery", "views_bytes_per_delivery", "log_bytes_per_delivery",
    "lag_events", "catch_up_seconds",
)  # fmt: skip

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    contenders: Sequence[str]
    workloads: Sequence[str]
    connections: Sequence[int]
    rounds: int
    seconds: float
    warm_up_seconds: float
    generator: str
    say: Say


def ingest(plan: Plan, machine: Machinery) -> Report:
    """Each workload at each number of connections."""
    parts = [
        _workload(plan, machine, name, connections)
        for connections in plan.connections
        for name in plan.workloads
    ]
    empty = [
        part["contenders"]["empty"]["requests_per_second"]["median"]
        for part in parts
        if "empty" in part["contenders"]
    ]
    return {"headroom": _headroom(plan, machine, empty), "workloads": parts}


def _headroom(plan: Plan, machine: Machinery, empty: Sequence[float]) -> Report:
    """How much faster the load generator is than the ceiling, against a server that does nothing
    but answer."""
    rates = []
    for n in range(plan.rounds):
        with running("lean", machine) as server:
            rates.append(_send(plan, server, min(plan.connections), f"h{n}", False).per_second)
    ratio = median(rates) / max(empty) if empty else None
    if ratio is not None:
        plan.say(f"the load generator ({plan.generator}) alone: {ratio:.1f} times the ceiling")
    return {
        "generator": plan.generator,
        "requests_per_second": spread(rates),
        "ratio_to_empty": ratio,
        "is_enough": ratio is None or ratio >= HEADROOM_WANTED,
    }


def _workload(plan: Plan, machine: Machinery, workload: str, connections: int) -> Report:
    plan.say(f"ingest, {workload}, {connections} connections")
    taken: dict[str, list[Report]] = {name: [] for name in plan.contenders}
    for number in range(plan.rounds):
        for name in plan.contenders:
            one = _measure(plan, machine, name, connections, WORKLOADS[workload])
            taken[name].append(one)
            rate, p99 = one["requests_per_second"], one["p99_ms"]
            plan.say(f"  round {number + 1}  {name:<26}{rate:>9.0f} /s   p99 {p99:.1f} ms")
    for rounds in taken.values():
        for one, empty in zip(rounds, taken.get("empty", []), strict=False):
            one["ratio"] = one["requests_per_second"] / empty["requests_per_second"]
    for plain, ours in PLAIN.items():
        for one, other in zip(taken.get(ours, []), taken.get(plain, []), strict=False):
            one["ratio_to_plain"] = one["requests_per_second"] / other["requests_per_second"]
    return {
        "workload": workload,
        "connections": connections,
        "contenders": {name: _summary(rounds) for name, rounds in taken.items()},
    }


def _measure(
    plan: Plan, machine: Machinery, name: str, connections: int, duplicates: bool
) -> Report:
    machine.settle()
    with running(name, machine) as server:
        _send(plan, server, connections, "w", duplicates, warm_up=True)
        is_postgres = name.endswith("postgres")
        with (
            measured(server.pid) as used,
            measured(machine.postgres_pid if is_postgres else None) as database,
        ):
            answers = _send(plan, server, connections, "m", duplicates)
        one: Report = {
            "requests_per_second": answers.per_second,
            "p50_ms": answers.p50_ms,
            "p99_ms": answers.p99_ms,
            "server_cpu_us": used.cpu_seconds * 1e6 / max(1, answers.ok),
            "database_cpu_us": database.cpu_seconds * 1e6 / max(1, answers.ok),
            "server_cpu_seconds": used.cpu_seconds,
            "database_cpu_seconds": database.cpu_seconds,
            "rss_mb": used.rss_bytes_max / 1e6,
            "acknowledged": answers.ok,
            "other_answers": answers.other,
            "lost_connections": answers.lost,
        }
        return one | _of_ours(server, answers) if name in OURS else one


def _of_ours(server: Running, answers: Answers) -> Report:
    lag, seconds = server.catch_up()
    server.stop()
    stored = server.stored()
    each = max(1, stored.deliveries)
    return {
        "lag_events": lag,
        "catch_up_seconds": seconds,
        "is_all_stored": stored.deliveries >= answers.ok,
        "ledger_bytes_per_delivery": stored.ledger_bytes / each,
        "views_bytes_per_delivery": stored.views_bytes / each,
        "log_bytes_per_delivery": stored.log_lines_bytes / each,
    }


def _send(
    plan: Plan,
    server: Running,
    connections: int,
    prefix: str,
    duplicates: bool,
    warm_up: bool = False,
) -> Answers:
    seconds = plan.warm_up_seconds if warm_up else plan.seconds
    load = Load(server.host, server.port, TOKEN, connections, seconds, prefix, duplicates)
    return send(load, plan.generator)


def _summary(rounds: Sequence[Report]) -> Report:
    names = [name for name in (*COLUMNS, *OF_OURS, *OF_PLAIN) if name in rounds[0]]
    return {
        **{name: spread([one[name] for one in rounds]) for name in names},
        "acknowledged": sum(one["acknowledged"] for one in rounds),
        "other_answers": [one["other_answers"] for one in rounds if one["other_answers"]],
        "lost_connections": sum(one["lost_connections"] for one in rounds),
        "is_all_stored": all(one.get("is_all_stored", True) for one in rounds),
        "rounds": list(rounds),
    }


def told(report: Report) -> Iterator[str]:
    """The report as lines for a person."""
    for part in report["workloads"]:
        yield f"\ningest, {part['workload']}, {part['connections']} connections"
        yield table(
            ("contender", "requests/s", "ratio", "p50 ms", "p99 ms", "CPU us each",
             "database's", "CPU s", "database's", "RSS MB"),
            [(name, *_cells(one)) for name, one in part["contenders"].items()],
        )  # fmt: skip
        ours = {name: one for name, one in part["contenders"].items() if name in OURS}
        if ours:
            yield table(
                ("on disk, bytes per delivery", "ledger", "views", "log lines", "lag, events",
                 "catch-up, s"),
                [
                    (name, *(shown(one[key], 1 if "seconds" in key else 0) for key in OF_OURS))
                    for name, one in ours.items()
                ],
            )  # fmt: skip
        for name, one in part["contenders"].items():
            if "ratio_to_plain" in one:
                told = shown(one["ratio_to_plain"], 3)
                yield f"{name} to itself without checkpoints and without sealed bodies: {told}"
            if one["other_answers"] or one["lost_connections"]:
                yield (
                    f"NOT ACKNOWLEDGED by {name}: {one['other_answers']}, "
                    f"{one['lost_connections']} lost connections"
                )
            if not one["is_all_stored"]:
                yield f"LOST by {name}: fewer deliveries are stored than were acknowledged"
    headroom = report["headroom"]
    if headroom["ratio_to_empty"] is not None:
        yield (
            f"\nload generator {headroom['generator']}: alone "
            f"{headroom['ratio_to_empty']:.1f} times the ceiling"
            + ("" if headroom["is_enough"] else ", TOO SLOW to measure with")
        )


def _cells(one: Report) -> list[str]:
    digits = {"ratio": 3, "p50_ms": 1, "p99_ms": 1, "server_cpu_seconds": 1}
    digits["database_cpu_seconds"] = 1
    return [shown(one[key], digits.get(key, 0)) if key in one else "-" for key in COLUMNS]
