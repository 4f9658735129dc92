"""``gambeson finding``: what is wrong, as measured. A finding closes by being measured again, never by a command."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from gambeson.app.installation import Installation
    from gambeson.model.finding import Finding
    from gambeson.store.tenant import OrganisationStore

    from . import Commands

_LIST = """\
Lists what is wrong, the worst first. Exit 1 where something open is at or above --fail-on. While Gambeson runs, the
worker measures every few seconds; while it does not, this is how it last was.
"""
_WAIVE = """\
Accepts a finding until a date, for a reason; somebody answers for it. It is shown in every report meanwhile, and open
again at its end if it is still so.
"""


def add(commands: Commands) -> None:
    """Declares ``finding`` and what is below it."""
    group = commands.group("finding", "what is wrong, as measured")
    listing = group.add("list", "list what is open, the worst first", run_list, _LIST)
    listing.add_argument("--all", action="store_true", help="also what is waived or was measured as gone")
    listing.add_argument(
        "--fail-on",
        metavar="SEVERITY",
        default="high",
        help="info, low, medium, high (default), critical, never",
    )
    show = group.add("show", "one finding with its evidence and what to do", run_show)
    show.add_argument("finding", metavar="ID")
    waive = group.add("waive", "accept a finding until a date, for a reason", run_waive, _WAIVE)
    waive.add_argument("finding", metavar="ID")
    waive.add_argument("--reason", metavar="TEXT", required=True, help="why it is acceptable")
    waive.add_argument("--owner", metavar="NAME", required=True, help="who answers for it")
    waive.add_argument("--until", metavar="WHEN", required=True, help="a date, or a duration such as 30d")


def document(finding: Finding) -> dict[str, object]:
    """A finding as JSON (docs/schemas/finding.json)."""
    from gambeson.model.finding import FindingState

    from .shared import shown_time

    waived = finding.state is FindingState.WAIVED
    return {
        "id": finding.id,
        "organisation": finding.organisation,
        "asset": {"kind": finding.asset_kind, "name": finding.asset_name},
        "rule": finding.rule,
        "title": finding.title,
        "severity": finding.severity.word,
        "confidence": finding.confidence.value,
        "state": finding.state.value,
        "first_seen": shown_time(finding.first_seen),
        "last_seen": shown_time(finding.last_seen),
        "evidence": [
            {
                "source": e.source,
                "locator": e.locator,
                "sha256": e.sha256,
                "excerpt": e.excerpt,
                "at": shown_time(e.at),
            }
            for e in finding.evidence
        ],
        "reason": finding.reason,
        "remedy": list(finding.remedy),
        "references": list(finding.references),
        "closing": finding.closing,
        "waived_until": shown_time(finding.waived_until) if waived else None,
    }


def run_list(args: Namespace) -> int:
    """Lists findings of the organisation, or of all."""
    from gambeson.model.finding import FindingState

    from .common import Exit, emit
    from .shared import installation, shown_time, table

    floor = _severity(args.fail_on)
    live = (FindingState.OPEN, FindingState.ACKNOWLEDGED)
    with installation(args) as place:
        names = [args.org] if args.org else [o.id for o in place.store.organisations()]
        found = [
            finding
            for name in names
            for finding in place.store.organisation(name).findings.list(
                states=tuple(FindingState) if args.all else live
            )
        ]
    found.sort(key=lambda f: (-f.severity, -f.last_seen, f.id))
    rows = [
        [f.severity.word, f.state.value, f.title, f.asset_name, shown_time(f.first_seen) or "", f.id]
        for f in found
    ]
    text = table(rows, ["severity", "state", "what", "where", "since", "id"]) if rows else "Nothing is open."
    emit(args, {"findings": [document(f) for f in found]}, text)
    bad = any(f.state in live and floor is not None and f.severity >= floor for f in found)
    return Exit.WRONG if bad else Exit.GOOD


def run_show(args: Namespace) -> int:
    """Shows one finding."""
    from .common import emit
    from .shared import installation

    with installation(args) as place:
        finding = _holding(place, args).findings.get(args.finding)
    emit(args, document(finding), _told(finding))
    return 0


def run_waive(args: Namespace) -> int:
    """Accepts one finding for a while."""
    from .common import CommandError, emit
    from .shared import installation, moment, now, shown_time

    reason, owner = args.reason.strip(), args.owner.strip()
    if not (reason and owner):
        raise CommandError("A waiver needs a reason and an owner: give --reason and --owner.")
    until = moment(args.until)
    with installation(args) as place:
        findings = _holding(place, args).findings
        words = f"{reason} ({owner} answers for it)"
        finding = findings.waive(args.finding, until=until, reason=words, by=place.who, at=now())
    emit(args, document(finding), f"{finding.title}: waived until {shown_time(finding.waived_until)}.")
    return 0


def _holding(place: Installation, args: Namespace) -> OrganisationStore:
    """The organisation that the finding belongs to: the one named, else whichever has it."""
    from gambeson.store.errors import NotFound

    if args.org:
        return place.store.organisation(args.org)
    for organisation in place.store.organisations():
        with contextlib.suppress(NotFound):
            store = place.store.organisation(organisation.id)
            store.findings.get(args.finding)
            return store
    raise NotFound(f"There is no finding {args.finding[:80]!a}: see gambeson finding list.")


def _severity(word: str) -> int | None:
    from gambeson.model.finding import Severity

    from .common import CommandError

    if word == "never":
        return None
    for severity in Severity:
        if severity.word == word:
            return severity
    words = ", ".join(s.word for s in Severity)
    raise CommandError(f"{word!r} is no severity; --fail-on takes {words} or never.")


def _told(finding: Finding) -> str:
    from .shared import printable, shown_time

    lines = [
        f"{finding.title}: {finding.asset_name}",
        f"  {finding.severity.word}, {finding.state.value}, since {shown_time(finding.first_seen)}, "
        f"last measured {shown_time(finding.last_seen)}",
        f"  {finding.reason}",
    ]
    lines += [f"  evidence: {e.source} {e.locator} {e.excerpt}" for e in finding.evidence]
    lines += [f"  to do: {step}" for step in finding.remedy]
    if finding.closing:
        lines.append(f"  {finding.closing}")
    return "\n".join(printable(line) for line in lines)
