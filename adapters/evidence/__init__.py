"""Evidence that an auditor can check without trusting us: a Merkle tree over the stored events,
signed checkpoints of it, and proofs. The formats are told in docs/evidence.md."""


class EvidenceTrouble(Exception):
    """No evidence can be made or given just now; the message says why, and what helps."""
