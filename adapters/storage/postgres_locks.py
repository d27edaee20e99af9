"""The advisory locks that we take in PostgreSQL, side by side: two of one number would wait for
each other."""

from enum import IntEnum, unique


@unique
class AdvisoryLock(IntEnum):
    """What each is for. The numbers are any that are ours alone."""

    SCHEMA = 7_305_842_611_202_934
    VIEWS = 7_305_842_611_202_935
    OPERATORS_LOG = 7_305_842_611_202_936
    SEAL_KEYS = 7_305_842_611_202_938
    SEALING = 7_305_842_611_202_939
    EFFECTS = 7_305_842_611_202_940  # held for as long as a process sends


# Whoever follows a projection or runs a job holds a lock of two halves: this, and its name's hash.
LEADERS = 730_584_261
