"""Checkpoints kept elsewhere: in a folder, and by a witness. What lies beside the data proves
little against someone who can change both."""

from pathlib import Path

from adapters.evidence import EvidenceTrouble
from adapters.evidence.notes import SignedCheckpoint
from adapters.files import draft_of

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0


def to_folder(signed: SignedCheckpoint, folder: Path) -> Path:
    """Write a checkpoint into a folder, whole or not at all. Returns the file.

    Raises `EvidenceTrouble` where the folder is not there: what is not mounted must not be made on
    the ledger's own disk.
    """
    if not folder.is_dir():
        raise EvidenceTrouble(
            f"there is no folder {folder}, so nothing was written: mount it, or make it before"
        )
    partition = signed.checkpoint.origin.rpartition("/")[2]
    path = folder / f"checkpoint-{partition}-{signed.checkpoint.size:012d}.txt"
    draft = draft_of(path, signed.note.encode())
    draft.chmod(0o644)  # it is made to be read by others
    draft.replace(path)
    return path


def to_witness(signed: SignedCheckpoint, url: str) -> None:
    """POST a checkpoint as it is, and wait for a 2xx. Raises `EvidenceTrouble`."""
    import httpx

    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        answer = httpx.post(url, content=signed.note.encode(), headers=headers, timeout=timeout)
    except httpx.HTTPError as error:
        raise EvidenceTrouble(f"the witness cannot be reached: {type(error).__name__}") from error
    if not answer.is_success:
        raise EvidenceTrouble(f"the witness answered {answer.status_code}: it has no checkpoint")
