"""``gambeson backup``: one file with everything, made while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands

_DESCRIPTION = """\
Writes a backup (0600) while everything goes on: the databases, certificates that Gambeson made, and the keeper's
keys. The file opens every sealed secret, so keep it as you keep a key. With --without-keys, or where the keeper's key
lies elsewhere (a systemd credential, a passphrase, another file), that key is not in it and a restore needs it from
there.
"""


def add(commands: Commands) -> None:
    """Declares ``backup``."""
    parser = commands.add("backup", "write a backup while it runs", run, _DESCRIPTION)
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="default: backups/TIME.zip in the data directory"
    )
    parser.add_argument("--without-keys", action="store_true", help="leave the keeper's key file out")


def run(args: Namespace) -> int:
    """Writes the backup."""
    from datetime import UTC, datetime
    from pathlib import Path

    from gambeson.app.safekeeping import extra_files
    from gambeson.console.operations.kept import note_backup
    from gambeson.store.backup import backup

    from .common import emit
    from .shared import installation, now

    with installation(args) as place:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = Path(args.file) if args.file else place.place.backups / f"{stamp}.zip"
        target = target.absolute()
        backup(place.store, target, at=now(), extra=extra_files(place.place, keys=not args.without_keys))
        note_backup(place.store, now())
        keys = not args.without_keys and (place.place.keeper / "master.key").is_file()
    size = target.stat().st_size
    words = "with the keeper's key" if keys else "without the keeper's key, which a restore needs besides"
    emit(
        args,
        {"file": str(target), "size": size, "keys": keys},
        f"The backup is {target} ({size} octets, {words}).",
    )
    return 0
