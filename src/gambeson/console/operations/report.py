"""The report of an organisation for a period: for whoever answers for its mail, and for an auditor.

Rules: every exception of the policy stands in it with its owner, reason and end; a door that only observes or warns
counts as open; a waived finding is shown with who waived it and until when, and is not counted as closed; what was not
measured is said to be that. The JSON document is ``docs/schemas/report.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from gambeson.console.core.chores import SideDoorFact
from gambeson.console.core.csv_cells import write
from gambeson.console.core.today import State
from gambeson.console.office import Office, RefusedError
from gambeson.model.access import DoorKind
from gambeson.model.finding import Finding, FindingState, Severity
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry, PolicyException
from gambeson.model.snapshot import SnapshotIndex
from gambeson.store.audit_entries import AuditQuery
from gambeson.store.findings import LIVE, FindingQuery
from gambeson.store.tenant import OrganisationStore

from . import tally
from .gather import exceptions, lax_modes
from .memory import remembered
from .probes import Period, past
from .today import around
from .week import view

PERIODS = (7, 30, 90)
DAY = 86400.0
MAX_FINDINGS = 200  # shown, the worst first; all are counted
MAX_CSV = 10_000
MAX_ACTS = 20_000  # of one kind that are counted
MAX_PEOPLE = 200  # named; all are counted
_MINUTES = 300.0


@dataclass(frozen=True, slots=True)
class Decisions:
    """Of one door in the period."""

    door: str
    allowed: int
    refused: int
    shielded: int


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that somebody accepts until a date; ``by`` answers for it."""

    finding: Finding
    by: str


@dataclass(frozen=True, slots=True)
class LaxDoor:
    """A mode by which a door does not hold for somebody: ``whom`` is a group's name, an address, or empty for all."""

    entry: ModeEntry
    whom: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """How many enabled accounts lack something, and the first of them by address."""

    count: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """``start`` to ``at`` are ``days`` days in UTC, the present one among them. ``without_factor`` is None where no
    door asks for one."""

    organisation: Organisation
    at: float
    days: int
    start: float
    state: State
    up: Period
    served: tuple[DoorKind, ...]
    decisions: tuple[Decisions, ...]
    opened: int
    closed: int
    waived: int
    open: int
    by_severity: tuple[tuple[Severity, int], ...]
    findings: tuple[Finding, ...]
    waivers: tuple[Waiver, ...]
    exceptions: tuple[PolicyException, ...]
    lax: tuple[LaxDoor, ...]
    bypass_until: float
    accounts: int
    without_factor: Lacking | None
    without_device: Lacking
    side_doors: tuple[SideDoorFact, ...]

    @property
    def enforcing(self) -> int:
        """How many of the served doors hold for everybody."""
        return len(set(self.served) - {each.entry.door for each in self.lax})

    @property
    def allowed(self) -> int:
        """Decisions that let somebody in."""
        return sum(each.allowed for each in self.decisions)

    @property
    def refused(self) -> int:
        """Decisions that did not, what shields stopped among them."""
        return sum(each.refused + each.shielded for each in self.decisions)


def period(text: str) -> int:
    """The days of a period, from a query. Empty is the first. Raises RefusedError(422)."""
    if not text:
        return PERIODS[1]
    if text not in {str(days) for days in PERIODS}:
        raise RefusedError("bad-period", f"A report is of {', '.join(map(str, PERIODS))} days.", 422)
    return int(text)


def report(office: Office, id: str, days: int) -> Report:
    """The report. Raises RefusedError."""
    org, index, now = office.organisation(id), office.index(), office.at
    about = around(office, id)
    seen = view(office.world.store, org, office.known(id), about, index, now)
    counted = tally.days(office.world.store, id, now, days)
    start = counted[0].start
    facts, people = seen.gathered.facts, seen.gathered.people
    counts = org.findings.counts()
    acts = {word: _acts(office, org, word, start, days) for word in ("opened", "verified", "fixed", "waived")}
    return Report(
        organisation=seen.organisation,
        at=now,
        days=days,
        start=start,
        state=seen.today.state,
        up=past(office.world.store, about.listening, now, days),
        served=seen.gathered.served,
        decisions=tuple(_decisions(counted)),
        opened=acts["opened"],
        closed=acts["verified"] + acts["fixed"],
        waived=acts["waived"],
        open=sum(counts.values()),
        by_severity=tuple((severity, counts.get(severity, 0)) for severity in reversed(Severity)),
        findings=tuple(org.findings.search(FindingQuery(LIVE, now=now), limit=MAX_FINDINGS)),
        waivers=tuple(_waivers(org, now)),
        exceptions=tuple(sorted(exceptions(index, id, now), key=lambda e: e.until)),
        lax=tuple(_lax(index, id, seen.gathered.served, now)),
        bypass_until=facts.bypass_until if facts.bypass_until > now else 0.0,
        accounts=len(people.accounts),
        without_factor=_lacking(index, people.without_factor) if people.factors else None,
        without_device=_lacking(index, people.without_device),
        side_doors=facts.side_doors,
    )


