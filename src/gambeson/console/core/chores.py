"""From what is known of an organisation to what there is to do: facts in, chores out. One table has the weights.

A fact that is not known is None. It becomes a chore ("find out") and stands in ``Facts.unmeasured``; it is never taken
for a good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from urllib.parse import quote

from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.finding import Finding, FindingState, Severity

DAY = 86400.0
SOON = 14 * DAY  # an exception that ends within two weeks is to be renewed or prepared for
OLD_BACKUP = 2 * DAY
OLD_VERIFICATION = 8 * DAY  # the audit log's chain is to be verified weekly, give or take a day
MAX_MINUTES = 240  # whatever there is more of is not done at one sitting


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of chore weighs: severity (0..100), minutes to begin with, minutes for each thing, the page, and
    whether it is before everything else."""

    severity: int
    minutes: float
    each: float
    link: str
    critical: bool = False


# kind: severity x exposure is the risk. Why the severity is what it is stands beside it.
KINDS: Mapping[str, Kind] = {
    # Everybody gets in with a password while it is on: the very thing Gambeson is there to end.
    "bypass-open": Kind(100, 5, 0, "doors/modes", critical=True),
    # Somebody used a sealed code. Either it was one of us, or it is the worst that can be.
    "break-glass-used": Kind(100, 15, 0, "/staff/break-glass", critical=True),
    # The record was changed after it was written: nothing in it can be relied on.
    "audit-broken": Kind(100, 30, 0, "audit", critical=True),
    # People cannot work, and will look for a way around.
    "door-down": Kind(90, 15, 5, "doors", critical=True),
    # A mailbox that a guessed password opens now, for the accounts behind it.
    "side-door": Kind(80, 10, 1, "people?only=side-door"),
    # A known hole that is attacked from the Internet, and the shield before it is off.
    "shield-off": Kind(70, 5, 5, "doors"),
    # Doors that do not hold the newest policy: a revocation has not reached them.
    "snapshot-lagging": Kind(70, 10, 0, "doors"),
    # Nobody knows whether it is up or who tries what.
    "door-blind": Kind(60, 10, 5, "doors"),
    # Without a copy one fault loses everything; whether there is one is not known, or it is old.
    "backup-unknown": Kind(60, 15, 0, "/settings"),
    "backup-old": Kind(50, 15, 0, "/settings"),
    # A door that only watches lets every password through; it ends by itself, so less than a side door.
    "door-not-enforcing": Kind(60, 10, 3, "doors/modes"),
    # Where a code is demanded and there is none, people are shut out, or let in by a friendly voice on the phone.
    "no-second-factor": Kind(45, 5, 0.5, "people?only=without-factor"),
    # The record's chain was not looked at for a week: a change would not be noticed.
    "audit-unverified": Kind(40, 5, 0, "audit"),
    # Without codes nobody gets to the console when the directory is down or the key is lost.
    "break-glass-missing": Kind(40, 15, 0, "/staff/break-glass"),
    # People wait for their mail, and among what waits may be a thief's phone.
    "quarantined": Kind(40, 3, 2, "people/quarantine"),
    "eas-waiting": Kind(40, 3, 2, "people/quarantine"),
    # Who will be stopped by enforcement: it keeps the door from being shut.
    "would-be-stopped": Kind(35, 5, 3, "doors/modes"),
    # It ends, and somebody will be stopped on that day; or it is renewed without a thought.
    "exception-ending": Kind(30, 3, 5, "policy"),
    # A credential that nobody misses when it is stolen.
    "unused-device": Kind(30, 3, 0.5, "people?unused=180"),
    # Who has no device is not through the door's change yet.
    "no-device": Kind(25, 5, 1, "people?only=without-device"),
    # Not measured yet: the findings are not known.
    "findings-unknown": Kind(50, 10, 0, "findings"),
}
# A finding weighs by what was found: severity, and minutes to read it and do what it says.
FINDINGS: Mapping[Severity, Kind] = {
    Severity.CRITICAL: Kind(95, 20, 10, "findings", critical=True),
    Severity.HIGH: Kind(70, 15, 10, "findings"),
    Severity.MEDIUM: Kind(40, 15, 5, "findings"),
    Severity.LOW: Kind(15, 10, 5, "findings"),
    Severity.INFO: Kind(0, 5, 0, "findings"),  # nothing to do: no chore
}
_ABOUT_ACCOUNTS = frozenset(
    (
        "side-door",
        "no-second-factor",
        "quarantined",
        "eas-waiting",
        "would-be-stopped",
        "unused-device",
        "no-device",
    )
)
_BLIND = frozenset(("door-blind", "backup-unknown", "audit-unverified", "findings-unknown"))


