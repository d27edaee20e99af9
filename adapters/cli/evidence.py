"""`order-ledger verify`, `bundle`, `checkpoint` and `keys`: what an auditor checks us by."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AsJson, Limit, OneStore, OrderName, ending, group, number
from adapters.cli.output import (
    Failed,
    complain,
    exact_time,
    print_blank,
    print_facts,
    print_json,
    print_table,
    print_text,
    short_time,
)

if TYPE_CHECKING:
    from adapters.evidence.notes import PublicKey, SignedCheckpoint
    from adapters.evidence.verifying import Verdict
    from adapters.evidence.views import TailView

EXIT_FINDINGS = 3
OVERLAP_DAYS = 30
VERIFY_EXAMPLES = (
    ending(
        "verify",
        "verify --since checkpoint-0-000000000600.txt",
        "verify --resume notes.json --json",
    )
    + " And 3: something was found."
)
BUNDLE_EXAMPLES = ending("bundle 42 -o 42.json", "bundle 42 --since kept.txt -o 42.json")
checkpoint = group(
    "Signed checkpoints: what seals the log.",
    ending("checkpoint list", "checkpoint show", "checkpoint publish /mnt/elsewhere"),
)
keys = group(
    "The keys that sign checkpoints, and the master key.",
    ending("keys list", "keys export", "keys rotate", "keys rotate-master"),
)

Kept = Annotated[
    Path | None,
    typer.Option("--since", metavar="FILE", help="A checkpoint that you kept; it has to go on."),
]


def verify(
    since: Kept = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Note there what is done, and go on from what is noted."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEYS", help="Public keys, or a file of them; one has to have signed."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify that nothing in the ledger was changed, lost or added.

    Every event is compared with the signed tree, every order with the rules, every body with its
    digest, every position and version with its neighbours; and, where the key file can be
    read, with what was signed last. Ends with 3 where something was found.
    """
    kept = _read(since) if since else None
    pinned = _read_keys(key or [])
    with opened() as service:
        from adapters.cli.progress import progress
        from adapters.evidence import verifying
        from adapters.vault import VaultTrouble

        try:
            service.vault.open()
            vault = service.vault
        except VaultTrouble as trouble:
            complain(f"bodies are not compared with their hashes: {trouble}")
            vault = None
        with progress("verifying") as tell:
            verdict = verifying.verify(
                service.evidence,
                service.settings.database_url,
                service.signer.public_keys(),
                tell,
                kept,
                resume,
                vault=vault,
                signer=service.signer,
                pinned=pinned,
            )
    if as_json:
        print_json(verdict)
    else:
        _print_verdict(verdict)
    if not verdict.is_sound:
        raise typer.Exit(EXIT_FINDINGS)


def bundle(
    order_id: OrderName,
    store: OneStore = "default",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output."),
    ] = None,
    since: Kept = None,
    bodies: Annotated[
        bool, typer.Option("--bodies", help="With the bodies, which hold personal data.")
    ] = False,
) -> None:
    """Write an order's history with proofs, for an auditor.

    What is not sealed yet is sealed first. scripts/verify_bundle.py checks the file without this
    ledger and without this program. That bodies were read is in the operators' log.
    """
    kept = _read(since) if since else None
    from projections.order_status import ORDER_STATUS

    with opened(ORDER_STATUS.name) as service:
        from adapters.cli.orders import find_order
        from adapters.cli.payments import target

        found = find_order(service.queries, store, order_id)
        made = service.bundler.bundle(store, found, kept, with_bodies=bodies)
        if bodies:
            from adapters.access.roles import user_of_this_process
            from adapters.deliveries.views import READ_BODY
            from adapters.storage.access import Operation

            what = f"bundle of order {store}/{found}"
            service.operators.append(Operation.by(user_of_this_process(), READ_BODY, what))
        assert made is not None, "its events were just folded"
        with target(output) as file:
            file.write(made.model_dump_json(indent=1).encode() + b"\n")
    if made.unsealed:
        complain(f"not sealed yet, so without a proof: {', '.join(made.unsealed)}")


