"""``gambeson device eas``: what an administrator decides of ActiveSync devices, by account and DeviceId."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from gambeson.model.event import Event
    from gambeson.store.eas_devices import EasDevice

    from . import Commands

SEEN_DAYS = 30
_ABOUT = """\
A DeviceId is what a phone says of itself. A decision about one can shut a phone out of an account, or let a second
phone use a registered device's credential; it never proves anything.
"""


def declare(group: Commands) -> None:
    """Declares the group below ``device``, whose file calls this."""
    eas = group.group("eas", "ActiveSync phones, by their DeviceId", _ABOUT)
    listing = eas.add("list", "list the phones that were seen, and what was decided of them", run_list)
    listing.add_argument("address", metavar="ADDRESS", nargs="?", help="of this account")
    for name, summary in (
        ("allow", "let a phone use the account although it is not its device's first"),
        ("block", "shut a phone out of an account"),
        ("quarantine", "answer a phone, but serve it nothing"),
        ("forget", "take a decision back, and that it is a credential's first phone"),
    ):
        parser = eas.add(name, summary, _RUNS[name])
        parser.add_argument("address", metavar="ADDRESS")
        parser.add_argument("device_id", metavar="DEVICEID")


def run_list(args: Namespace) -> int:
    """Lists phones and decisions."""
    from .common import emit
    from .shared import installation, now, table

    with installation(args) as place:
        organisation = (
            place.organisation_of(args.address, args.org) if args.address else place.organisation(args.org)
        )
        account = organisation.accounts.find(args.address).id if args.address else None
        names = {a.id: a.address for a in organisation.accounts.list()}
        decided = organisation.eas_devices.list(account=account)
        since = now() - SEEN_DAYS * 86400
        seen = organisation.events.query(
            kind="door.eas.device", account=account or "", since=since, limit=5_000
        )
    listed = _listed(decided, seen, names)
    rows = [
        [str(one[k] or "") for k in ("account", "device_id", "decision", "program", "seen")] for one in listed
    ]
    emit(args, {"phones": listed}, table(rows, ["account", "DeviceId", "decision", "program", "last seen"]))
    return 0


def _listed(
    decided: Sequence[EasDevice], seen: Sequence[Event], names: Mapping[str, str]
) -> list[dict[str, str | None]]:
    """One line for each account and DeviceId; ``seen`` is newest first."""
    from .shared import shown_time

    lines: dict[tuple[str, str], dict[str, str | None]] = {}
    for one in decided:
        lines[one.account, one.device_id] = _line(
            names.get(one.account, one.account), one.device_id, one.decision
        )
    for event in seen:
        shown = str(event.data.get("device_id", ""))
        line = lines.setdefault(
            (event.account, shown.lower()), _line(names.get(event.account, event.account), shown, "")
        )
        if line["seen"] is None:
            line |= {
                "device_id": shown,
                "seen": shown_time(event.at),
                "program": str(event.data.get("program", "")),
            }
    return [lines[key] for key in sorted(lines)]


def _line(account: str, device_id: str, decision: str) -> dict[str, str | None]:
    return {"account": account, "device_id": device_id, "decision": decision, "program": "", "seen": None}


def run_allow(args: Namespace) -> int:
    """Allows."""
    return _decide(args, "allowed")


def run_block(args: Namespace) -> int:
    """Blocks."""
    return _decide(args, "blocked")


def run_quarantine(args: Namespace) -> int:
    """Puts into quarantine."""
    return _decide(args, "quarantined")


def run_forget(args: Namespace) -> int:
    """Takes a decision back."""
    return _decide(args, "")


_RUNS = {"allow": run_allow, "block": run_block, "quarantine": run_quarantine, "forget": run_forget}


def _decide(args: Namespace, decision: str) -> int:
    from .common import emit
    from .shared import installation, now, told

    with installation(args) as place:
        organisation = place.organisation_of(args.address, args.org)
        account, name = organisation.accounts.find(args.address), args.device_id.lower()
        if decision:
            organisation.eas_devices.decide(account.id, name, decision, by=place.who, at=now())
        else:
            organisation.eas_devices.forget(account.id, name, by=place.who, at=now())
        known, line, code = told(place.tell())
    done = f"is {decision} for" if decision else "is as any other for"
    document = {"account": account.address, "device_id": name, "decision": decision, **known}
    emit(args, document, f"{name} {done} {account.address}. {line}".strip())
    return code
