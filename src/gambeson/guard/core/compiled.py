"""A policy prepared for asking: names resolved, networks as integers, rules sorted by door.

Made once per snapshot and organisation and kept in ``SnapshotIndex.memo``. An organisation without a policy
has one without rules, which lets nobody in.
"""

from __future__ import annotations

from typing import cast

from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import Device, DeviceKind, DeviceState
from gambeson.model.organisation import Organisation
from gambeson.model.rule import Policy, PolicyException, PolicyRule
from gambeson.model.snapshot import SnapshotIndex

from .modes import Modes
from .networks import Ip, NetworkTable
from .sentences import Sentences

# What each door demands unless something demands more. Mail programs prove themselves by the device they
# run on; at browser doors a person can give a one-time code; the API changes things, so it takes a key.
DEFAULT_FLOORS: dict[DoorKind, Rung] = {
    DoorKind.IMAP: Rung.DEVICE_SECRET,
    DoorKind.POP3: Rung.DEVICE_SECRET,
    DoorKind.SUBMISSION: Rung.DEVICE_SECRET,
    DoorKind.SIEVE: Rung.DEVICE_SECRET,
    DoorKind.EAS: Rung.DEVICE_SECRET,
    DoorKind.EWS: Rung.DEVICE_SECRET,
    DoorKind.MAPI: Rung.DEVICE_SECRET,
    DoorKind.OAB: Rung.DEVICE_SECRET,
    DoorKind.AUTODISCOVER: Rung.DEVICE_SECRET,
    DoorKind.OWA: Rung.KNOWLEDGE_AND_CODE,
    DoorKind.ECP: Rung.KNOWLEDGE_AND_CODE,
    DoorKind.WEBMAIL: Rung.KNOWLEDGE_AND_CODE,
    DoorKind.PORTAL: Rung.KNOWLEDGE_AND_CODE,
    DoorKind.API: Rung.DEVICE_KEY,
}
HIGHEST = max(Rung)
# Doors of programs, not of people at a browser: what is proven there is proven of a device.
NATIVE = frozenset(door for door, rung in DEFAULT_FLOORS.items() if rung is Rung.DEVICE_SECRET)


class Clause:
    """For whom: accounts, groups and networks. A list that is empty in the source asks nothing."""

    __slots__ = ("accounts", "groups", "networks")

    def __init__(
        self,
        index: SnapshotIndex,
        accounts: tuple[str, ...],
        groups: tuple[str, ...],
        networks: tuple[str, ...],
    ) -> None:
        self.accounts = _account_ids(index, accounts)
        self.groups = frozenset(groups) if groups else None
        self.networks = frozenset(networks) if networks else None

    def covers(self, account: str, groups: tuple[str, ...], networks: frozenset[str]) -> bool:
        """Accounts and groups are alternatives ("alice, and everybody in sales"); networks restrict both."""
        if self.networks is not None and self.networks.isdisjoint(networks):
            return False
        if self.accounts is None and self.groups is None:
            return True
        if self.accounts is not None and account in self.accounts:
            return True
        return self.groups is not None and not self.groups.isdisjoint(groups)


class CompiledException(Clause):
    """A PolicyException that can hold: it has an owner, a reason and an end."""

    __slots__ = ("name", "rung", "until")

    def __init__(self, index: SnapshotIndex, source: PolicyException) -> None:
        super().__init__(index, source.accounts, source.groups, source.networks)
        self.name, self.rung, self.until = source.name, source.rung, source.until


