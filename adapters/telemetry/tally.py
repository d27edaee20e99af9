"""What a process counts of the deliveries that it takes in, for whoever watches it.

Counting is on the way of every delivery, so it is a few additions; names and forms are given to the
figures when somebody asks (`adapters/http/metrics.py`).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

ACK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_DELIVERIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Histogram:
    """How many values fell into each bucket, and their sum. A bound belongs to its bucket."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def note(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Tally:
    """The deliveries of one process since it started. For one event loop."""

    def __init__(self) -> None:
        self.deliveries: Counter[tuple[str, str]] = Counter()  # by provider and outcome
        self.refusals: Counter[tuple[str, int]] = Counter()  # by provider and status
        self.ack_seconds = Histogram(ACK_SECONDS)
        self.batches = Histogram(BATCH_DELIVERIES)

    def acknowledged(self, provider: str, outcome: str, seconds: float) -> None:
        """Count a delivery that was answered 200, and the time from its head to that answer."""
        self.deliveries[provider, outcome] += 1
        self.ack_seconds.note(seconds)
