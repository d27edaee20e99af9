"""Whether the service's memory stays flat, however many deliveries it has taken in."""

from collections.abc import Callable, Iterator, Sequence

from tests.bench.contenders import OURS, TOKEN, Machinery, running
from tests.bench.figures import Report, table
from tests.bench.generator import Load, send
from tests.bench.usage import rss_bytes

SLICES = 20  # about so many samples
IDLE_SLICES_MAX = 5  # a service that acknowledges nothing any more ends the measurement

Say = Callable[[str], None]


def memory(
    machine: Machinery,
    deliveries: int,
    connections: int,
    generator: str,
    contenders: Sequence[str],
    say: Say,
) -> Report:
    """Resident memory along the way."""
    return {
        name: _one(name, machine, deliveries, connections, generator, say)
        for name in OURS
        if name in contenders
    }


def _one(
    name: str, machine: Machinery, deliveries: int, connections: int, generator: str, say: Say
) -> Report:
    machine.settle()
    samples: list[dict[str, float]] = []
    done, number, idle, seconds = 0, 0, 0, 1.0
    with running(name, machine) as server:
        while done < deliveries and idle < IDLE_SLICES_MAX:
            load = Load(server.host, server.port, TOKEN, connections, seconds, f"r{number}")
            answers = send(load, generator)
            done += answers.ok
            number += 1
            idle = 0 if answers.ok else idle + 1
            sizes = rss_bytes(server.pid)
            web = sizes.pop(server.pid, 0) / 1e6
            keeper = sum(sizes.values()) / 1e6
            samples.append({"deliveries": done, "web_mb": web, "keeper_mb": keeper})
            say(f"memory, {name}: {done} deliveries, web {web:.0f} MB, keeper {keeper:.0f} MB")
            left = min(deliveries / SLICES, deliveries - done)
            seconds = max(0.2, left / max(1.0, answers.per_second))
        lag, catch_up_seconds = server.catch_up()
    total = [one["web_mb"] + one["keeper_mb"] for one in samples]
    early = total[len(total) // 5]
    return {
        "samples": samples,
        "growth": total[-1] / early,
        "lag_events": lag,
        "catch_up_seconds": catch_up_seconds,
    }


def told(report: Report) -> Iterator[str]:
    """The report as lines for a person."""
    yield "\nmemory, MB resident"
    rows = []
    for name, part in report.items():
        samples = part["samples"]
        rows += [
            (name, f"{one['deliveries']:,}", f"{one['web_mb']:.0f}", f"{one['keeper_mb']:.0f}")
            for one in (samples[len(samples) // 5], samples[len(samples) // 2], samples[-1])
        ]
        rows.append((name, "growth after the first fifth", f"{part['growth']:.3f}", ""))
    yield table(("database", "deliveries", "web process", "keeper of the read models"), rows)
