"""What a change of policy would have meant: the decisions that were recorded, put to both policies.

Each recorded sign-in is put to the policy as it is and to the proposed one, at the same weekday and hour of the coming
week (as ``ready`` does), so that what differs comes from the change alone. What the policy has no say in stays as it
was recorded: a wrong secret, a closed throttle, a missing TLS.

- *would refuse*: it got in, would still get in, and would not under the proposal.
- *would allow*: the present policy keeps it out, and the proposal would let it in.

Modes and the bypass count as they are; with ``enforce`` both policies are looked at as if every door enforced. Forty
thousand records ask few different questions: answers are kept by everything that they hang on, time being cut where
something in a policy, or a device, begins or ends.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import ceil, inf

from gambeson.guard.core.compiled import minute_of
from gambeson.guard.core.decide import decide
from gambeson.guard.core.ready import (
    ALLOWED,
    IN_EVERY_MODE,
    NOBODY,
    WEEK,
    enforced,
    program_of,
    request_of,
)
from gambeson.model.access import AccessRequest, DoorKind, Mode
from gambeson.model.decision import Decision
from gambeson.model.event import Event
from gambeson.model.rule import ModeEntry, Policy
from gambeson.model.snapshot import SnapshotIndex

REFUSED = "door.login.refused"
MAX_EXAMPLES = 5
MAX_KEPT = 100_000
_DAY = 86400.0
_THROTTLED, _NOT_ENCRYPTED = "throttled", "not-encrypted"


@dataclass(frozen=True, slots=True)
class Changed:
    """Sign-ins that would end otherwise: one account, door, program, device and reason. ``account`` is an address,
    ``account_id`` and ``device`` ids or empty; ``rule``, ``reason`` and ``sentence`` are the proposed decision's.
    ``examples`` are ids of events, the newest last; times are seconds since 1970."""

    account: str
    account_id: str
    door: str
    program: str
    device: str
    count: int
    decision: str
    rule: str
    reason: str
    sentence: str
    first: float
    last: float
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. ``looked_at`` counts recorded sign-ins, of which ``same`` would end as they do now; ``unreadable``
    say too little to be judged and are among neither."""

    looked_at: int
    same: int
    unreadable: int
    would_refuse: tuple[Changed, ...]
    would_allow: tuple[Changed, ...]

    @property
    def refused(self) -> int:
        """How many sign-ins would be refused."""
        return sum(each.count for each in self.would_refuse)

    @property
    def allowed(self) -> int:
        """How many sign-ins would be let in."""
        return sum(each.count for each in self.would_allow)


@dataclass(frozen=True, slots=True)
class CutOff:
    """One person whom a door would stop. ``account`` is an address (or what stands for nobody in particular)."""

    account: str
    account_id: str
    count: int
    programs: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str
    sentence: str
    last: float


@dataclass(frozen=True, slots=True)
class Preview:
    """Who would be cut off, those with most sign-ins first, of how many people that were seen at the door."""

    door: DoorKind
    group: str
    mode: Mode
    looked_at: int
    people: int
    cut_off: tuple[CutOff, ...]


@dataclass(slots=True)
class _Sum:
    account_id: str
    decision: Decision
    count: int = 0
    first: float = inf
    last: float = -inf
    examples: list[str] = field(default_factory=list)


def replay(
    events: Iterable[Event],
    index_now: SnapshotIndex,
    index_proposed: SnapshotIndex,
    organisation: str,
    now: float,
    enforce: bool = False,
) -> WhatIf:
    """What the proposed policy would change. ``events`` may be of any kind and in any order: recorded sign-ins of this
    organisation (its id; empty: of all) are looked at, one at a time."""
    both = (enforced(index_now), enforced(index_proposed)) if enforce else (index_now, index_proposed)
    bench = _Bench(*both, now)
    refuse: dict[tuple[str, ...], _Sum] = {}
    allow: dict[tuple[str, ...], _Sum] = {}
    looked_at = same = unreadable = 0
    for event in events:
        if not _of_interest(event, organisation):
            continue
        looked_at += 1
        answer = bench.answer(event)
        if answer is None:
            unreadable += 1
            continue
        request, before, after = answer
        if before.passes == after.passes or (not after.passes and event.kind != ALLOWED):
            same += 1
            continue
        _add(allow if after.passes else refuse, event, request, after, index_now)
    return WhatIf(looked_at, same, unreadable, tuple(_in_order(refuse)), tuple(_in_order(allow)))


