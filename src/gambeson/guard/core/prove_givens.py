"""What a policy tells apart, for the space that ``prove`` walks: accounts, addresses, countries and risks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.rule import Policy
from gambeson.model.snapshot import SnapshotIndex

MAX_ACCOUNTS = 200
MAX_CIRCUMSTANCES = 64
FOREIGN = "prove-another-organisation"
_OUTSIDE = ("203.0.113.77", "198.51.100.77", "192.0.2.77", "100.64.0.77", "2001:db8:ffff::77", "8.8.8.8")


def countries_and_risks(policy: Policy) -> Iterator[tuple[str, int]]:
    """Countries that the same rules mention are one, and one that no rule mentions stands for all others; risks only
    matter by the thresholds that they reach. Where that is too much, not each with each."""
    alike: dict[frozenset[int], str] = {frozenset(): ""}
    for country in sorted({c.upper() for r in policy.rules for c in r.countries}):
        where = frozenset(i for i, r in enumerate(policy.rules) if country in map(str.upper, r.countries))
        alike.setdefault(where, country)
    risks = sorted({0, 100, *(r.risk_at_least for r in policy.rules if r.risk_at_least is not None)})
    for country in alike.values():
        for risk in risks:
            if (country or risk) and (
                len(alike) * len(risks) <= MAX_CIRCUMSTANCES or not country or risk in (0, 100)
            ):
                yield country, risk


def accounts(
    index: SnapshotIndex, organisation: Organisation, policy: Policy
) -> Iterator[tuple[str, Account]]:
    """One account that the policy does not mention, one for each it does, one for each group, one in all."""
    domain = organisation.domains[0] if organisation.domains else f"{FOREIGN}.invalid"
    yield "anybody", Account("prove:anybody", organisation.id, f"prove.anybody@{domain}")
    named: dict[str, None] = {}
    groups: dict[str, None] = {}
    for e in policy.exceptions:
        named.update(dict.fromkeys(e.accounts))
        groups.update(dict.fromkeys(e.groups))
    for rule in policy.rules:
        named.update(dict.fromkeys(rule.accounts))
        groups.update(dict.fromkeys(rule.groups))
    for mode in policy.modes:
        named.update(dict.fromkeys([mode.account] if mode.account else []))
        groups.update(dict.fromkeys([mode.group] if mode.group else []))
    seen = set()
    for name in list(named)[:MAX_ACCOUNTS]:
        account = index.account_by_address.get(name) or index.account.get(name)
        if account is not None and account.organisation == organisation.id and account.id not in seen:
            seen.add(account.id)
            yield account.address, replace(account, enabled=True)
    for group in list(groups)[:MAX_ACCOUNTS]:
        address = f"prove.member{len(seen)}@{domain}"
        seen.add(address)
        yield f"a member of {group}", Account(f"prove:{group}", organisation.id, address, groups=(group,))
    if len(groups) > 1:
        address = f"prove.everywhere@{domain}"
        yield "a member of all groups", Account("prove:*", organisation.id, address, groups=tuple(groups))


def sources(policy: Policy) -> Iterator[tuple[str, str]]:
    """One address of every declared range (the first four of a network), then one in none of them."""
    ranges = []
    for network in policy.networks:
        for i, cidr in enumerate(network.cidrs):
            try:
                one = ipaddress.ip_network(cidr, strict=False)
            except ValueError:
                continue
            ranges.append(one)
            if i < 4:
                yield network.name, str(one[min(1, one.num_addresses - 1)])
    for candidate in _OUTSIDE:
        if not any(ipaddress.ip_address(candidate) in one for one in ranges):
            yield "outside", candidate
            return
    # The policy declares the whole Internet: then nothing is outside, and any address stands for it.
    yield "everywhere", _OUTSIDE[0]
