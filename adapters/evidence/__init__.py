"""Evidence that an auditor can check without trusting us: a Merkle tree over the stored events,
signed checkpoints of it, and proofs. The formats are told in docs/evidence.md."""