def preview_mode(
    events: Iterable[Event],
    index: SnapshotIndex,
    door: DoorKind,
    group: str,
    mode: Mode,
    now: float,
    organisation: str = "",
) -> Preview:
    """Who would be cut off if the door went to ``mode`` for this group (empty: for everybody without an entry of their
    own). The emergency bypass counts for nothing here: it ends. ``organisation`` restricts to one (its id)."""
    present = _without_bypass(index, index.snapshot.policies)
    policies = tuple(
        _with_mode(p, door, group, mode) if organisation in ("", p.organisation) else p
        for p in index.snapshot.policies
    )
    bench = _Bench(present, _without_bypass(index, policies), now)
    sums: dict[tuple[str, ...], _Sum] = {}
    seen: set[str] = set()
    looked_at = 0
    for event in events:
        if event.kind != ALLOWED or event.door != door or not _of_interest(event, organisation):
            continue
        looked_at += 1
        answer = bench.answer(event)
        if answer is None:
            continue
        request, before, after = answer
        name = _name(request, index)[0]
        if len(seen) < MAX_KEPT:
            seen.add(name)
        if before.passes and not after.passes and after.rule not in IN_EVERY_MODE:
            _add(sums, event, request, after, index)
    return Preview(door, group, mode, looked_at, len(seen), _by_person(sums))


def _of_interest(event: Event, organisation: str) -> bool:
    return event.kind in (ALLOWED, REFUSED) and organisation in ("", event.organisation)


def _without_bypass(index: SnapshotIndex, policies: tuple[Policy, ...]) -> SnapshotIndex:
    return SnapshotIndex(replace(index.snapshot, policies=policies, bypass_until=()))


def _with_mode(policy: Policy, door: DoorKind, group: str, mode: Mode) -> Policy:
    others = tuple(m for m in policy.modes if m.account or m.door is not door or m.group != group)
    return replace(policy, modes=(*others, ModeEntry(door, mode, inf, group)))


class _Bench:
    """Two policies, and the answers that they gave already."""

    def __init__(self, before: SnapshotIndex, after: SnapshotIndex, now: float) -> None:
        self._before, self._after, self._now = before, after, now
        self._cuts = sorted({*_cuts(before, now), *_cuts(after, now)})
        self._requests: dict[Hashable, AccessRequest | None] = {}
        self._answers: dict[Hashable, tuple[Decision, Decision]] = {}

    def answer(self, event: Event) -> tuple[AccessRequest, Decision, Decision] | None:
        """What was asked and what both say to it; None where the event does not tell what was asked."""
        request = self._request(event)
        if request is None:
            return None
        at = event.at + WEEK * max(0, ceil((self._now - event.at) / WEEK))
        key = (request, bisect_right(self._cuts, at))
        known = self._answers.get(key)
        if known is None:
            if len(self._answers) >= MAX_KEPT:
                self._answers.clear()
            known = decide(request, self._before, at, inf), decide(request, self._after, at, inf)
            self._answers[key] = known
        return request, *known

    def _request(self, event: Event) -> AccessRequest | None:
        data = event.data
        key = (event.kind, event.organisation, event.account, event.device, event.door, event.source)
        said = tuple(str(data.get(word, "")) for word in _TELLING)
        if (key, said) not in self._requests:
            if len(self._requests) >= MAX_KEPT:
                self._requests.clear()
            request = request_of(event, self._before)
            self._requests[key, said] = _as_refused(request, event) if request is not None else None
        return self._requests[key, said]


