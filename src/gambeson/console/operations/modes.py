"""Modes: how far a door holds for whom, looked at before it is changed; and the emergency bypass.

Rules: observe and warn end, within a month. Whatever is weaker than what holds now, or so for longer, takes a passkey
that was shown just now; so does the bypass, which ends within a day. A preview asks what the doors recorded: of the
newest sign-ins of two weeks who would be cut off, or be let in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from gambeson.console.core.what_if import Changed, CutOff, preview_mode, replay
from gambeson.console.office import Office, RefusedError, Told
from gambeson.guard.core.modes import in_force
from gambeson.guard.core.ready import IN_EVERY_MODE
from gambeson.model.access import DoorKind, Mode
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, Policy
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Verb
from gambeson.store.decisions import ALLOWED
from gambeson.store.errors import NotFound
from gambeson.store.policy import Bypass
from gambeson.store.tenant import OrganisationStore

from .doors import served_door, served_here

DAY = 86400.0
DAYS_BACK = 14
MOST_DAYS = 30
MAX_EVENTS = 5_000  # of one door; deciding about each is work
MAX_EVENTS_EACH = 1_000  # of each, where several are asked for
ALL = "all"
_WEAK = {Mode.OBSERVE: 0, Mode.WARN: 1, Mode.ENFORCE: 2}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. ``whom`` is an address, a group or empty (everybody); ``holds`` the mode that it means now."""

    entry: ModeEntry
    whom: str
    holds: Mode


