"""The garbage collector of a process that handles many deliveries at once."""

import gc

GENERATIONS = (100_000, 50, 1000)


def relax() -> None:
    """Collect rarely: what a delivery makes is freed by counting references.

    With Python's own thresholds a full collection comes every few thousand deliveries and walks
    through everything that lives; for as long as a tenth of a second nothing is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GENERATIONS)
