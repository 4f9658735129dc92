"""Organisations side by side: how each stands, and "x of n organisations have y". And what an owner changes about one.

Counts come out of the store for all reached organisations together. What hangs on the control data alone (side doors,
modes, exceptions) is reckoned once for an organisation and kept until its accounts, policy or bypass change, so that a
change at one of a hundred costs one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from gambeson.console.core.availability import Up
from gambeson.console.core.chores import EndingFact
from gambeson.console.core.matrix import matrix
from gambeson.console.core.today import Exposure
from gambeson.console.office import Office, RefusedError, Told, World
from gambeson.model.access import DoorKind
from gambeson.model.asset import Account
from gambeson.model.finding import Severity
from gambeson.model.organisation import Organisation
from gambeson.model.rule import Policy
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Verb

from .gather import door_facts
from .memory import remembered
from .probes import present
from .served import served_doors

ENDING_SECONDS = 30 * 86400.0
SOME_SECONDS = 30.0
MAX_DOMAINS = 20  # of a form


@dataclass(frozen=True, slots=True)
class Standing:
    """One organisation in the list. ``findings`` are the open ones by severity; ``devices`` the registered ones;
    ``side_doors`` and ``lax`` the doors that an exception opens, and that only observe or warn; ``ending`` exceptions
    that end within 30 days; ``bypass_until`` 0: closed."""

    organisation: Organisation
    availability: Up
    exposure: Exposure
    findings: Mapping[Severity, int]
    accounts: int
    devices: int
    side_doors: tuple[str, ...]
    lax: tuple[str, ...]
    ending: tuple[EndingFact, ...]
    bypass_until: float


HAS: Mapping[str, Callable[[Standing], bool]] = {
    "side-doors": lambda o: bool(o.side_doors),
    "critical": lambda o: bool(o.findings.get(Severity.CRITICAL)),
    "bypass": lambda o: o.bypass_until > 0,
    "not-enforcing": lambda o: bool(o.lax),
    "nobody-enrolled": lambda o: bool(o.accounts) and not o.devices,
    "exceptions-ending": lambda o: bool(o.ending),
    "findings": lambda o: any(o.findings.values()),
    "no-domain": lambda o: not o.organisation.domains,
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """``count`` of ``total`` organisations have it; ``what`` is a key of :data:`HAS`."""

    what: str
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class Overview:
    """``found`` are those of the asker that fit, the most exposed first; ``sentences`` speak of all."""

    found: tuple[Standing, ...]
    sentences: tuple[Sentence, ...]
    total: int


def overview(office: Office, search: str = "", has: str = "") -> Overview:
    """Every organisation that the asker reaches. ``search``: part of a name or domain. ``has``: a key of :data:`HAS`
    (others are passed over)."""
    every, wanted = _standings(office), search.strip().casefold()
    test = HAS.get(has)
    found = [
        each
        for each in every
        if (test is None or test(each))
        and (
            wanted in each.organisation.name.casefold()
            or any(wanted in domain for domain in each.organisation.domains)
        )
    ]
    found.sort(key=lambda o: (_ORDER[o.exposure], o.organisation.name.casefold()))
    sentences = tuple(
        Sentence(what, sum(has_it(each) for each in every), len(every)) for what, has_it in HAS.items()
    )
    return Overview(tuple(found), sentences, len(every))


_ORDER = {
    Exposure.CRITICAL: 0,
    Exposure.HIGH: 1,
    Exposure.BLIND: 2,
    Exposure.LOW: 3,
    Exposure.NONE: 4,
}


def _standings(office: Office) -> Sequence[Standing]:
    across, at = office.across(), office.at
    findings, accounts, devices = across.finding_counts(), across.account_counts(), across.device_counts()
    index = office.index()
    listening = tuple(dict.fromkeys(each.door for each in office.facts.listeners))
    up = remembered(
        office.world.store,
        ("present", listening),
        at,
        SOME_SECONDS,
        lambda: present(office.world.store, listening, at).state,
    )
    doors = _doors(office.world, index, [each.id for each in office.organisations()], at)
    standings = []
    for each in office.organisations():
        side, lax, ending = doors.get(each.id, ((), (), ()))
        bypass = index.bypass_until.get(each.id, 0.0)
        bypass = bypass if bypass > at else 0.0
        counts = findings.get(each.id, {})
        standings.append(
            Standing(
                organisation=each,
                availability=up,
                exposure=_exposure(counts, bool(side), bool(lax), bypass > 0),
                findings=counts,
                accounts=sum(accounts.get(each.id, {}).values()),
                devices=devices.get(each.id, {}).get("registered", 0),
                side_doors=side,
                lax=lax,
                ending=ending,
                bypass_until=bypass,
            )
        )
    return standings


def _exposure(findings: Mapping[Severity, int], side: bool, lax: bool, bypass: bool) -> Exposure:
    """The word from what is known of all organisations at once; Today reckons with more."""
    if findings.get(Severity.CRITICAL) or bypass:
        return Exposure.CRITICAL
    if findings.get(Severity.HIGH) or side:
        return Exposure.HIGH
    return Exposure.LOW if lax or any(findings.values()) else Exposure.NONE


Doors = tuple[tuple[str, ...], tuple[str, ...], tuple[EndingFact, ...]]
_Ground = tuple[Policy | None, float, tuple[Account, ...], tuple[DoorKind, ...]]


def _doors(world: World, index: SnapshotIndex, ids: Sequence[str], at: float) -> dict[str, Doors]:
    """By organisation: its side doors, lax doors and exceptions that end soon. Reckoned anew only where what they hang
    on changed, or their time is over."""
    known: dict[str, tuple[_Ground, float, float, Doors]] = world.memo.setdefault("organisations", {})
    people: dict[str, list[Account]] = {}
    for account in index.snapshot.accounts:
        people.setdefault(account.organisation, []).append(account)
    for gone in known.keys() - index.organisation.keys():
        known.pop(gone, None)
    found = {}
    for id in ids:
        if id not in index.organisation:
            continue
        served = served_doors(index.snapshot.servers, index.snapshot.sites, id)
        ground = (
            index.policy.get(id),
            index.bypass_until.get(id, 0.0),
            tuple(people.get(id, ())),
            served,
        )
        before = known.get(id)
        if before is None or not before[1] <= at < before[2] or before[0] != ground:
            doors, until = _reckon(index, id, served, at)
            before = known[id] = (ground, at, until, doors)
        found[id] = before[3]
    return found


def _reckon(index: SnapshotIndex, id: str, served: tuple[DoorKind, ...], at: float) -> tuple[Doors, float]:
    made = matrix(index, id, served, at)
    side = tuple(str(each.door) for each in made.side_doors())
    lax = tuple(str(each.door) for each in door_facts(index, id, served, at) if each.mode != "enforce")
    policy = index.policy.get(id)
    ends = [(e.name, e.until) for e in (policy.exceptions if policy else ()) if e.until > at]
    ending = tuple(EndingFact(name, until) for name, until in ends if until <= at + ENDING_SECONDS)
    # One that ends later is among these from 30 days before its end on.
    begins = min((until - ENDING_SECONDS for _, until in ends if until > at + ENDING_SECONDS), default=inf)
    return (side, lax, ending), min(made.until, begins)


def add(office: Office, name: str, domains: Sequence[str]) -> tuple[Organisation, Told]:
    """A new organisation. Raises RefusedError (404 without the verb in every organisation), BadValue, Conflict."""
    store = office.installation(Verb.ORGANISATIONS)
    if len(domains) > MAX_DOMAINS:
        raise RefusedError("many", f"At most {MAX_DOMAINS} domains at once. Add the others afterwards.", 422)
    made = store.create_organisation(name, domains=domains, by=office.by, at=office.at).get()
    return made, office.publish()


def rename(office: Office, id: str, name: str) -> Told:
    """Another name. Raises RefusedError, BadValue, Conflict."""
    office.organisation(id, Verb.ORGANISATIONS).update(name=name, by=office.by, at=office.at)
    return office.publish()


def set_hours(office: Office, id: str, hours: float) -> None:
    """The hours a week that somebody has for its mail. Raises RefusedError, BadValue."""
    office.organisation(id, Verb.ORGANISATIONS).set_hours(hours, by=office.by, at=office.at)


def add_domain(office: Office, id: str, domain: str) -> Told:
    """A further mail domain. Only for who may do this in every organisation: a domain that is another's would draw its
    people's sign-ins here. Raises RefusedError, BadValue, Conflict."""
    office.installation(Verb.ORGANISATIONS)
    office.organisation(id, Verb.ORGANISATIONS).add_domain(domain, by=office.by, at=office.at)
    return office.publish()


def remove_domain(office: Office, id: str, domain: str) -> Told:
    """One domain less. Raises RefusedError, NotFound, Conflict (an account is still in it)."""
    office.installation(Verb.ORGANISATIONS)
    office.organisation(id, Verb.ORGANISATIONS).remove_domain(domain, by=office.by, at=office.at)
    return office.publish()


def set_cloud(office: Office, id: str, cloud: str, *, allowed: bool) -> Told:
    """Lets the programs of a cloud service in, or refuses them. It gives access, so a passkey must have been shown just
    now. Raises RefusedError, StepUpError, BadValue."""
    store = office.organisation(id, Verb.ORGANISATIONS)
    if allowed:
        office.fresh()
        if all(each.id != cloud for each in office.facts.clouds):
            raise RefusedError("unknown", "No cloud service is called that. Choose one of the list.", 422)
    store.set_cloud(cloud, allowed=allowed, by=office.by, at=office.at)
    return office.publish()