@dataclass(frozen=True, slots=True)
class Change:
    """What shall be: the doors, the mode, for whom (``account`` is an id, ``address`` its name), until when."""

    doors: tuple[DoorKind, ...]
    mode: Mode
    group: str = ""
    account: str = ""
    address: str = ""
    until: float = 0.0
    weaker: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the records say of one door: who would be ``cut_off`` of those ``seen`` (people) in ``looked_at`` sign-ins,
    and who would be ``let_in`` that is refused now. ``whole`` False: there were more records than were looked at."""

    door: DoorKind
    looked_at: int
    seen: int
    cut_off: tuple[CutOff, ...]
    let_in: tuple[CutOff, ...]
    whole: bool


def lines(office: Office, organisation: str) -> tuple[Line, ...]:
    """Every entry, those that do not enforce first. Raises RefusedError."""
    org, index = office.organisation(organisation), office.index()
    found = []
    for entry in org.modes.list():
        account = index.account.get(entry.account)
        whom = entry.group or (account.address if account is not None else entry.account)
        found.append(Line(entry, whom, in_force(entry, office.at)))
    return tuple(sorted(found, key=lambda line: (_WEAK[line.holds], line.entry.door, line.whom)))


def groups(office: Office, organisation: str) -> tuple[str, ...]:
    """The groups that accounts are in. Raises RefusedError."""
    office.organisation(organisation)
    index, key = office.index(), f"console:groups:{organisation}"
    if key not in index.memo:
        accounts = (a for a in index.snapshot.accounts if a.organisation == organisation)
        index.memo[key] = tuple(sorted({group for a in accounts for group in a.groups}))
    found = index.memo[key]
    assert isinstance(found, tuple)
    return found


def settle(
    office: Office,
    organisation: str,
    door: str,
    mode: str,
    *,
    group: str = "",
    account: str = "",
    days: int = 14,
) -> Change:
    """What is asked for, checked. ``door`` may be ``all``; ``account`` is an address. Raises RefusedError, NotFound."""
    org = office.organisation(organisation, Verb.DOORS)
    doors = served_here(office, organisation) if door == ALL else (served_door(office, organisation, door),)
    if mode not in set(Mode):
        raise RefusedError("no-mode", "A mode is observe, warn or enforce: choose one.", 422)
    group, account = group.strip(), account.strip()
    if group and account:
        raise RefusedError("both", "A mode is set for a group or for an account, not for both.", 422)
    if group and group not in groups(office, organisation):
        raise RefusedError(
            "no-group", f"No account is in a group {group[:60]}: choose one that is there.", 422
        )
    who = org.accounts.find(account) if account else None
    wanted = Mode(mode)
    if wanted is not Mode.ENFORCE and not 1 <= days <= MOST_DAYS:
        raise RefusedError(
            "no-end", f"The mode {wanted} needs an end: give between 1 and {MOST_DAYS} days.", 422
        )
    until = 0.0 if wanted is Mode.ENFORCE else office.at + days * DAY
    id, name = (who.id, who.address) if who is not None else ("", "")
    change = Change(doors, wanted, group, id, name, until)
    entries = org.modes.list()
    weaker = any(
        _WEAK[wanted] < _WEAK[_holds(entries, d, change, office.at)] or _longer(entries, d, change, office.at)
        for d in doors
    )
    return replace(change, weaker=weaker)


def preview(office: Office, organisation: str, change: Change) -> tuple[Seen, ...]:
    """What the records of two weeks say to it, door by door. Raises RefusedError."""
    org, index = office.organisation(organisation, Verb.DOORS), office.index()
    return tuple(_seen(office, org, index, door, change) for door in change.doors)


def carry_out(office: Office, organisation: str, change: Change, reason: str) -> Told:
    """Sets it. Raises RefusedError, StepUpError where it is weaker, BadValue."""
    org = office.organisation(organisation, Verb.DOORS)
    if change.weaker:
        office.fresh()
        if not reason.strip():
            raise RefusedError("no-reason", "A weaker mode needs a reason: it is kept in the audit log.", 422)
    for door in change.doors:
        if change.mode is Mode.ENFORCE and not change.group and not change.account:
            try:
                org.modes.clear(door, by=office.by, at=office.at)
            except NotFound:
                continue  # it enforced already
        else:
            org.modes.set(
                door,
                change.mode,
                until=change.until,
                group=change.group,
                account=change.account,
                reason=reason.strip(),
                by=office.by,
                at=office.at,
            )
    return office.publish()


def remove(office: Office, organisation: str, door: str, group: str, account: str) -> Told:
    """Takes an entry away: what is wider holds, which may be laxer. Raises RefusedError, StepUpError, NotFound."""
    org = office.organisation(organisation, Verb.DOORS)
    office.fresh()
    kind = next((d for d in DoorKind if d == door), None)
    if kind is None:
        raise RefusedError("not-found", "There is no such door.", 404)
    org.modes.clear(kind, group=group, account=account, by=office.by, at=office.at)
    return office.publish()


def bypass(office: Office, organisation: str) -> Bypass | None:
    """The emergency bypass where it is open. Raises RefusedError."""
    found = office.organisation(organisation).bypass.get()
    return found if found is not None and found.until > office.at else None


def open_bypass(office: Office, organisation: str, hours: int, reason: str) -> Told:
    """Every door lets everybody pass to the mail server for so many hours. Raises RefusedError, StepUpError."""
    org = office.organisation(organisation, Verb.DOORS)
    office.fresh()
    if not 1 <= hours <= 24:
        raise RefusedError("no-end", "The bypass ends within 24 hours: give between 1 and 24.", 422)
    if not reason.strip():
        raise RefusedError("no-reason", "The bypass needs a reason: it is kept in the audit log.", 422)
    org.bypass.open(office.at + hours * 3600.0, reason.strip(), by=office.by, at=office.at)
    return office.publish()


def close_bypass(office: Office, organisation: str) -> Told:
    """Ends it now. Raises RefusedError."""
    office.organisation(organisation, Verb.DOORS).bypass.close(by=office.by, at=office.at)
    return office.publish()


def _holds(entries: Sequence[ModeEntry], door: DoorKind, change: Change, now: float) -> Mode:
    """The mode that holds now for whom the change is about: their own entry, else the strictest that may be theirs, of
    the organisation's and, for one account, of any group's: where it is not, a passkey was asked for once too often."""
    own = [e for e in entries if e.door is door and (e.group, e.account) == (change.group, change.account)]
    if own:
        return in_force(own[0], now)
    wide = [in_force(e, now) for e in entries if e.door is door and not e.group and not e.account]
    groups = [in_force(e, now) for e in entries if e.door is door and e.group] if change.account else []
    return max([*(wide or [Mode.ENFORCE]), *groups], key=_WEAK.__getitem__)


def _longer(entries: Sequence[ModeEntry], door: DoorKind, change: Change, now: float) -> bool:
    """Whether a door that does not hold now would not hold for longer: what ends tomorrow is weaker in a month."""
    if change.mode is Mode.ENFORCE:
        return False
    mine = [e for e in entries if e.door is door and (e.group, e.account) == (change.group, change.account)]
    wide = [e for e in entries if e.door is door and not e.group and not e.account]
    lax = [e.until for e in mine or wide if in_force(e, now) is not Mode.ENFORCE]
    return bool(lax) and min(lax) < change.until


def _seen(
    office: Office, org: OrganisationStore, index: SnapshotIndex, door: DoorKind, change: Change
) -> Seen:
    now, most = office.at, MAX_EVENTS if len(change.doors) == 1 else MAX_EVENTS_EACH
    kinds = (*ALLOWED, "door.login.refused")
    events: Sequence[Event] = org.decisions.newest(now - DAYS_BACK * DAY, most, kinds=kinds, door=door)
    whole = len(events) < most
    index = _holding(index, now)
    if not change.account and not change.weaker:
        told = preview_mode(events, index, door, change.group, change.mode, now, org.id)
        return Seen(door, told.looked_at, told.people, told.cut_off, (), whole)
    if change.account:
        names = _names(index, change.account)
        events = [e for e in events if e.account == change.account or e.data.get("claimed") in names]
    after = SnapshotIndex(replace(index.snapshot, policies=_policies(index, org.id, door, change)))
    found = replay(events, index, after, org.id, now)
    allowed = [e for e in events if e.kind in ALLOWED]
    cut = tuple(_person(c) for c in found.would_refuse if c.rule not in IN_EVERY_MODE)
    let_in = tuple(_person(c) for c in found.would_allow)
    people = {e.account or e.data.get("claimed") for e in allowed}
    return Seen(door, len(allowed), len(people), cut, let_in, whole)


def _person(each: Changed) -> CutOff:
    programs, devices = (tuple(filter(None, (word,))) for word in (each.program, each.device))
    return CutOff(
        each.account, each.account_id, each.count, programs, devices, each.reason, each.sentence, each.last
    )


def _holding(index: SnapshotIndex, now: float) -> SnapshotIndex:
    """As it holds now, for ever, and without the bypass: records are put to the coming week, and a mode that ends in
    it would hide whom its end, or the change, cuts off."""

    def kept(entry: ModeEntry) -> ModeEntry:
        return entry if entry.mode is Mode.ENFORCE or entry.until <= now else replace(entry, until=inf)

    policies = tuple(replace(p, modes=tuple(map(kept, p.modes))) for p in index.snapshot.policies)
    return SnapshotIndex(replace(index.snapshot, policies=policies, bypass_until=()))


def _policies(index: SnapshotIndex, organisation: str, door: DoorKind, change: Change) -> tuple[Policy, ...]:
    made = ModeEntry(door, change.mode, inf, change.group, change.account)
    same = (change.group, change.account)
    return tuple(
        replace(p, modes=(*(m for m in p.modes if m.door is not door or (m.group, m.account) != same), made))
        if p.organisation == organisation
        else p
        for p in index.snapshot.policies
    )


def _names(index: SnapshotIndex, account: str) -> frozenset[str]:
    found = index.account.get(account)
    return frozenset((found.address, *found.aliases)) if found is not None else frozenset()