@dataclass(frozen=True, slots=True)
class DoorFact:
    """How far a served door holds: the laxest mode that is in force there, and when that ends (0: it does not)."""

    door: DoorKind
    mode: Mode
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class SideDoorFact:
    """A door that some accounts get into below its floor: see ``matrix.SideDoor``. ``lowest`` is the weakest proof."""

    door: DoorKind
    accounts: int
    lowest: Rung = Rung.KNOWLEDGE


@dataclass(frozen=True, slots=True)
class EndingFact:
    """An exception of the policy and its end."""

    name: str
    until: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one organisation at ``now`` (seconds since 1970). Counts of None are not known.

    ``accounts`` are all that are enabled; ``stopped`` those whom enforcement would stop; ``codes_left`` the unused
    break-glass codes (None: they are not this organisation's business); ``codes_used_at`` when one was last used and
    the codes were not made anew since (0: never); ``lagging`` the doors without the newest snapshot;
    ``audit_verified_at`` when the chain was last found whole (None: not known); ``audit_broken``: it was found broken;
    ``backup_at`` when the last backup was made (None: not known); ``down`` and ``blind`` are names of doors.
    """

    now: float
    accounts: int = 0
    findings: tuple[Finding, ...] | None = ()
    quarantined: int = 0
    eas_waiting: int = 0
    doors: tuple[DoorFact, ...] = ()
    stopped: int = 0
    side_doors: tuple[SideDoorFact, ...] = ()
    shields_off: tuple[str, ...] = ()
    exceptions: tuple[EndingFact, ...] = ()
    bypass_until: float = 0.0
    codes_left: int | None = None
    codes_used_at: float = 0.0
    lagging: int = 0
    unused_devices: int = 0
    without_second_factor: int = 0
    without_device: int = 0
    audit_verified_at: float | None = None
    audit_broken: bool = False
    backup_at: float | None = None
    down: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The kinds of chores that say that something is not known, as far as exposure hangs on it."""
        found = ["door-blind"] if self.blind else []
        found += ["findings-unknown"] if self.findings is None else []
        late = self.audit_verified_at is None or self.now - self.audit_verified_at > OLD_VERIFICATION
        found += ["audit-unverified"] if late and not self.audit_broken else []
        return tuple([*found, "backup-unknown"] if self.backup_at is None else found)


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing to do. ``key`` is the same for the same thing from week to week; ``title`` is a key of the texts,
    filled with ``values`` (numbers, names, and times as seconds since 1970 in names that end in ``_at``); ``link`` is
    where it is done, below the organisation's pages; with a slash before it, of the whole console."""

    key: str
    kind: str
    title: str
    minutes: int
    risk: int
    link: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)
    critical: bool = False

    @property
    def blind(self) -> bool:
        """True where the chore is to find out."""
        return self.kind in _BLIND


def chores(facts: Facts) -> tuple[Chore, ...]:
    """Everything there is to do, in no order of importance."""
    found = [*_of_gambeson(facts), *_of_doors(facts), *_of_people(facts), *_of_findings(facts)]
    return tuple(chore for chore in found if chore.risk)


def exposure(count: int, accounts: int) -> float:
    """How much of the organisation is concerned, from 0.25 (one of many) to 1 (everybody; also where nobody knows how
    many there are)."""
    return 1.0 if accounts <= 0 or count >= accounts else 0.25 + 0.75 * max(0, count) / accounts


def _chore(facts: Facts, name: str, count: int = 1, key: str = "", **values: str | int | float) -> Chore:
    kind = KINDS[name]
    concerned = exposure(count, facts.accounts) if name in _ABOUT_ACCOUNTS else 1.0
    return Chore(
        key or name,
        name,
        f"today.chore.{name}",
        _minutes(kind, count),
        max(1, round(kind.severity * concerned)),
        kind.link,
        {"count": count, **values},
        kind.critical,
    )


