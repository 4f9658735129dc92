"""``gambeson guard``: what the doors would decide, whether that is tight, and how far they hold for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import guard_export, guard_shields, guard_walk

if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from gambeson.guard.core.prove import Breach
    from gambeson.model.rule import ModeEntry
    from gambeson.store.tenant import OrganisationStore

    from . import Commands

DEFAULT_MODE = "14d"


def add(commands: Commands) -> None:
    """Declares ``guard`` and what is below it."""
    group = commands.group("guard", "the doors: explain, prove, walk, modes, the emergency bypass")
    explain = group.add("explain", "what a door would decide, and why", run_explain)
    explain.add_argument("--door", required=True, metavar="D", help="such as imap or submission")
    explain.add_argument("--account", required=True, metavar="ADDRESS")
    explain.add_argument("--rung", metavar="R", help="how strongly it is proven, such as device-secret")
    explain.add_argument("--device", default="", metavar="ID", help="one of the account's devices")
    explain.add_argument("--from", dest="source", default="", metavar="IP", help="where it comes from")
    explain.add_argument("--country", default="", metavar="CC", help="such as DE (default: the address's)")
    explain.add_argument(
        "--program", default="", metavar="NAME", help="what the program calls itself, such as Outlook-iOS/2.0"
    )
    explain.add_argument("--risk", type=int, default=0, metavar="N", help="0 to 100 (default 0)")
    group.add("prove", "walk the whole policy: does anything come in below its floor?", run_prove)
    ready = group.add("ready", "whom would enforcement stop?", run_ready)
    ready.add_argument("--since", default="14d", metavar="TIME", help="look so far back (default 14d)")
    _mode(group)
    opened = group.add(
        "open", "emergency bypass: let everybody pass as before the doors, for a while", run_open
    )
    opened.add_argument("--for", dest="time", metavar="TIME", help="such as 2h; at most 24h")
    opened.add_argument("--reason", default="", metavar="TEXT", help="it is audited")
    opened.add_argument("--close", action="store_true", help="end it now")
    guard_walk.add(group)
    guard_shields.add(group)
    guard_export.add(group)


def _mode(group: Commands) -> None:
    mode = group.add("mode", "how far a door holds: observe, warn or enforce; alone it lists", run_mode)
    mode.add_argument("door", metavar="DOOR", nargs="?", help="such as imap, or all")
    mode.add_argument("mode", metavar="MODE", nargs="?", choices=("observe", "warn", "enforce"))
    for_whom = mode.add_mutually_exclusive_group()
    for_whom.add_argument("--group", default="", metavar="NAME", help="only for a group")
    for_whom.add_argument("--account", default="", metavar="ADDRESS", help="only for an account")
    until = mode.add_mutually_exclusive_group()
    until.add_argument("--for", dest="time", metavar="TIME", help="it ends then (default 14d)")
    until.add_argument("--until", metavar="DATE", help="it ends then")
    mode.add_argument("--reason", default="", metavar="TEXT", help="it is audited")


def run_explain(args: Namespace) -> int:
    """Explains one decision."""
    from gambeson.guard.core.explain import explain
    from gambeson.guard.edge.clouds import read_clouds
    from gambeson.model.access import Rung

    from .common import CommandError, Exit, emit
    from .shared import installation, now, table

    door = _door(args.door)
    try:
        rung = Rung.from_word(args.rung) if args.rung else None
        _address(args.source)
        _country(args.country)
        if not 0 <= args.risk <= 100:
            raise ValueError("--risk is a number from 0 to 100")
        with installation(args) as place:
            country = args.country or _country_of(args.source, place.config.doors.country_table)
            found = explain(
                place.snapshot(),
                now(),
                door,
                args.account,
                rung,
                args.device,
                args.source,
                country,
                args.risk,
                cloud=read_clouds(place.config.doors.clouds).recognise(args.program, args.source),
            )
    except ValueError as error:
        raise CommandError(f"{str(error).removesuffix('.')}.") from None
    steps: Any = found["trace"]
    text = (
        f"{found['decision']} at {door} ({found['rule']}, {found['reason']}; mode {found['mode']})\n"
        f"{found['sentence']}\n"
        + table([[each["asked"], each["said"]] for each in steps], ["asked", "answer"])
    )
    if found["passes"] and found["decision"] != "allow":
        text += "\nThe door lets it pass all the same: it is recorded and not carried out."
    emit(args, found, text)
    return Exit.GOOD


def run_prove(args: Namespace) -> int:
    """Proves the policy: exit 1 where anything comes in below its floor."""
    from gambeson.guard.core.prove import prove, sentences

    from .common import Exit, emit
    from .shared import installation, now

    with installation(args) as place:
        organisation = place.organisation(args.org)
        proof = prove(place.snapshot(), organisation.id, now())
        bypass = _bypass(organisation)
    document = {
        "good": proof.good,
        "combinations": proof.combinations,
        "breaches": [_breach(each) for each in proof.breaches],
        "open_by_exception": [_breach(each) for each in proof.open_by_exception],
        "open_by_mode": [_breach(each) for each in proof.open_by_mode],
        "open_by_bypass": [_breach(each) for each in proof.open_by_bypass],
        "bypass": bypass,
    }
    lines = [*sentences(proof)]
    verdict = (
        "nothing comes in below its floor" if proof.good else f"{len(proof.breaches)} ways below a floor"
    )
    declared = len(lines) - len(proof.breaches)
    more = f"; {declared} declared openings" if declared else ""
    emit(args, document, "\n".join([*lines, f"{proof.combinations} combinations: {verdict}{more}."]))
    return Exit.GOOD if proof.good else Exit.WRONG


def run_ready(args: Namespace) -> int:
    """Says whom enforcement would stop."""
    from gambeson.guard.core.ready import ALLOWED, ready

    from .common import CommandError, Exit, emit
    from .shared import duration, installation, moment, now, shown_time, table

    at = now()
    since = (
        at - duration(args.since)
        if args.since[:1].isdigit() and "-" not in args.since
        else moment(args.since)
    )
    if since >= at:
        raise CommandError("--since lies in the future; give a date before now or a duration such as 14d.")
    limit = 200_000
    with installation(args) as place:
        organisation = place.organisation(args.org)
        events = organisation.events.query(kind=ALLOWED, since=since, limit=limit)
        found = ready(events, place.snapshot(), at, organisation.id)
        bypass = _bypass(organisation)
        modes = [_mode_document(each, "") for each in organisation.modes.list()]
    stopped = [
        {
            "account": s.account,
            "device": s.device,
            "door": s.door,
            "program": s.program,
            "decision": s.decision,
            "reason": s.reason,
            "sentence": s.sentence,
            "logins": s.logins,
            "first": shown_time(s.first),
            "last": shown_time(s.last),
            "sources": list(s.sources),
            "likely_machine": s.likely_machine,
            "why_machine": s.why_machine,
            "risk": s.risk,
            "risk_reasons": list(s.risk_reasons),
            "cloud": s.cloud,
        }
        for s in found.stopped
    ]
    document = {
        "ready": found.ready,
        "since": shown_time(since),
        "logins": found.looked_at,
        "unreadable": found.unreadable,
        "cut_off": len(events) >= limit,
        "stopped": stopped,
        "modes": modes,
        "bypass": bypass,
    }
    rows = [
        [
            *(str(s[k]) for k in ("account", "device", "door", "program", "cloud", "logins", "reason")),
            "machine" if s["likely_machine"] else "",
        ]
        for s in stopped
    ]
    text = (
        table(rows, ["account", "device", "door", "program", "cloud", "logins", "reason", "likely"]) + "\n"
        if rows
        else ""
    )
    text += f"{found.looked_at} logins since {shown_time(since)}: "
    if not found.looked_at:
        text += "nobody was seen, so nothing can be said."
    else:
        text += f"enforcement would stop {len(stopped)}." if stopped else "enforcement would stop nobody."
    if bypass:
        text += f"\nThe emergency bypass is open until {bypass['until']}: gambeson guard open --close."
    emit(args, document, text)
    if not found.looked_at or found.unreadable or len(events) >= limit:
        return Exit.INCOMPLETE
    return Exit.GOOD if found.ready else Exit.WRONG


def run_mode(args: Namespace) -> int:
    """Lists the modes, or sets one."""
    from .common import CommandError

    if args.door is None:
        return _list_modes(args)
    if args.mode is None:
        raise CommandError("A mode is missing: write observe, warn or enforce behind the door.")
    return _set_mode(args)


def _list_modes(args: Namespace) -> int:
    from gambeson.guard.core.modes import in_force

    from .common import Exit, emit
    from .shared import installation, now, table

    with installation(args) as place:
        organisation = place.organisation(args.org)
        names = {account.id: account.address for account in organisation.accounts.list()}
        modes = [
            _mode_document(m, names.get(m.account, m.account)) | {"in_force": in_force(m, now()).value}
            for m in organisation.modes.list()
        ]
        bypass = _bypass(organisation)
    rows = [
        [m["door"], m["mode"], m["until"] or "", m["account"] or m["group"] or "everybody", m["in_force"]]
        for m in modes
    ]
    text = table(rows, ["door", "mode", "until", "for", "in force"]) + "\n" if rows else ""
    text += "Every other door enforces." if rows else "Every door enforces for everybody."
    if bypass:
        text += f"\nThe emergency bypass is open until {bypass['until']}."
    emit(args, {"modes": modes, "bypass": bypass}, text)
    return Exit.GOOD


def _set_mode(args: Namespace) -> int:
    from gambeson.model.access import BROWSER_DOORS, DEVICE_DOORS, Mode
    from gambeson.store.errors import NotFound

    from .common import CommandError, emit
    from .shared import duration, installation, moment, now, shown_time, told

    mode, at = Mode(args.mode), now()
    doors = (*DEVICE_DOORS, *BROWSER_DOORS) if args.door == "all" else (_door(args.door),)
    if mode is Mode.ENFORCE and (args.time or args.until):
        raise CommandError("enforce has no end; leave --for and --until out.")
    until = moment(args.until) if args.until else at + duration(args.time or DEFAULT_MODE)
    with installation(args) as place:
        organisation = place.organisation_of(args.account, args.org)
        account = organisation.accounts.find(args.account).id if args.account else ""
        whom = {"group": args.group, "account": account, "by": place.who, "at": at}
        for door in doors:
            if mode is not Mode.ENFORCE:
                organisation.modes.set(door, mode, until=until, reason=args.reason, **whom)
            elif account or args.group:
                # Clearing would let a wider, laxer entry hold again; enforce for somebody means enforce.
                organisation.modes.set(door, mode, reason=args.reason, **whom)
            else:
                try:
                    organisation.modes.clear(door, **whom)
                except NotFound:
                    continue  # it enforced already
        document, line, code = told(place.tell())
    end = shown_time(until) if mode is not Mode.ENFORCE else None
    document |= {"doors": [door.value for door in doors], "mode": mode.value, "until": end}
    whose = args.account or (f"the group {args.group}" if args.group else "everybody")
    text = f"{', '.join(doors)}: {mode} for {whose}" + (f" until {end}" if end else "") + "."
    emit(args, document, "\n".join(part for part in (text, line) if part))
    return code


def run_open(args: Namespace) -> int:
    """Opens or ends the emergency bypass."""
    from .common import CommandError, emit
    from .shared import duration, installation, now, shown_time, told

    if args.close and (args.time or args.reason):
        raise CommandError("--close ends the bypass; leave --for and --reason out.")
    if not args.close and not (args.time and args.reason.strip()):
        raise CommandError(
            "The bypass needs its end and its reason: --for 2h --reason 'what happened'; --close ends it."
        )
    at = now()
    with installation(args) as place:
        organisation = place.organisation(args.org)
        name = organisation.get().name
        if args.close:
            was = organisation.bypass.close(by=place.who, at=at)
            text = f"The bypass of {name} is closed." if was else f"No bypass of {name} was open."
            until = None
        else:
            bypass = organisation.bypass.open(at + duration(args.time), args.reason, by=place.who, at=at)
            until = shown_time(bypass.until)
            text = (
                f"The doors of {name} let everybody pass to the mail server until {until}. "
                "End it with gambeson guard open --close."
            )
        document, line, code = told(place.tell())
    document |= {"open": not args.close, "until": until, "organisation": name}
    emit(args, document, "\n".join(part for part in (text, line) if part))
    return code


def _door(word: str) -> Any:
    from gambeson.model.access import DoorKind

    from .common import CommandError

    try:
        return DoorKind(word)
    except ValueError:
        raise CommandError(f"{word[:40]!a} is no door; known are {', '.join(DoorKind)}.") from None


def _address(text: str) -> None:
    from ipaddress import ip_address

    if text:
        try:
            ip_address(text)
        except ValueError:
            raise ValueError(f"{text[:60]!a} is no IP address") from None


def _country(text: str) -> None:
    if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise ValueError(f"{text[:20]!a} is no country code; write two letters such as DE")


def _country_of(source: str, table: str) -> str:
    """What the doors would know of this address."""
    from gambeson.guard.edge.countries import CountryTable
    from gambeson.guard.edge.networks import canonical

    return CountryTable(table).of(canonical(source)) if source and table else ""


def _bypass(organisation: OrganisationStore) -> dict[str, object] | None:
    from .shared import now, shown_time

    found = organisation.bypass.get()
    if found is None or found.until <= now():
        return None
    return {
        "until": shown_time(found.until),
        "reason": found.reason,
        "by": found.by,
        "at": shown_time(found.at),
    }


def _breach(breach: Breach) -> dict[str, object]:
    from .shared import shown_time

    return {
        "door": breach.door,
        "proof": breach.proof,
        "device": breach.device,
        "network": breach.network,
        "account": breach.account,
        "rule": breach.rule,
        "why": breach.why,
        "until": shown_time(breach.until),
        "combinations": breach.combinations,
        "sentence": breach.sentence,
    }


def _mode_document(entry: ModeEntry, account: str) -> dict[str, Any]:
    from .shared import shown_time

    return {
        "door": entry.door.value,
        "mode": entry.mode.value,
        "until": shown_time(entry.until),
        "group": entry.group,
        "account": account,
    }