def findings_csv(office: Office, id: str) -> str:
    """Every finding that is open or waived, one a line; no cell is taken for a formula. Raises RefusedError."""
    org = office.organisation(id)
    every = org.findings.search(FindingQuery((*LIVE, FindingState.WAIVED)), limit=MAX_CSV)
    header = (
        "severity",
        "state",
        "title",
        "asset kind",
        "asset",
        "rule",
        "reason",
        "first seen",
        "last seen",
        "waived until",
        "why waived",
        "remedy",
        "id",
    )
    rows = (
        (
            f.severity.word,
            f.state.value,
            f.title,
            f.asset_kind,
            f.asset_name,
            f.rule,
            f.reason,
            _time(f.first_seen) or "",
            _time(f.last_seen) or "",
            _time(f.waived_until) or "",
            f.closing,
            " ".join(f.remedy),
            f.id,
        )
        for f in every
    )
    return write(header, rows)


def document(found: Report, sentences: Iterable[str]) -> dict[str, Any]:
    """The report as ``docs/schemas/report.json`` has it. ``sentences`` are its words in the language of who asks."""
    whole = found.up.whole
    return {
        "organisation": {"id": found.organisation.id, "name": found.organisation.name},
        "made": _time(found.at),
        "days": found.days,
        "since": _time(found.start),
        "sentences": list(sentences),
        "exposure": found.state.exposure.value,
        "availability": {
            "state": found.state.availability.value,
            **{name: round(getattr(whole, name), 6) for name in ("up", "degraded", "down", "blind")},
            "outages": [
                {
                    "door": o.door,
                    "state": o.state.value,
                    "start": _time(o.start),
                    "end": None if o.running else _time(o.end),
                    "sentence": o.sentence,
                }
                for o in found.up.outages
            ],
        },
        "doors": [door.value for door in found.served],
        "decisions": [
            {"door": d.door, "allowed": d.allowed, "refused": d.refused, "shielded": d.shielded}
            for d in found.decisions
        ],
        "findings": {
            "opened": found.opened,
            "closed": found.closed,
            "waived": found.waived,
            "open": found.open,
            "open_by_severity": {severity.word: count for severity, count in found.by_severity},
            "worst": [_finding(f) for f in found.findings],
            "waivers": [
                {
                    **_finding(w.finding),
                    "by": w.by,
                    "reason": w.finding.closing,
                    "until": _time(w.finding.waived_until),
                }
                for w in found.waivers
            ],
        },
        "exceptions": [
            {
                "name": e.name,
                "door": e.door.value,
                "rung": e.rung.word,
                "owner": e.owner,
                "reason": e.reason,
                "until": _time(e.until),
                "accounts": list(e.accounts),
                "groups": list(e.groups),
                "networks": list(e.networks),
            }
            for e in found.exceptions
        ],
        "not_enforcing": [
            {
                "door": each.entry.door.value,
                "mode": each.entry.mode.value,
                "until": _time(each.entry.until),
                "group": each.entry.group,
                "account": each.whom if each.entry.account else "",
            }
            for each in found.lax
        ],
        "bypass_until": _time(found.bypass_until),
        "accounts": found.accounts,
        "without_second_factor": _people(found.without_factor),
        "without_device": _people(found.without_device),
        "side_doors": [
            {"door": s.door.value, "accounts": s.accounts, "lowest": s.lowest.word} for s in found.side_doors
        ],
    }


def _acts(office: Office, org: OrganisationStore, word: str, since: float, days: int) -> int:
    """How many findings were that in the period. One that was opened again was opened."""

    def count() -> int:
        entries = org.audit_entries.forward(AuditQuery(action=f"finding.{word}", since=since))
        return sum(1 for _ in islice(entries, MAX_ACTS))

    return remembered(office.world.store, ("acts", org.id, word, days, since), office.at, _MINUTES, count)


def _decisions(days: Sequence[tally.Day]) -> Iterable[Decisions]:
    for door in sorted({door for day in days for door, _ in day.counts}):
        sums = [
            sum(day.of(kinds, door) for day in days)
            for kinds in (tally.ALLOWED, tally.REFUSED, tally.SHIELDED)
        ]
        if any(sums):
            yield Decisions(door, *sums)


def _waivers(org: OrganisationStore, now: float) -> Iterable[Waiver]:
    waived = org.findings.search(FindingQuery((FindingState.WAIVED,), now=now), limit=MAX_FINDINGS)
    for finding in waived:
        acts = org.audit_entries.search(AuditQuery(action="finding.waived", subject=finding.id), limit=1)
        yield Waiver(finding, acts[0].by if acts else "")


def _lax(index: SnapshotIndex, id: str, served: Sequence[DoorKind], now: float) -> Iterable[LaxDoor]:
    policy = index.policy.get(id)
    for door in served:
        for entry in lax_modes(policy.modes if policy else (), door, now):
            account = index.account.get(entry.account)
            own = account is not None and account.organisation == id
            yield LaxDoor(
                entry, account.address if own and account is not None else entry.account or entry.group
            )


def _lacking(index: SnapshotIndex, ids: Sequence[str]) -> Lacking:
    found = sorted(index.account[id].address for id in ids)
    return Lacking(len(found), tuple(found[:MAX_PEOPLE]))


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "id": f.id,
        "severity": f.severity.word,
        "state": f.state.value,
        "title": f.title,
        "rule": f.rule,
        "asset": f.asset_name,
        "first_seen": _time(f.first_seen),
    }


def _people(found: Lacking | None) -> dict[str, Any] | None:
    return None if found is None else {"count": found.count, "addresses": list(found.addresses)}


def _time(at: float) -> str | None:
    """RFC 3339 in UTC; None for never."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at > 0 else None
