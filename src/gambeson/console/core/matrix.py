"""Accounts by doors: with what proof each account gets in at each door now. Every side door is a cell of it.

Nothing is reckoned here: the real ``decide`` is asked about made-up requests, from outside and from an address of each
declared network, without proof, with a session of the portal at a browser's door, and with a made-up registered device
(personal, for every door) at the others. So the answer is about the policy, not about what a person happens to own.

Ten thousand accounts are few questions. Two accounts get the same answers where all that ``decide`` reads of them is
the same: both enabled or not, the same server, and named by the same rules, exceptions and modes, by address or by a
group. Such accounts are a *class*, which is asked about once, by one of its members.

A *side door* is a cell where something gets in below the floor of the place it comes from: an exception, a door that
only observes or warns, or the emergency bypass. A cell tells about its side door if it has one, else about the weakest
way in. Where a door passes somebody who proved nothing here, the mail server asks for the password: that's *knowledge*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

from gambeson.guard.core.compiled import CompiledPolicy, compiled_policy
from gambeson.guard.core.decide import decide
from gambeson.guard.core.networks import parse_ip
from gambeson.guard.core.prove_givens import countries_and_risks, sources
from gambeson.model.access import BROWSER_DOORS, AccessRequest, DoorKind, Identity, Mode, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.decision import Decision, Opinion
from gambeson.model.rule import Policy
from gambeson.model.snapshot import SnapshotIndex

MAX_PLACES = 64  # networks and countries that the policy tells apart, each with each
EXCEPTION, BYPASS = "exception", "bypass"
_SESSION = "matrix:session"
_PROVEN = (Rung.DEVICE_SECRET, Rung.KNOWLEDGE_AND_CODE, Rung.DEVICE_KEY)  # at the doors of programs
_AT_A_BROWSER = (Rung.KNOWLEDGE, Rung.KNOWLEDGE_AND_CODE, Rung.DEVICE_KEY)


@dataclass(frozen=True, slots=True)
class Cell:
    """One class of accounts at one door. ``lowest`` is the weakest proof that gets in (None: nothing does),
    ``demanded`` the floor of the place that the cell tells about, ``mode`` how far the door holds for them.
    ``side_door``: something gets in below a floor; ``why`` is then ``exception``, ``observe``, ``warn`` or ``bypass``,
    and ``until`` when that ends (0: not known). ``place`` names the declared networks it comes from (empty: outside);
    ``rule``, ``reason`` and ``sentence`` are the decision's on what got in, or, where nothing does, on the strongest
    proof."""

    door: DoorKind
    demanded: Rung
    lowest: Rung | None
    mode: Mode
    side_door: bool = False
    why: str = ""
    until: float = 0.0
    place: tuple[str, ...] = ()
    rule: str = ""
    reason: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Class:
    """Accounts that no decision tells apart: their ids in the snapshot's order, and a cell for each door."""

    accounts: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class SideDoor:
    """A door that somebody gets past its floor at: how many accounts, which (ids), and why by count."""

    door: DoorKind
    accounts: tuple[str, ...]
    why: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many accounts."""
        return len(self.accounts)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The answer of one organisation. It holds from ``made_at`` till before ``until`` (seconds since 1970)."""

    organisation: str
    doors: tuple[DoorKind, ...]
    classes: tuple[Class, ...]
    made_at: float
    until: float
    of: Mapping[str, int]  # account id: the place of its class

    def row(self, account: str) -> tuple[Cell, ...]:
        """The cells of an account (its id), in the order of ``doors``. Raises KeyError."""
        return self.classes[self.of[account]].cells

    def side_doors(self) -> tuple[SideDoor, ...]:
        """Every door that has one, in the order of ``doors``."""
        found = []
        for i, door in enumerate(self.doors):
            accounts: list[str] = []
            why: dict[str, int] = {}
            for each in self.classes:
                if each.cells[i].side_door:
                    accounts += each.accounts
                    why[each.cells[i].why] = why.get(each.cells[i].why, 0) + len(each.accounts)
            if accounts:
                found.append(SideDoor(door, tuple(accounts), why))
        return tuple(found)


