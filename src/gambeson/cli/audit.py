"""``gambeson audit``: the record of every administrative act, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from gambeson.app.installation import Installation

    from . import Commands

SEAL_PATIENCE = 3.0


def add(commands: Commands) -> None:
    """Declares ``audit`` and what is below it."""
    group = commands.group("audit", "the record of every administrative act")
    show = group.add("show", "the newest entries of an organisation", run_show)
    show.add_argument("--limit", metavar="N", type=int, default=50)
    export = group.add("export", "every entry as JSON lines, and the newest signed head", run_export)
    export.add_argument("--out", metavar="FILE", help="write there, not to standard output")
    verify = group.add(
        "verify", "find changed, missing, inserted or cut-off entries; exit 1 names them", run_verify
    )
    verify.add_argument(
        "--head", metavar="FILE", action="append", default=[], help="an export kept elsewhere"
    )


def run_show(args: Namespace) -> int:
    """Shows entries, newest first."""
    from .common import CommandError, emit
    from .shared import installation, shown_time, table

    if not 1 <= args.limit <= 100_000:
        raise CommandError("--limit takes 1 to 100000.")
    with installation(args) as place:
        entries = place.organisation(args.org).audit(limit=args.limit)
    listed = [
        {
            "seq": e.seq,
            "at": shown_time(e.at),
            "by": e.by,
            "action": e.action,
            "subject": e.subject,
            "details": e.details,
            "hash": e.hash,
        }
        for e in entries
    ]
    rows = [[str(e["seq"]), str(e["at"]), str(e["by"]), str(e["action"]), str(e["subject"])] for e in listed]
    emit(args, {"entries": listed}, table(rows, ["no.", "at", "by", "what", "whom"]))
    return 0


def run_export(args: Namespace) -> int:
    """Exports the whole log."""
    import os
    import sys

    from .common import CommandError, Exit, emit
    from .shared import installation

    with installation(args) as place:
        if not args.out:
            if args.json:
                emit(args, _exported(place.store.audit.export()), "")
                return 0
            for line in place.store.audit.export():
                sys.stdout.write(line + "\n")
            return 0
        count = 0
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(args.out, flags, 0o600), "w", encoding="utf-8") as file:
                for line in place.store.audit.export():
                    file.write(line + "\n")
                    count += 1
        except OSError as error:
            raise CommandError(f"{args.out} cannot be written: {error.strerror}.", Exit.UNREACHABLE) from None
    emit(args, {"file": args.out, "lines": count}, f"{count} lines are in {args.out}.")
    return 0


def _exported(lines: Iterable[str]) -> dict[str, object]:
    """The lines of an export as one document."""
    import json

    entries: list[object] = []
    heads: list[object] = []
    for document in map(json.loads, lines):
        if "head" in document:
            heads.append(document["head"])
        else:
            entries.append(document)
    return {"entries": entries, "heads": heads}


def run_verify(args: Namespace) -> int:
    """Verifies the chain and the signed heads."""
    from pathlib import Path

    from gambeson.console.operations.kept import note_audit
    from gambeson.process.keeper_client import verify_head
    from gambeson.store.audit import SignedHead, head_of_line

    from .common import CommandError, Exit, emit
    from .shared import installation, now

    heads: list[SignedHead] = []
    for name in args.head:
        try:
            lines = Path(name).read_text("utf-8").splitlines()
            heads += [head for line in lines if (head := head_of_line(line)) is not None]
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.", Exit.UNREACHABLE) from None
        except ValueError:
            raise CommandError(f"{name} is no export of an audit log; name another file.") from None
    with installation(args) as place:
        _await_seal(place)
        public = place.keeper.public_keys().audit_pem
        faults = place.store.audit.verify(
            lambda payload, signature: verify_head(public, payload, signature), heads
        )
        note_audit(place.store, not faults, now())
        count, digest = place.store.audit.head()
        unsealed = place.store.audit.unsealed()
    document = {
        "entries": count,
        "head": digest,
        "unsealed": unsealed,
        "faults": [{"kind": f.kind, "entry": f.seq, "sentence": f.sentence} for f in faults],
    }
    if faults:
        text = "\n".join(f"entry {f.seq}: {f.sentence}" for f in faults)
    else:
        text = f"The audit log is whole: {count} entries, {count - unsealed} of them under a signed head."
    emit(args, document, text)
    return Exit.WRONG if faults else Exit.GOOD


def _await_seal(place: Installation) -> None:
    """The worker signs a moment after each change: give it that moment."""
    import time

    end = time.monotonic() + SEAL_PATIENCE
    while place.store.audit.unsealed() and place.running and time.monotonic() < end:
        time.sleep(0.1)