# What of an event's data a request hangs on, see ``request_of`` and ``_as_refused``.
_TELLING = (
    "claimed",
    "rung",
    "credential",
    "country",
    "risk",
    "cloud",
    "cloud_evidence",
    "failure",
    "reason",
)


def _as_refused(request: AccessRequest, event: Event) -> AccessRequest:
    """Of a refusal with what no policy changes. The session that proved it is left out: last week's have ended."""
    if event.kind != REFUSED:
        return request
    reason, failure = str(event.data.get("reason", "")), str(event.data.get("failure", ""))
    if failure:
        request = replace(request, identity=replace(request.identity, failure=failure))
    if reason == _THROTTLED:
        request = replace(request, throttled="recorded")
    return replace(request, encrypted=reason != _NOT_ENCRYPTED)


def _cuts(index: SnapshotIndex, now: float) -> Iterator[float]:
    """The moments of the coming week at which an answer may change."""
    snapshot, last = index.snapshot, now + WEEK
    ends = [end for _, end in snapshot.bypass_until]
    ends += [device.expires_at for device in snapshot.devices]
    ends += [credential.expires_at for credential in snapshot.credentials]
    for policy in snapshot.policies:
        ends += [e.until for e in policy.exceptions]
        ends += [m.until for m in policy.modes]
        for rule in policy.rules:
            if rule.hours or rule.weekdays:
                minutes = (0, *(minute_of(clock) for clock in rule.hours or ()))
                ends += [(now // _DAY + day) * _DAY + 60 * minute for day in range(9) for minute in minutes]
    return (end for end in ends if now <= end <= last)


def _name(request: AccessRequest, index: SnapshotIndex) -> tuple[str, str]:
    """Address and id of whom it is about: the proven account, or the one that bears the claimed name."""
    identity = request.identity
    account = index.account.get(identity.account) or index.account_by_address.get(identity.claimed)
    return (account.address, account.id) if account is not None else (identity.claimed or NOBODY, "")


def _add(
    sums: dict[tuple[str, ...], _Sum],
    event: Event,
    request: AccessRequest,
    decision: Decision,
    index: SnapshotIndex,
) -> None:
    name, account = _name(request, index)
    key = (name, event.door, program_of(event), event.device, decision.rule, decision.reason)
    found = sums.get(key)
    if found is None:
        found = sums[key] = _Sum(account, decision)
    found.count += 1
    found.first, found.last = min(found.first, event.at), max(found.last, event.at)
    found.examples.append(event.id)
    del found.examples[:-MAX_EXAMPLES]


def _in_order(sums: dict[tuple[str, ...], _Sum]) -> list[Changed]:
    found = [
        Changed(
            account=account,
            account_id=each.account_id,
            door=door,
            program=program,
            device=device,
            count=each.count,
            decision=each.decision.opinion.value,
            rule=rule,
            reason=reason,
            sentence=each.decision.sentence,
            first=each.first,
            last=each.last,
            examples=tuple(each.examples),
        )
        for (account, door, program, device, rule, reason), each in sums.items()
    ]
    return sorted(found, key=lambda c: (-c.count, c.account, c.door, c.program, c.device))


def _by_person(sums: dict[tuple[str, ...], _Sum]) -> tuple[CutOff, ...]:
    people: dict[str, list[Changed]] = {}
    for each in _in_order(sums):
        people.setdefault(each.account, []).append(each)
    found = [
        CutOff(
            account=account,
            account_id=mine[0].account_id,
            count=sum(c.count for c in mine),
            programs=tuple(sorted({c.program for c in mine if c.program})),
            devices=tuple(sorted({c.device for c in mine if c.device})),
            reason=mine[0].reason,
            sentence=mine[0].sentence,
            last=max(c.last for c in mine),
        )
        for account, mine in people.items()
    ]
    return tuple(sorted(found, key=lambda c: (-c.count, c.account)))
