"""What is wrong with the doors right now, as Findings: pure functions from what was measured.

Each rule of :data:`RULES` is measured anew every time. What is measured as wrong is opened or seen again; what was
open and is measured as right is closed; what could not be measured stays as it is. :func:`changes` says which is which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gambeson.model.access import Mode
from gambeson.model.asset import Account, Device, DeviceKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Evidence, Finding, Severity
from gambeson.model.rule import ModeEntry, Policy
from gambeson.model.server import MailServer

from .web.eas_findings import other_devices, shared_devices

REFUSED_US = "credential refused by the mail server"
BEHIND_SECONDS = 10.0  # a door that has not acknowledged for so long


@dataclass(frozen=True, slots=True)
class Rule:
    """``title`` and ``remedy`` in plain words; ``asset`` is the kind of asset it speaks of. ``whole``: every round
    measures all of its assets, so that silence about one means that it is well."""

    asset: str
    severity: Severity
    title: str
    remedy: tuple[str, ...]
    whole: bool = True


RULES: Mapping[str, Rule] = {
    "doors.snapshot-stale": Rule(
        "process",
        Severity.CRITICAL,
        "A door judges by old accounts and policy",
        (
            "See what the worker says on standard error, and whether the disk is full.",
            "Restart Gambeson if it does not pass; with old news for an hour the doors admit nobody new.",
        ),
        whole=False,
    ),
    "doors.not-acknowledging": Rule(
        "process",
        Severity.HIGH,
        "A door has not taken the newest accounts and policy",
        ("Close its sessions with gambeson session kill, and restart Gambeson if it does not pass.",),
        whole=False,
    ),
    "doors.events-damaged": Rule(
        "spool",
        Severity.HIGH,
        "A record of events is damaged",
        (
            "Check the disk. What came before the damage was taken in; what came after it is in the file named.",
            "Move the file out of the folder once it was looked at: that closes this.",
        ),
    ),
    "doors.events-not-stored": Rule(
        "store",
        Severity.HIGH,
        "Events wait and can't be stored",
        ("See whether the disk is full or the database is locked; the doors keep the events until then.",),
    ),
    "doors.forged-events": Rule(
        "spool",
        Severity.CRITICAL,
        "A process said what it may not say",
        (
            "A door or the keeper wrote events in another's name, as a hijacked process would.",
            "Stop Gambeson, look at the machine, and change the keeper's keys.",
        ),
        whole=False,
    ),
    "server.unreachable": Rule(
        "server",
        Severity.HIGH,
        "A mail server could not be reached",
        ("See whether it runs and whether its address and certificate in the settings are right.",),
        whole=False,
    ),
    "server.refuses-us": Rule(
        "server",
        Severity.HIGH,
        "A mail server refuses what we sign in with",
        (
            "Compare sign_in in the settings with what the server expects: the token's key and audience, the master "
            "user's password, or the account's sealed password.",
        ),
        whole=False,
    ),
    "policy.exception-open": Rule(
        "policy",
        Severity.MEDIUM,
        "An exception lets people in below the floor",
        ("Give these people devices, then take the exception out of the policy.",),
    ),
    "policy.not-enforced": Rule(
        "policy",
        Severity.MEDIUM,
        "A door records and does not enforce",
        (
            "See gambeson guard ready for who would be stopped, then gambeson guard mode DOOR enforce, with "
            "--group or --account where it is for one.",
        ),
    ),
    "policy.bypassed": Rule(
        "policy",
        Severity.HIGH,
        "The emergency bypass is open",
        ("It closes by itself at its end; gambeson guard open --close ends it now.",),
    ),
    "policy.invalid": Rule(
        "policy",
        Severity.HIGH,
        "The policy can't be read any more; the default policy holds",
        ("Correct it and save it anew with gambeson policy set.",),
    ),
    "device.review-overdue": Rule(
        "device",
        Severity.MEDIUM,
        "A machine is past the date on which somebody wanted to look at it",
        ("Ask its owner whether it is still needed; revoke it, or set a new date.",),
    ),
    "device.quarantined": Rule(
        "device",
        Severity.MEDIUM,
        "A device in quarantine asks to be let in",
        ("Ask the account's owner; then gambeson device approve or gambeson device block.",),
    ),
    "eas.shared-device-id": Rule(
        "eas-device",
        Severity.MEDIUM,
        "One ActiveSync DeviceId is used by several accounts",
        (
            "Ask the accounts' owners: one phone with two mailboxes is usual, one with a stranger's is not.",
            "Shut it out of an account with gambeson device eas block ADDRESS DEVICEID.",
        ),
    ),
    "eas.other-device": Rule(
        "device",
        Severity.HIGH,
        "A device's credential came from another device",
        (
            "Ask the owner: where the phone was replaced, register the new one and revoke the old one.",
            "Where nobody knows of it, the secret was stolen: gambeson device revoke.",
        ),
        whole=False,
    ),
    "notice.not-delivered": Rule(
        "server",
        Severity.MEDIUM,
        "Notices to people could not be delivered",
        ("See whether notices.smtp or notices.lmtp in the settings is right.",),
    ),
}


@dataclass(frozen=True, slots=True)
class Running:
    """What the worker measures of the processes. ``followers``: the doors and the keeper that are there; ``ages``: of
    each one's snapshot, seconds, as far as it has said so; ``behind``: seconds for which each of those that lag has not
    acknowledged; ``damaged``: files; ``rejected``: events thrown away."""

    followers: Collection[str] = ()

    ages: Mapping[str, float] = field(default_factory=dict)
    behind: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    damaged: Sequence[str] = ()
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an organisation's records say: newest first. ``servers``: door.server.* of no organisation; ``failed``:
    door.login.failed; ``allowed``: door.login.allowed; ``quarantined``: newest refusal of each such device;
    ``undelivered``: why notices failed; ``eas``: door.eas.*."""

    servers: Sequence[Event] = ()
    failed: Sequence[Event] = ()
    allowed: Sequence[Event] = ()
    quarantined: Sequence[Event] = ()
    undelivered: Sequence[str] = ()
    eas: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What an organisation has: its policy (and why its text is not it), its bypass, devices, mail servers."""

    policy: Policy | None = None
    policy_error: str = ""
    bypass_until: float = 0.0
    devices: Sequence[Device] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict)
    servers: Sequence[MailServer] = ()


Name = tuple[str, str]  # a rule and an asset's name


def measure(
    running: Running, recorded: Recorded, kept: Kept, now: float, warn_age: float = 30.0
) -> tuple[list[Finding], set[Name]]:
    """What is wrong, and of the rules that are not measured whole, what was measured as right."""
    found = [
        *_processes(running, now, warn_age),
        *_policy(kept, now),
        *_devices(kept, recorded, now),
        *_eas(kept, recorded, now),
    ]
    servers, well = _servers(kept, recorded)
    well |= {("doors.snapshot-stale", name) for name, age in running.ages.items() if age <= warn_age}
    well |= {("doors.not-acknowledging", name) for name in running.followers if name not in running.behind}
    found += servers
    if recorded.undelivered:
        shown = "; ".join(recorded.undelivered[:3])
        found.append(_finding("notice.not-delivered", "notices", shown, now))
    return found, well


def gone(live: Iterable[Finding], running: Running, kept: Kept) -> set[Name]:
    """Of the ``live`` findings those about a process that is not there any more, or about a mail server that is not in
    the settings any more."""
    servers = {server.name for server in kept.servers}
    found = set()
    for finding in live:
        name = finding.asset_name
        if finding.rule in ("doors.snapshot-stale", "doors.not-acknowledging"):
            there = name in running.followers
        elif finding.rule in ("server.unreachable", "server.refuses-us"):
            there = name in servers or name.rpartition(" ")[0] in servers
        else:
            continue
        if not there:
            found.add((finding.rule, name))
    return found


def changes(measured: Iterable[Finding], well: set[Name], live: Iterable[Finding]) -> list[Finding]:
    """Those of the ``live`` findings that the measuring closes. Rules of other parts are left alone."""
    there = {(f.rule, f.asset_name) for f in measured}
    return [
        f
        for f in live
        if (rule := RULES.get(f.rule)) is not None
        and (f.rule, f.asset_name) not in there
        and (rule.whole or (f.rule, f.asset_name) in well)
    ]


def _finding(rule: str, name: str, reason: str, now: float, *evidence: Evidence) -> Finding:
    about = RULES[rule]
    return Finding(
        id="",
        organisation="",
        asset_kind=about.asset,
        asset_name=name[:200],
        rule=rule,
        title=about.title,
        severity=about.severity,
        reason=reason[:2000],
        evidence=evidence or (Evidence("worker", "measured", excerpt=reason[:500], at=now),),
        remedy=about.remedy,
    )


def _told(event: Event, excerpt: object = "") -> Evidence:
    return Evidence("event", event.id, excerpt=str(excerpt)[:500], at=event.at)


def _processes(running: Running, now: float, warn_age: float) -> Iterable[Finding]:
    for name, age in sorted(running.ages.items()):
        if age > warn_age:
            text = f"{name} last heard {age:.0f} s ago that what it judges by is still true; more than {warn_age:.0f}"
            yield _finding("doors.snapshot-stale", name, text, now)
    for name, seconds in sorted(running.behind.items()):
        if seconds >= BEHIND_SECONDS:
            text = f"{name} has not acknowledged the newest snapshot for {seconds:.0f} s"
            yield _finding("doors.not-acknowledging", name, text, now)
    for file in running.damaged:
        yield _finding("doors.events-damaged", file, f"{file} holds octets that are no events", now)
    if running.problem:
        yield _finding("doors.events-not-stored", "events", running.problem, now)
    if running.rejected:
        text = f"{running.rejected} events were thrown away since the worker started"
        yield _finding("doors.forged-events", "events", text, now)


def _policy(kept: Kept, now: float) -> Iterable[Finding]:
    if kept.policy_error:
        yield _finding("policy.invalid", "policy", kept.policy_error, now)
    if kept.bypass_until > now:
        yield _finding(
            "policy.bypassed", "bypass", "every sign-in by password goes on to the mail server", now
        )
    if kept.policy is None:
        return
    for exception in kept.policy.exceptions:
        if exception.until > now:
            text = (
                f"at {exception.door} down to {exception.rung.word}: {exception.reason} "
                f"({exception.owner} answers for it)"
            )
            yield _finding("policy.exception-open", exception.name, text, now)
    for entry in kept.policy.modes:
        if entry.mode is not Mode.ENFORCE and entry.until > now:
            name = f"{entry.door}{_whom(entry, kept)}"
            yield _finding("policy.not-enforced", name, f"{name} is in mode {entry.mode}", now)


def _whom(entry: ModeEntry, kept: Kept) -> str:
    if entry.account:
        account = kept.accounts.get(entry.account)
        return f" for {account.address if account is not None else entry.account}"
    return f" for the group {entry.group}" if entry.group else ""


def _devices(kept: Kept, recorded: Recorded, now: float) -> Iterable[Finding]:
    by_id = {d.id: d for d in kept.devices}
    for device in kept.devices:
        if device.kind is DeviceKind.MACHINE and 0 < device.review_at <= now:
            text = f"{device.name} was to be looked at again; {device.owner or 'nobody'} answers for it"
            yield _finding("device.review-overdue", _shown(device, kept), text, now)
    for event in recorded.quarantined:
        asking = by_id.get(event.device)
        if asking is not None and asking.state is DeviceState.QUARANTINED:
            text = f"{asking.name} proved itself at {event.door} and was answered, not served"
            yield _finding("device.quarantined", _shown(asking, kept), text, now, _told(event, event.source))


def _eas(kept: Kept, recorded: Recorded, now: float) -> Iterable[Finding]:
    for shared in shared_devices(recorded.eas):
        names = [a.address if (a := kept.accounts.get(one)) else one for one in shared.accounts]
        text = f"DeviceId {shared.device_id} was seen with {', '.join(names[:10])}"
        yield _finding(
            "eas.shared-device-id",
            shared.device_id,
            text,
            now,
            *(_told(e, e.source) for e in shared.events[:5]),
        )
    by_id = {d.id: d for d in kept.devices}
    for name, event in sorted(other_devices(recorded.eas).items()):
        device = by_id.get(name)
        if device is not None:
            text = f"{device.name}'s credential came with DeviceId {event.data.get('device_id', '')}"
            yield _finding("eas.other-device", _shown(device, kept), text, now, _told(event, event.source))


def _shown(device: Device, kept: Kept) -> str:
    account = kept.accounts.get(device.account)
    return f"{account.address}/{device.name}" if account is not None else device.id


def _servers(kept: Kept, recorded: Recorded) -> tuple[list[Finding], set[Name]]:
    names = {server.name for server in kept.servers}
    found: list[Finding] = []
    well: set[Name] = set()
    newest: dict[tuple[str, str], Event] = {}
    for event in recorded.servers:
        if event.kind in ("door.server.unreachable", "door.server.reachable"):
            newest.setdefault((str(event.data.get("server", "")), event.door), event)
    served: dict[tuple[str, str], float] = {}
    for event in recorded.allowed:
        key = (str(event.data.get("server", "")), event.door)
        served[key] = max(event.at, served.get(key, 0.0))
    for server, door in served:
        well.add(("server.unreachable", f"{server} {door}"))
        well.add(("server.refuses-us", server))
    for (server, door), event in sorted(newest.items()):
        name = f"{server} {door}"
        if (
            server not in names
            or event.kind == "door.server.reachable"
            or served.get((server, door), 0) > event.at
        ):
            well.add(("server.unreachable", name))
            continue
        why = event.data.get("why", "")
        well.discard(("server.unreachable", name))
        found.append(_finding("server.unreachable", name, f"{name}: {why}", event.at, _told(event, why)))
    refused: dict[str, Event] = {}
    for event in recorded.failed:
        server = str(event.data.get("server", ""))
        if event.data.get("why") == REFUSED_US and server in names:
            refused.setdefault(server, event)
    for server, event in sorted(refused.items()):
        if max((at for (s, _), at in served.items() if s == server), default=0.0) > event.at:
            continue
        well.discard(("server.refuses-us", server))
        text = f"{server} refused what the keeper gave for one of the accounts"
        found.append(_finding("server.refuses-us", server, text, event.at, _told(event, REFUSED_US)))
    return found, well
