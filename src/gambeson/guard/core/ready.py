"""Is the organisation ready to enforce? Whom enforcement would stop, from what the doors recorded.

Looked at are logins that got in (``door.login.allowed``): what never got in is not missed, and attackers are
not asked. Each is put again to the policy as it is now, with every mode at enforce and no bypass, at the same
weekday and hour of the coming week. What would be refused is gathered by account, device, door and program.
What a hard floor keeps out by now (a device that was revoked since, a switched-off account) is kept out in every
mode: enforcement changes nothing for it, and it is not listed.

At the web doors a person without a session is nobody in particular, so the entry has no name but door, program and
address. An admission is recorded there once an hour at most, so the clock says nothing: a machine is known by what it
calls itself.

A program that signs in by the clock, from one place, with a password and without giving its name is likely a
*machine* (a scanner, a ticket system, a script): it cannot read a refusal and wants a machine credential.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, inf
from statistics import median
from typing import cast

from gambeson.model.access import (
    BROWSER_DOORS,
    DEVICE_WEB_DOORS,
    AccessRequest,
    DoorKind,
    Identity,
    Rung,
)
from gambeson.model.event import Event
from gambeson.model.snapshot import SnapshotIndex

from .decide import decide
from .floors import HARD, QUARANTINE
from .networks import source_prefix
from .web.clients import load_clients

ALLOWED = "door.login.allowed"
WEEK = 7 * 86400.0
MIN_SIGHTINGS = 8  # fewer logins show no rhythm
RHYTHM = 0.1  # how far, of the usual interval, an interval strays from it where a clock keeps it
REGULAR = 0.8  # of the intervals; a machine pauses for the night or its restart, too
NOBODY = "(no session)"
_LIVE = "ready:live-credentials"  # a key of SnapshotIndex.memo; no organisation's id has a colon
_WEB_DOORS = frozenset((*BROWSER_DOORS, *DEVICE_WEB_DOORS))
# How libraries and scripts begin their User-Agent (RFC 9110 section 10.1.5): nobody reads a page with them.
_LIBRARIES = (
    "python",
    "curl",
    "wget",
    "java/",
    "okhttp",
    "go-http-client",
    "powershell",
    "windowspowershell",
    "exchangeservicesclient",
    "exchangelib",
    "perl",
    "libwww",
    "ruby",
    "php",
    "axios",
    "node-fetch",
    "prtg",
    "zabbix",
    "nagios",
    "check_",
)
IN_EVERY_MODE = frozenset(name for name, _ in HARD) | {QUARANTINE}


@dataclass(frozen=True, slots=True)
class Stopped:
    """One account, device, door and program that enforcement would stop. Times are seconds since 1970;
    ``account`` is an address, ``device`` an id or empty. ``why_machine`` is empty where a person is likely. ``risk`` is
    the highest of these logins, ``risk_reasons`` what made that up; ``cloud`` the cloud service through which the
    program reads, or empty."""

    account: str
    device: str
    door: str
    program: str
    decision: str
    reason: str
    sentence: str
    logins: int
    first: float
    last: float
    sources: tuple[str, ...]
    why_machine: str = ""
    risk: int = 0
    risk_reasons: tuple[str, ...] = ()
    cloud: str = ""

    @property
    def likely_machine(self) -> bool:
        """True where it behaves like one."""
        return bool(self.why_machine)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer. ``looked_at`` counts logins, ``unreadable`` events that say too little to be judged."""

    stopped: tuple[Stopped, ...]
    looked_at: int
    unreadable: int

    @property
    def ready(self) -> bool:
        """True where enforcement would stop nobody that was seen, and somebody was seen."""
        return self.looked_at > 0 and not self.stopped and not self.unreadable

    @property
    def machines(self) -> tuple[Stopped, ...]:
        """Those that are likely machines."""
        return tuple(s for s in self.stopped if s.likely_machine)


@dataclass(slots=True)
class _Group:
    times: list[float] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    proven: bool = False
    cloud: str = ""
    risk: int = 0
    risk_reasons: tuple[str, ...] = ()
    answer: tuple[str, str, str] = ("", "", "")