def _minutes(kind: Kind, count: int) -> int:
    return max(1, round(min(MAX_MINUTES, kind.minutes + kind.each * count)))


def _of_gambeson(facts: Facts) -> Iterator[Chore]:
    now = facts.now
    if now < facts.bypass_until:
        yield _chore(facts, "bypass-open", until_at=facts.bypass_until)
    if facts.codes_used_at:
        yield _chore(facts, "break-glass-used", used_at=facts.codes_used_at)
    elif facts.codes_left == 0:
        yield _chore(facts, "break-glass-missing")
    if facts.audit_broken:
        yield _chore(facts, "audit-broken")
    elif "audit-unverified" in facts.unmeasured:
        yield _chore(facts, "audit-unverified", verified_at=facts.audit_verified_at or 0.0)
    if facts.backup_at is None:
        yield _chore(facts, "backup-unknown")
    elif now - facts.backup_at > OLD_BACKUP:
        yield _chore(facts, "backup-old", made_at=facts.backup_at)
    if facts.lagging > 0:
        yield _chore(facts, "snapshot-lagging", facts.lagging)


def _of_doors(facts: Facts) -> Iterator[Chore]:
    for name, doors in (("door-down", facts.down), ("door-blind", facts.blind)):
        if doors:
            yield _chore(facts, name, len(doors), doors=_listed(doors))
    watching = [d for d in facts.doors if d.mode is not Mode.ENFORCE]
    if watching:
        ends = min((d.until for d in watching if d.until), default=0.0)
        names = _listed(d.door.value for d in watching)
        yield _chore(facts, "door-not-enforcing", len(watching), doors=names, until_at=ends)
    for side in facts.side_doors:
        if side.accounts > 0:
            key = f"side-door:{side.door.value}"
            values = {"door": side.door.value, "rung": side.lowest.word}
            yield _chore(facts, "side-door", side.accounts, key, **values)
    if facts.shields_off:
        yield _chore(facts, "shield-off", len(facts.shields_off), shields=_listed(facts.shields_off))
    ending = [e for e in facts.exceptions if facts.now < e.until <= facts.now + SOON]
    if ending:
        first = min(e.until for e in ending)
        names = _listed(e.name for e in ending)
        yield _chore(facts, "exception-ending", len(ending), exceptions=names, until_at=first)


def _of_people(facts: Facts) -> Iterator[Chore]:
    for name, count in (
        ("quarantined", facts.quarantined),
        ("eas-waiting", facts.eas_waiting),
        ("would-be-stopped", facts.stopped),
        ("no-second-factor", facts.without_second_factor),
        ("no-device", facts.without_device),
        ("unused-device", facts.unused_devices),
    ):
        if count > 0:
            yield _chore(facts, name, count)


def _of_findings(facts: Facts) -> Iterator[Chore]:
    """One chore for each rule: what is wrong in ten places is understood once."""
    if facts.findings is None:
        yield _chore(facts, "findings-unknown")
        return
    by_rule: dict[str, list[Finding]] = {}
    for finding in facts.findings:
        waived = finding.state is FindingState.WAIVED and facts.now < (finding.waived_until or inf)
        if not waived and finding.state not in (FindingState.FIXED, FindingState.VERIFIED):
            by_rule.setdefault(finding.rule, []).append(finding)
    for rule, mine in by_rule.items():
        worst = max(mine, key=lambda f: f.severity)
        kind = FINDINGS[worst.severity]
        title = "today.chore.finding" if len(mine) == 1 else "today.chore.findings"
        values: dict[str, str | int | float]
        values = {"count": len(mine), "what": worst.title, "severity": worst.severity.word, "rule": rule}
        link = f"findings/{worst.id}" if len(mine) == 1 else f"findings?rule={quote(rule, safe='')}"
        yield Chore(
            f"finding:{rule}",
            "finding",
            title,
            _minutes(kind, len(mine)),
            kind.severity,
            link,
            values,
            kind.critical,
        )


def _listed(names: Iterable[str]) -> str:
    """A few names; of many the first."""
    every = tuple(names)
    return ", ".join(every[:5]) + (", …" if len(every) > 5 else "")
