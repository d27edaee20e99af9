"""The load: keep-alive connections, one request in flight on each, in a process of its own.

`wrk` is used where it is installed, since it leaves more of a small machine to the server; else
processes of Python that do next to nothing for a request. Both send the same bytes.
"""

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from typing import IO, Any

import uvloop

from tests.bench.bodies import (
    DUPLICATE_BACK,
    DUPLICATE_EVERY,
    SCATTER,
    Request,
    order_id,
    request,
)

STEP = math.log(1.01)  # latencies are kept in steps of one per cent
GRACE_SECONDS = 60
LUA = """
local head, tail = %(head)s, %(tail)s
local n = 0
function request()
  n = n + 1
  local k = n
  if %(duplicates)s and k %% %(every)d == 0 and k > %(back)d then k = k - %(back)d end
  return head .. string.format("%%08x%(prefix)8.8s%%08d", k * %(scatter)d %% 2^32, k) .. tail
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write("\\n" .. string.format(
    '{"requests": %%d, "microseconds": %%d, "refused": %%d, "lost": %%d, "p50": %%f, "p99": %%f}',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)) .. "\\n")
end
"""


INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Load:
    """What to send. Two loads with different prefixes tell of different orders."""

    host: str
    port: int
    token: str
    connections: int
    seconds: float
    prefix: str
    duplicates: bool = False


@dataclass(frozen=True)
class Answers:
    """What came back. `other` are answers that are not 200, `lost` are broken connections."""

    ok: int
    other: dict[str, int]
    lost: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """The rate of answers 200."""
        return self.ok / self.seconds


def choose(wanted: str) -> str:
    """`wrk` or `python`."""
    if wanted == "auto":
        return "wrk" if shutil.which("wrk") else "python"
    return wanted


def send(load: Load, generator: str) -> Answers:
    """Put a load on a server, and wait until it is over."""
    return _send_with_wrk(load) if generator == "wrk" else _send_with_python(load)


# -------------------------------------------------------------------------------------------- wrk


def _send_with_wrk(load: Load) -> Answers:
    wanted = request(load.host, load.token)
    script = LUA % {
        "head": _lua_text(wanted.head),
        "tail": _lua_text(wanted.tail),
        "duplicates": "true" if load.duplicates else "false",
        "every": DUPLICATE_EVERY,
        "back": DUPLICATE_BACK,
        "scatter": SCATTER,
        "prefix": load.prefix,
    }
    url = f"http://{load.host}:{load.port}/"
    seconds = max(1, round(load.seconds))
    with _script_file() as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "-s", file.name, url]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False
        )
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    refused = told["refused"]
    return Answers(
        ok=told["requests"] - refused,
        other={"4xx or 5xx": refused} if refused else {},
        lost=told["lost"],
        seconds=told["microseconds"] / 1e6,
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
    )


@contextmanager
def _script_file() -> Iterator[IO[str]]:
    """A file for the script, gone at the end, also where Ctrl-C comes while it is being made."""
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    file = NamedTemporaryFile("w", suffix=".lua")  # noqa: SIM115  (closed below)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
        yield file
    finally:
        file.close()


def _lua_text(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


# ----------------------------------------------------------------------------------------- Python


def _send_with_python(load: Load) -> Answers:
    processes = max(1, min(4, (os.cpu_count() or 1) // 2, load.connections))
    shares = [len(range(n, load.connections, processes)) for n in range(processes)]
    loads = [
        Load(**asdict(load) | {"connections": share, "prefix": f"{load.prefix}{n}"})
        for n, share in enumerate(shares)
    ]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.generator", json.dumps(asdict(part))],
            stdout=subprocess.PIPE,
            cwd=root,
        )
        for part in loads
    ]
    try:
        told = [_answer_of(process, load.seconds) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return _together(told)


def _answer_of(process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
    out, _ = process.communicate(timeout=seconds + GRACE_SECONDS)
    told: dict[str, Any] = json.loads(out)
    return told


def _together(told: list[dict[str, Any]]) -> Answers:
    statuses: Counter[str] = Counter()
    steps: Counter[int] = Counter()
    for part in told:
        statuses.update(part["statuses"])
        steps.update({int(step): count for step, count in part["steps"].items()})
    ok = statuses.pop("200", 0)
    return Answers(
        ok=ok,
        other=dict(statuses),
        lost=sum(part["lost"] for part in told),
        seconds=max(part["seconds"] for part in told),
        p50_ms=_percentile(steps, 0.50),
        p99_ms=_percentile(steps, 0.99),
    )


def _percentile(steps: Counter[int], part: float) -> float:
    left = part * steps.total()
    for step, count in sorted(steps.items()):
        left -= count
        if left <= 0:
            return math.exp(step * STEP) / 1000
    return 0.0


class _Sender:
    """All connections of one process."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.parts: Request = request(load.host, load.token)
        self.number = 0
        self.is_over = False
        self.lost = 0
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    def next_request(self) -> bytes:
        self.number += 1
        name = order_id(self.load.prefix, self.number, self.load.duplicates)
        return b"%b%b%b" % (self.parts.head, name.encode(), self.parts.tail)

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        started = perf_counter()
        made = [
            await loop.create_connection(lambda: _Connection(self), self.load.host, self.load.port)
            for _ in range(self.load.connections)
        ]
        await asyncio.sleep(self.load.seconds)
        self.is_over = True
        seconds = perf_counter() - started
        for transport, _ in made:
            transport.abort()
        steps = Counter(int(math.log(max(1.0, s * 1e6)) / STEP) for s in self.latencies)
        return {"statuses": self.statuses, "steps": steps, "lost": self.lost, "seconds": seconds}


class _Connection(asyncio.Protocol):
    """One connection: send, wait for the answer, send the next."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._pending = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._sender.is_over:
            self._sender.lost += 1

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        end = data.find(b"\r\n\r\n")
        at = data.find(b"content-length: ", 0, end) + 16
        if end < 0 or len(data) < end + 4 + int(data[at : data.find(b"\r", at)]):
            self._pending = data
            return
        self._pending = b""
        sender = self._sender
        if sender.is_over:
            return
        sender.latencies.append(perf_counter() - self._sent_at)
        sender.statuses[int(data[9:12])] += 1
        self._send()

    def _send(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(self._sender.next_request())


if __name__ == "__main__":
    told_load = Load(**json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(uvloop.run(_Sender(told_load).run())))