def ready(events: Iterable[Event], index: SnapshotIndex, now: float, organisation: str = "") -> Readiness:
    """Whom enforcement would stop. ``organisation`` (an id) restricts; empty looks at all of the snapshot."""
    strict = enforced(index)
    groups: dict[tuple[str, str, str, str], _Group] = {}
    looked_at = unreadable = 0
    for event in events:
        if event.kind != ALLOWED or (organisation and event.organisation != organisation):
            continue
        looked_at += 1
        request = request_of(event, index)
        if request is None:
            unreadable += 1
            continue
        at = event.at + WEEK * max(0, ceil((now - event.at) / WEEK))
        decision = decide(request, strict, at, max_age=inf)
        if decision.passes or decision.rule in IN_EVERY_MODE:
            continue
        account = index.account.get(request.identity.account)
        name = account.address if account is not None else request.identity.claimed or NOBODY
        group = groups.setdefault((name, event.device, event.door, program_of(event)), _Group())
        group.times.append(event.at)
        group.sources.add(event.source)
        group.cloud = request.cloud or group.cloud
        group.proven = group.proven or bool(request.identity.account)
        if request.risk > group.risk:
            group.risk, group.risk_reasons = request.risk, _reasons(event)
        group.answer = (decision.opinion.value, decision.reason, decision.sentence)
    stopped = [_stopped(key, group) for key, group in groups.items()]
    stopped.sort(key=lambda s: (-s.logins, s.account, s.door, s.program))
    return Readiness(tuple(stopped), looked_at, unreadable)


def enforced(index: SnapshotIndex) -> SnapshotIndex:
    """The same with every mode at enforce and no bypass."""
    policies = tuple(replace(p, modes=()) for p in index.snapshot.policies)
    return SnapshotIndex(replace(index.snapshot, policies=policies, bypass_until=()))


def request_of(event: Event, index: SnapshotIndex) -> AccessRequest | None:
    """What was asked then, or None where the event does not say."""
    try:
        door, rung = DoorKind(event.door), Rung.from_word(str(event.data.get("rung", "nothing")))
    except ValueError:
        return None
    claimed = str(event.data.get("claimed", ""))
    if not event.account and not claimed and door not in BROWSER_DOORS:
        return None
    identity = Identity(claimed, event.organisation)
    if event.account:
        credential = str(event.data.get("credential", ""))
        identity = Identity(claimed, event.organisation, event.account, event.device, credential, rung)
        if event.device and credential not in index.credential:
            # A device that has got a new credential since is not stopped for the old one's sake.
            identity = replace(identity, credential=_live(index).get(event.device, ""))
    risk = event.data.get("risk", 0)
    return AccessRequest(
        door,
        identity,
        event.source,
        country=str(event.data.get("country", "")),
        risk=min(100, max(0, risk)) if isinstance(risk, int) else 0,
        cloud=str(event.data.get("cloud", "")),
        cloud_evidence=str(event.data.get("cloud_evidence", "")),
    )


def _live(index: SnapshotIndex) -> dict[str, str]:
    """By device (its id) the id of its first credential that was not revoked; made once for a snapshot."""
    if _LIVE not in index.memo:
        found: dict[str, str] = {}
        for credential in index.credential.values():
            if not credential.revoked_at:
                found.setdefault(credential.device, credential.id)
        index.memo[_LIVE] = found
    return cast(dict[str, str], index.memo[_LIVE])


def _reasons(event: Event) -> tuple[str, ...]:
    """The words of the risk, as far as the event tells them."""
    said = event.data.get("risk_reasons")
    return tuple(word for word in said if isinstance(word, str)) if isinstance(said, list) else ()


def program_of(event: Event) -> str:
    """The program by its name where it is a known one, else what the client calls itself: IMAP ID, user agent, or the
    name it said HELO with."""
    for key in ("program", "user_agent", "helo"):
        said = event.data.get(key)
        if isinstance(said, str) and said.strip():
            return load_clients().program(said)
    return ""


def _stopped(key: tuple[str, str, str, str], group: _Group) -> Stopped:
    account, device, door, program = key
    opinion, reason, sentence = group.answer
    return Stopped(
        account=account,
        device=device,
        door=door,
        program=program,
        decision=opinion,
        reason=reason,
        sentence=sentence,
        logins=len(group.times),
        first=min(group.times),
        last=max(group.times),
        sources=tuple(sorted(group.sources)),
        risk=group.risk,
        risk_reasons=group.risk_reasons,
        cloud=group.cloud,
        why_machine="" if group.proven else _why_machine(door, program, group),
    )


def _why_machine(door: str, program: str, group: _Group) -> str:
    if door in _WEB_DOORS:
        if program.lower().startswith(_LIBRARIES):
            return f"calls itself {program[:60]}, which programs written for one purpose do"
        return ""
    # At submission the name is that of HELO, which every machine has to say.
    if program and door != DoorKind.SUBMISSION:
        return ""
    return _rhythm(group.times, group.sources)


def _rhythm(times: list[float], sources: set[str]) -> str:
    """Why these logins look like a machine's; empty where they do not."""
    if len(times) < MIN_SIGHTINGS or len({source_prefix(s) for s in sources}) != 1:
        return ""
    ordered = sorted(times)
    gaps = [b - a for a, b in pairwise(ordered)]
    usual = median(gaps)
    kept = sum(abs(gap - usual) <= RHYTHM * usual for gap in gaps)
    if usual <= 0 or kept < REGULAR * len(gaps):
        return ""
    place = ", ".join(sorted(sources))
    return f"signs in every {_span(usual)} from {place} with a password, and no mail program gives its name"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
