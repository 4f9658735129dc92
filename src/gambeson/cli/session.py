"""``gambeson session``: who is signed in at the doors and at the portal now, and closing sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from . import Commands


def add(commands: Commands) -> None:
    """Declares ``session`` and what is below it."""
    group = commands.group("session", "the open sessions at the doors and at the portal")
    listing = group.add("list", "who is signed in now", run_list)
    listing.add_argument("--portal", action="store_true", help="browsers at the portal, not mail programs")
    kill = group.add("kill", "close sessions; they may sign in again", run_kill)
    kill.add_argument("session", metavar="ID", nargs="?", default="", help="one session")
    kill.add_argument("--account", metavar="ADDRESS", help="all of an account, at the portal too")
    kill.add_argument("--device", metavar="ID", default="", help="all of a device")


def run_list(args: Namespace) -> int:
    """Lists the sessions."""
    from .common import Exit, emit
    from .shared import installation, shown_time, table

    if args.portal:
        return _list_portal(args)
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
    from gambeson.app.portal_sessions import PORTAL_IDS, end_portal_sessions
    from gambeson.process.messages import KillAsk

    from .common import CommandError, Exit, emit
    from .shared import installation

    if not (args.session or args.account or args.device):
        raise CommandError("Say which: the ID of a session, --account or --device.")
    with installation(args) as place:
        account, ended, missing = "", 0, set[str]()
        if args.account:
            account = place.organisation_of(args.account, args.org).accounts.find(args.account).id
        if args.account or args.session.startswith(PORTAL_IDS):
            ended = end_portal_sessions(place, args.session, args.account, args.org)
            missing |= set(place.tell().missing) if ended else set()
        closed = 0
        if not args.session.startswith(PORTAL_IDS):
            killed = place.worker.kill(KillAsk(session=args.session, device=args.device, account=account))
            closed, missing = killed.count, missing | set(killed.missing)
    silent = sorted(missing)
    text = f"{closed + ended} closed." + (f" No answer from {', '.join(silent)}." if silent else "")
    emit(args, {"closed": closed + ended, "at_portal": ended, "missing": silent}, text)
    return Exit.INCOMPLETE if silent else Exit.GOOD


def _list_portal(args: Namespace) -> int:
    from gambeson.app.portal_sessions import portal_sessions

    from .common import Exit, emit
    from .shared import installation, now, shown_time, table

    with installation(args) as place:
        found = portal_sessions(place, args.org, now())
    listed = [
        {
            "id": s.id,
            "account": address,
            "rung": s.rung,
            "how": s.how,
            "source": s.source,
            "agent": s.agent,
            "since": shown_time(s.at),
            "last_seen": shown_time(s.last_seen),
            "ends": shown_time(s.ends),
        }
        for s, address in found
    ]
    head = ("id", "account", "rung", "source", "since", "last_seen")
    rows = [[str(s[k] or "") for k in head] for s in listed]
    emit(args, {"sessions": listed}, table(rows, ["id", "account", "proof", "from", "since", "last seen"]))
    return Exit.GOOD
