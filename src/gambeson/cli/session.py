"""``gambeson session``: who is signed in at the doors now, and closing sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``session`` and what is below it."""
    group = commands.group("session", "the open sessions at the doors")
    group.add("list", "who is signed in now", run_list)
    kill = group.add("kill", "close sessions; they may sign in again", run_kill)
    kill.add_argument("session", metavar="ID", nargs="?", default="", help="one session")
    kill.add_argument("--account", metavar="ADDRESS", help="all of an account")
    kill.add_argument("--device", metavar="ID", default="", help="all of a device")


def run_list(args: Namespace) -> int:
    """Lists the sessions."""
    from .common import Exit, emit
    from .shared import installation, shown_time, table

    with installation(args) as place:
        organisation = place.organisation(args.org).id if args.org else ""
        found, missing = place.worker.sessions(organisation)
    listed = [
        {
            "id": s.id,
            "door": s.door,
            "account": s.address,
            "device": s.device,
            "source": s.source,
            "since": shown_time(s.since),
            "server": s.server,
            "process": s.process,
        }
        for s in found
    ]
    rows = [[str(s[k] or "") for k in ("id", "door", "account", "device", "source", "since")] for s in listed]
    emit(
        args,
        {"sessions": listed, "missing": list(missing)},
        table(rows, ["id", "door", "account", "device", "from", "since"]),
    )
    return Exit.INCOMPLETE if missing else Exit.GOOD


def run_kill(args: Namespace) -> int:
    """Closes sessions."""
    from gambeson.process.messages import KillAsk

    from .common import CommandError, Exit, emit
    from .shared import installation

    if not (args.session or args.account or args.device):
        raise CommandError("Say which: the ID of a session, --account or --device.")
    with installation(args) as place:
        account = ""
        if args.account:
            account = place.organisation_of(args.account, args.org).accounts.find(args.account).id
        killed = place.worker.kill(KillAsk(session=args.session, device=args.device, account=account))
    text = f"{killed.count} closed." + (
        f" No answer from {', '.join(killed.missing)}." if killed.missing else ""
    )
    emit(args, {"closed": killed.count, "missing": list(killed.missing)}, text)
    return Exit.INCOMPLETE if killed.missing else Exit.GOOD