class CompiledRule(Clause):
    """One rule; ``holds`` is whether it has an opinion on a request."""

    __slots__ = (
        "countries",
        "kinds",
        "label",
        "minutes",
        "opinion",
        "outside",
        "risk",
        "rung",
        "sentence",
        "states",
        "weekdays",
    )

    def __init__(self, index: SnapshotIndex, source: PolicyRule, sentences: Sentences) -> None:
        super().__init__(index, source.accounts, source.groups, source.networks)
        self.label = f"rule:{source.name}"
        self.opinion = source.opinion
        self.sentence = source.sentence or sentences.of(source.opinion)
        self.outside = source.outside
        self.countries = frozenset(c.upper() for c in source.countries) or None
        self.states = frozenset(source.device_states) or None
        self.kinds = frozenset(source.device_kinds) or None
        self.rung = source.rung_at_least
        self.minutes = tuple(map(minute_of, source.hours)) if source.hours else None
        self.weekdays = frozenset(source.weekdays) or None
        self.risk = source.risk_at_least

    def holds(
        self,
        account: str,
        groups: tuple[str, ...],
        networks: frozenset[str],
        country: str,
        state: DeviceState | None,
        kind: DeviceKind | None,
        rung: Rung,
        risk: int,
        now: float,
    ) -> bool:
        """Every condition that is set holds. What is not known (no country, no device) fulfils none."""
        if self.states is not None and state not in self.states:
            return False
        if self.kinds is not None and kind not in self.kinds:
            return False
        if self.rung is not None and rung < self.rung:
            return False
        if self.risk is not None and risk < self.risk:
            return False
        if self.countries is not None and country not in self.countries:
            return False
        if self.outside is not None and self.outside is bool(networks):
            return False
        if not self.covers(account, groups, networks):
            return False
        return (self.minutes is None and self.weekdays is None) or self._in_time(now)

    def _in_time(self, now: float) -> bool:
        """1970-01-01 was a Thursday (3, where Monday is 0). Hours run from the first minute up to, not
        including, the last; over midnight where the first is later. The weekday is today's, in UTC."""
        if self.weekdays is not None and (int(now // 86400) + 3) % 7 not in self.weekdays:
            return False
        if self.minutes is None:
            return True
        first, last = self.minutes
        minute = int(now // 60) % 1440
        return first <= minute < last if first < last else minute >= first or minute < last


class DeviceNetwork:
    """Where a device may come from."""

    __slots__ = ("_anywhere", "_table")

    def __init__(self, device: Device) -> None:
        self._anywhere = device.kind is not DeviceKind.MACHINE and not device.networks
        try:
            self._table = NetworkTable(("", cidr) for cidr in device.networks)
        except ValueError:
            self._table = NetworkTable(())  # unreadable: from nowhere

    def allows(self, ip: Ip) -> bool:
        """True where the device may come from this address."""
        return self._anywhere or self._table.holds(ip)


_ANYWHERE = DeviceNetwork(Device("", "", "", ""))


class CompiledPolicy:
    """One organisation's policy, prepared. Nothing in it changes once made."""

    __slots__ = (
        "_devices",
        "_floor",
        "_network_floor",
        "exceptions",
        "modes",
        "networks",
        "rules",
        "sentences",
    )

    def __init__(self, index: SnapshotIndex, policy: Policy) -> None:
        self.sentences = Sentences(index.organisation.get(policy.organisation) or _anybodys(index))
        self.networks = NetworkTable((n.name, cidr) for n in policy.networks for cidr in n.cidrs)
        # Floors are only ever raised here: what is written lower is ignored (and reported by prove).
        self._floor = dict(DEFAULT_FLOORS)
        for door, rung in policy.floors:
            self._floor[door] = max(self._floor.get(door, HIGHEST), rung)
        self._network_floor = {(n.name, door): rung for n in policy.networks for door, rung in n.floors}
        self.exceptions: dict[DoorKind, tuple[CompiledException, ...]] = {}
        for e in policy.exceptions:
            if e.owner.strip() and e.reason.strip():
                self.exceptions[e.door] = (*self.exceptions.get(e.door, ()), CompiledException(index, e))
        rules = [(r, CompiledRule(index, r, self.sentences)) for r in policy.rules]
        self.rules = {d: tuple(c for r, c in rules if not r.doors or d in r.doors) for d in DoorKind}
        self.modes = Modes((m, _account_id(index, m.account)) for m in policy.modes)
        self._devices: dict[str, DeviceNetwork] = {}

    def floor(self, door: DoorKind, networks: frozenset[str]) -> Rung:
        """The rung demanded at this door from these networks, before exceptions."""
        floor = self._floor.get(door, HIGHEST)
        if networks and self._network_floor:
            for name in networks:
                floor = max(floor, self._network_floor.get((name, door), floor))
        return floor

    def device_network(self, device: Device) -> DeviceNetwork:
        """Where this device may come from; most devices come from anywhere."""
        if not device.networks and device.kind is not DeviceKind.MACHINE:
            return _ANYWHERE
        known = self._devices.get(device.id)
        if known is None:
            known = self._devices[device.id] = DeviceNetwork(device)
        return known


def compiled_policy(index: SnapshotIndex, organisation: str) -> CompiledPolicy:
    """The compiled policy of an organisation; the same object for the life of the snapshot."""
    known = index.memo.get(organisation)
    if known is None:
        nobody = Policy(organisation)
        try:
            known = CompiledPolicy(index, index.policy.get(organisation, nobody))
        except ValueError:  # a network or an hour that cannot be read: fail closed, admit nobody
            known = CompiledPolicy(index, nobody)
        if organisation in index.organisation or not organisation:
            index.memo[organisation] = known
    return cast(CompiledPolicy, known)


def _anybodys(index: SnapshotIndex) -> Organisation | None:
    """A name that leads to no organisation (a bare one, a mistyped domain) is told the address to register at where all
    organisations have the same one: no other can be meant. Nothing else of theirs is in it."""
    addresses = {organisation.enrolment_url for organisation in index.organisation.values()}
    return Organisation("", "", enrolment_url=addresses.pop()) if len(addresses) == 1 else None


def minute_of(clock: str) -> int:
    """Minutes since midnight of ``HH:MM``. Raises ValueError."""
    hour, colon, minute = clock.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and hour.isdecimal() and minute.isdecimal()):
        raise ValueError(f"{clock!r} is no time of day; write it like 08:00")
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"{clock!r} is no time of day; write it like 08:00")
    return int(hour) * 60 + int(minute)


def _account_id(index: SnapshotIndex, name: str) -> str:
    """The id of the account with this address or id. A name nobody has stays itself and matches nobody."""
    account = index.account_by_address.get(name) or index.account.get(name)
    return account.id if account is not None else name


def _account_ids(index: SnapshotIndex, names: tuple[str, ...]) -> frozenset[str] | None:
    return frozenset(_account_id(index, name) for name in names) if names else None