@checkpoint.command("list", epilog=ending("checkpoint list", "checkpoint list --limit 5 --json"))
def list_checkpoints(
    after: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", parser=number, help="Go on below this number."),
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List checkpoints, newest first, and what is not sealed yet."""
    with opened() as service:
        from adapters.evidence.views import CheckpointsView, checkpoint_page, tail_view

        tail = tail_view(service.evidence)
        page = checkpoint_page(service.evidence.checkpoints_before(after, limit + 1), limit)
    if as_json:
        print_json(CheckpointsView(**page.model_dump(), **tail.model_dump()))
        return
    _print_tail(tail)
    if page.items:
        print_blank()
        rows = [(str(c.number), str(c.size), short_time(c.made_at)) for c in page.items]
        print_table(["Number", "Events", "Made"], rows)


@checkpoint.command("show", epilog=ending("checkpoint show", "checkpoint show --size 600"))
def show(
    size: Annotated[
        int | None,
        typer.Option(
            metavar="EVENTS", parser=number, help="The one of so many events, not the newest."
        ),
    ] = None,
) -> None:
    """Print a checkpoint as the signed note that it is."""
    with opened() as service:
        store = service.evidence
        kept = store.checkpoint_of(size) if size is not None else store.last_checkpoint()
    if kept is None:
        raise Failed("there is no such checkpoint: see order-ledger checkpoint list")
    typer.echo(kept.note, nl=False)


@checkpoint.command("publish", epilog=ending("checkpoint publish /mnt/elsewhere"))
def publish(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Write it there, as a file.")
    ] = None,
) -> None:
    """Publish the newest checkpoint outside of the ledger.

    It goes into the folder, and to the configured witness_url. A checkpoint beside the data proves
    little: who can change both can cut both.
    """
    with opened() as service:
        from adapters.evidence.notes import SignedCheckpoint
        from adapters.evidence.publishing import to_folder, to_witness

        kept = service.evidence.last_checkpoint()
        witness = service.settings.witness_url
    if kept is None:
        raise Failed("nothing is sealed yet: start the service, or wait for its next checkpoint")
    if folder is None and witness is None:
        raise typer.BadParameter("name a folder, or set witness_url (ORDER_LEDGER_WITNESS_URL)")
    signed = SignedCheckpoint.parse(kept.note)
    if folder is not None:
        typer.echo(f"written to {to_folder(signed, folder)}")
    if witness is not None:
        to_witness(signed, witness)
        typer.echo(f"the witness has the checkpoint of {kept.size} events")


@keys.command("list", epilog=ending("keys list", "keys list --json"))
def list_keys(as_json: AsJson = False) -> None:
    """List every key that ever signed, oldest first."""
    with opened() as service:
        from adapters.evidence.views import key_list

        found = key_list(service.evidence, service.signer, datetime.now(UTC))
        path = service.signer.path
    if as_json:
        print_json(found)
        return
    if not found.items:
        print_text("No key has signed yet: the service makes one when it starts.")
        return
    rows = [
        (k.fingerprint, "signs" if k.signs else "retired", short_time(k.since)) for k in found.items
    ]
    print_table(["Fingerprint", "State", "Since"], rows, folds=["Fingerprint"])
    print_text(f"The private keys are in {path}")


@keys.command("export", epilog=ending("keys export > order-ledger.keys"))
def export() -> None:
    """Print the public keys for an auditor, oldest first."""
    with opened() as service:
        for key in service.signer.public_keys():
            typer.echo(str(key))


@keys.command("rotate", epilog=ending("keys rotate", "keys rotate --overlap 90"))
def rotate(
    overlap: Annotated[
        int,
        typer.Option(
            metavar="DAYS", min=0, max=3650, help="So long the key before it signs as well."
        ),
    ] = OVERLAP_DAYS,
    lost: Annotated[
        bool, typer.Option("--lost", help="The old key is gone: the new one signs alone.")
    ] = False,
) -> None:
    """Make a new key that signs from the next checkpoint on.

    Give its public key to whoever pins the old one, while both sign. A running service uses it by
    itself.
    """
    with opened() as service:
        from adapters.access.roles import user_of_this_process
        from adapters.storage.access import Operation

        key = service.signer.rotate(timedelta(days=overlap), is_lost=lost)
        done = Operation.by(
            user_of_this_process(), "keys rotate", key.fingerprint, "lost" if lost else None
        )
        service.operators.append(done)
    typer.echo(str(key))


@keys.command("rotate-master", epilog=ending("keys rotate-master"))
def rotate_master() -> None:
    """Make a new master key, and wrap every order's key with it.

    Events and bodies are not touched, and a server may go on meanwhile. Run it again where it was
    interrupted. Where master_keys are configured by value, put the new one in front of the others
    there, and restart the servers, before.
    """
    with opened() as service:
        from adapters.access.roles import user_of_this_process
        from adapters.cli.progress import progress
        from adapters.storage.access import Operation
        from adapters.vault.rotating import Rotation

        rotation = Rotation(service.vault)
        new = rotation.begin()
        whole = service.evidence.head().idx
        with progress("wrapping keys") as tell:
            count = rotation.run(lambda done: tell(min(done, whole), whole))
        name = service.storage.vault.masters()[-1].key_id
        done = Operation.by(user_of_this_process(), "keys rotate-master", f"{new.number} {name}")
        service.operators.append(done)
        where = service.vault.masters.source.where
    typer.echo(f"{count} keys are wrapped by the master key {name}, which is in {where}")
    typer.echo("Keep a copy of it apart from the data's backups; those before it open nothing new.")


def _read(path: Path) -> "SignedCheckpoint":
    from adapters.evidence.notes import BadNote, SignedCheckpoint

    try:
        return SignedCheckpoint.parse(path.read_text(encoding="utf-8"))
    except (BadNote, UnicodeDecodeError) as error:
        raise Failed(f"{path} is no checkpoint: {error}") from None


def _read_keys(given: list[str]) -> "list[PublicKey]":
    from adapters.evidence.notes import BadNote, PublicKey

    texts = [Path(each).read_text() if Path(each).is_file() else each for each in given]
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    if given and not lines:
        raise Failed("there is no key in what --key names: see order-ledger keys export")
    try:
        return [PublicKey.parse(line) for line in lines]
    except BadNote as error:
        raise Failed(f"--key names no public key: {error}") from None


def _print_verdict(verdict: "Verdict") -> None:
    print_facts(
        [
            ("verdict", "sound" if verdict.is_sound else f"{verdict.findings_count} findings"),
            ("events", f"{verdict.events:,}"),
            ("deliveries", f"{verdict.deliveries:,}"),
            ("checkpoints", f"{verdict.checkpoints:,}"),
            ("sealed up to", verdict.sealed_upto),
            ("not sealed yet", f"{verdict.unsealed_events:,}"),
        ]
    )
    if verdict.findings:
        print_blank()
        rows = [(finding.at, finding.problem) for finding in verdict.findings]
        print_table(["At", "What is wrong"], rows, folds=["What is wrong"])
        if verdict.findings_count > len(rows):
            print_text(f"and {verdict.findings_count - len(rows):,} more")


def _print_tail(tail: "TailView") -> None:
    facts = [
        ("sealed up to", tail.sealed_upto),
        ("not sealed yet", f"{tail.unsealed_events:,} events"),
        ("the oldest since", exact_time(tail.unsealed_since)),
    ]
    if tail.problem is not None:
        facts.append(("PROBLEM", tail.problem))
    print_facts(facts)