def matrix(index: SnapshotIndex, organisation: str, doors: Iterable[DoorKind], now: float) -> Matrix:
    """The matrix of an organisation (its id) for the doors that are served, at ``now``. Kept in the snapshot's memo for
    as long as no exception, mode or hour of the policy ends or begins. Raises KeyError for an unknown organisation."""
    wanted = tuple(dict.fromkeys(doors))
    key = f"console:matrix:{organisation}:{','.join(wanted)}"
    known = index.memo.get(key)
    if isinstance(known, Matrix) and known.made_at <= now < known.until:
        return known
    made = _matrix(index, organisation, wanted, now)
    index.memo[key] = made
    return made


def individual(
    index: SnapshotIndex, organisation: str, doors: Iterable[DoorKind], now: float, account: str
) -> tuple[Cell, ...]:
    """The cells of one account asked about by itself: what its class must answer too. Raises KeyError."""
    asking = _Asking(index, organisation, [index.account[account]], now)
    return tuple(asking.cell(index.account[account], door) for door in dict.fromkeys(doors))


def _matrix(index: SnapshotIndex, organisation: str, doors: tuple[DoorKind, ...], now: float) -> Matrix:
    policy = index.policy.get(organisation, Policy(organisation))
    named, groups = _clauses(index, policy)
    members: dict[object, list[Account]] = {}
    no_names: frozenset[int] = frozenset()
    touching: dict[tuple[str, ...], frozenset[str]] = {}
    for account in index.snapshot.accounts:
        if account.organisation != organisation:
            continue
        inside = touching.get(account.groups)
        if inside is None:
            inside = touching[account.groups] = groups.intersection(account.groups)
        # A name that leads to another account (a store does not allow it) is asked about by itself.
        alone = "" if index.account_by_address.get(account.address) is account else account.id
        signature = (account.enabled, account.server, inside, named.get(account.id, no_names), alone)
        members.setdefault(signature, []).append(account)
    asking = _Asking(index, organisation, [each[0] for each in members.values()], now)
    classes = tuple(
        Class(tuple(a.id for a in each), tuple(asking.cell(each[0], door) for door in doors))
        for each in members.values()
    )
    of = {account: i for i, each in enumerate(classes) for account in each.accounts}
    return Matrix(organisation, doors, classes, now, _holds_until(index, policy, now), of)


def _clauses(index: SnapshotIndex, policy: Policy) -> tuple[dict[str, frozenset[int]], frozenset[str]]:
    """By account id the clauses that name it, and all groups that any clause names."""
    named: dict[str, set[int]] = {}
    groups: set[str] = set()
    clauses = [(e.accounts, e.groups) for e in policy.exceptions]
    clauses += [(r.accounts, r.groups) for r in policy.rules]
    clauses += [((m.account,) if m.account else (), (m.group,) if m.group else ()) for m in policy.modes]
    for i, (accounts, its_groups) in enumerate(clauses):
        groups.update(its_groups)
        for name in accounts:
            account = index.account_by_address.get(name) or index.account.get(name)
            named.setdefault(account.id if account is not None else name, set()).add(i)
    return {account: frozenset(each) for account, each in named.items()}, frozenset(groups)


