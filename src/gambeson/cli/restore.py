"""``gambeson restore``: put a backup in the place of the data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands

_DESCRIPTION = """\
Examines a backup and, when it is whole, puts it in the place of the data directory. What was there is kept aside, never
deleted. Gambeson must be stopped. The keeper's key comes from the backup where it has it, else from the data that is
replaced.
"""


def add(commands: Commands) -> None:
    """Declares ``restore``."""
    parser = commands.add("restore", "put a backup in place of the data", run, _DESCRIPTION)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace a data directory that is not empty")


def run(args: Namespace) -> int:
    """Restores."""
    from pathlib import Path

    from gambeson.app.safekeeping import RestoreError, put_back

    from .common import CommandError, config, data_dir, emit

    settings = config(args)
    data = data_dir(args, configured=settings.data)
    try:
        done = put_back(Path(args.file).absolute(), data, settings, force=args.force)
    except RestoreError as error:
        raise CommandError(str(error), error.code) from None
    lines = [f"{args.file} is restored to {data}."]
    if done.aside:
        lines.append(f"What was there lies in {done.aside}.")
    if not done.keys:
        lines.append(
            "There are no keeper's keys: bring the old keeper folder back before gambeson up, or every device must be "
            "enrolled anew."
        )
    if done.mail_missing:
        lines.append("The playground's mail is not in a backup: it begins again with the sample mail.")
    document = {
        "data": str(data),
        "aside": str(done.aside) if done.aside else None,
        "keys": done.keys,
        "mail_missing": done.mail_missing,
    }
    emit(args, document, "\n".join(lines))
    return 0