def _holds_until(index: SnapshotIndex, policy: Policy, now: float) -> float:
    ends = [e.until for e in policy.exceptions] + [m.until for m in policy.modes]
    ends.append(index.bypass_until.get(policy.organisation, 0.0))
    if any(rule.hours or rule.weekdays for rule in policy.rules):
        ends.append((now // 60 + 1) * 60)  # such rules begin and end with a minute
    return min((end for end in ends if end > now), default=inf)


class _Asking:
    """The made-up devices of some accounts, and the questions about them."""

    def __init__(self, index: SnapshotIndex, organisation: str, accounts: list[Account], now: float) -> None:
        self._now, self._own = now, organisation
        policy = index.policy.get(organisation, Policy(organisation))
        devices = [Device(f"matrix:{a.id}", organisation, a.id, "", doors=tuple(DoorKind)) for a in accounts]
        self._index = SnapshotIndex(
            replace(
                index.snapshot,
                organisations=(index.organisation[organisation],),
                accounts=tuple(a for a in index.snapshot.accounts if a.organisation == organisation),
                devices=tuple(devices),
                credentials=tuple(c for d in devices for c in _credentials(d)),
                policies=(policy,),
                servers=(),
                sites=(),
                ended_sessions=(),
                eas_devices=(),
                eas_firsts=(),
                revoked=(),
            )
        )
        self._compiled: CompiledPolicy = compiled_policy(self._index, organisation)
        self._bypass = index.bypass_until.get(organisation, 0.0)
        self._until = {e.name: e.until for e in policy.exceptions}
        self._policy = policy
        self._places = tuple(_places(policy, self._compiled))

    def cell(self, account: Account, door: DoorKind) -> Cell:
        """What gets in. The weakest way in, but a way below its floor before one that is not."""
        mode = self._compiled.modes.of(door, account.id, account.groups, self._now)
        lowest: Rung | None = None
        shown: tuple[Rung, Decision, tuple[str, ...]] | None = None
        below, last = False, None
        highest = max(self._compiled.floor(door, frozenset(place)) for _, _, place in self._places)
        for rung, identity in self._proofs(account, door):
            if lowest is not None and (below or rung >= highest):
                break
            for source, country, place in self._places:
                request = AccessRequest(door, identity, source, country=country)
                last = decide(request, self._index, self._now, max_age=inf)
                if not last.passes:
                    continue
                lowest = rung if lowest is None else lowest
                side = rung < last.demanded
                if shown is None or (side and not below):
                    shown, below = (rung, last, place), side
        if shown is None:
            floor = self._compiled.floor(door, frozenset())
            if last is None:
                return Cell(door, floor, None, mode)
            return Cell(door, floor, None, mode, rule=last.rule, reason=last.reason, sentence=last.sentence)
        _, decision, place = shown
        why, until = self._why(account, door, decision) if below else ("", 0.0)
        return Cell(
            door,
            decision.demanded,
            lowest,
            mode,
            below,
            why,
            until,
            place,
            decision.rule,
            decision.reason,
            decision.sentence,
        )

    def _proofs(self, account: Account, door: DoorKind) -> Iterator[tuple[Rung, Identity]]:
        """From the weakest on."""
        yield Rung.KNOWLEDGE, Identity(account.address, self._own)
        if door in BROWSER_DOORS:
            for rung in _AT_A_BROWSER:
                yield rung, Identity(account.address, self._own, account.id, rung=rung, session=_SESSION)
            return
        device = f"matrix:{account.id}"
        for rung in _PROVEN:
            if rung is Rung.KNOWLEDGE_AND_CODE:
                yield rung, Identity(account.address, self._own, account.id, rung=rung)
            else:
                credential = f"{device}:{rung.word}"
                yield rung, Identity(account.address, self._own, account.id, device, credential, rung)

    def _why(self, account: Account, door: DoorKind, decision: Decision) -> tuple[str, float]:
        if decision.opinion is Opinion.ALLOW:
            # A rule that admits what is below the floor was only asked because an exception let it be.
            name = decision.rule.partition(":")[2] if decision.rule.startswith("exception:") else ""
            return EXCEPTION, self._until.get(name, 0.0)
        if self._now < self._bypass:
            return BYPASS, self._bypass
        mine = {account.id, account.address, *account.aliases}
        ends = [
            m.until
            for m in self._policy.modes
            if m.door is door
            and (m.account in mine or m.group in account.groups or not (m.account or m.group))
        ]
        return decision.mode.value, min((end for end in ends if end > self._now), default=0.0)


def _credentials(device: Device) -> Iterator[Credential]:
    for rung, kind in (
        (Rung.DEVICE_SECRET, CredentialKind.DEVICE_SECRET),
        (Rung.DEVICE_KEY, CredentialKind.CERTIFICATE),
    ):
        name = f"{device.id}:{rung.word}"
        yield Credential(name, device.organisation, device.id, kind, public_id=name)


def _places(policy: Policy, compiled: CompiledPolicy) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(address, country, its declared networks): outside first, one address of all that lie in the same networks."""
    seen: dict[tuple[str, ...], str] = {}
    for _, source in sorted(sources(policy), key=lambda each: each[0] != "outside"):
        seen.setdefault(tuple(sorted(compiled.networks.holding(parse_ip(source)))), source)
    countries = ["", *dict.fromkeys(c for c, risk in countries_and_risks(policy) if c and not risk)]
    every = [(source, country, place) for country in countries for place, source in seen.items()]
    yield from every[:MAX_PLACES]
