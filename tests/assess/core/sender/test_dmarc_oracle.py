"""checkdmarc is asked what our reading of DMARC is asked: every difference has its reason here, or fails."""

from __future__ import annotations

import random

import pytest

from assess.core.sender.dmarc_cases import CASES, HOSTS, WALKS, Zone, judged, verdict
from assess.dns_zone import Zone as Names

utils = pytest.importorskip("checkdmarc.utils")
oracle = pytest.importorskip("checkdmarc.dmarc")

_NO_WORD = "RFC 9989 section 4.10.1: with a wrong p, sp or np it is none where reports are wanted, and else no policy"
_DROPPED = "RFC 9989 section 4.8: a wrong value is discarded, the rest of the record holds"

#: Where checkdmarc judges otherwise, and what decides it.
DIFFERS = {
    " v=DMARC1; p=reject": "RFC 9989 section 4.8: nothing stands before v, so it is no DMARC record",
    "v=DMARC1; p=monitor": _NO_WORD,
    "v=DMARC1; p=monitor; rua=mailto:a@d.example": _NO_WORD,
    "v=DMARC1; p=": _NO_WORD,
    "v=DMARC1; p=reject; sp=sometimes": _NO_WORD,
    "v=DMARC1; p=reject; sp=sometimes; rua=mailto:a@d.example": _NO_WORD,
    "v=DMARC1; p=reject; t=maybe": _DROPPED,
    "v=DMARC1; p=reject; rua=a@d.example": _DROPPED,
    "v=DMARC1; p=reject; rua=mailto:": _DROPPED,
    "SERVFAIL": "RFC 9989 section 4.10: a look-up that failed says nothing about the record",
}


def oracle_verdict(zone: Zone, domain: str = "d.example") -> str:
    """checkdmarc's verdict in our words."""
    utils.DNS_CACHE.clear()
    with Names(zone).served() as resolver:
        try:
            found = oracle.query_dmarc_record(domain, resolver=resolver, ignore_unrelated_records=True)
            parsed = oracle.parse_dmarc_record(found["record"], found["location"], resolver=resolver)
        except oracle.MultipleDMARCRecords:
            return "several"
        except oracle.DMARCRecordNotFound:
            return "none"
        except oracle.DMARCError:
            return "broken"
    tags = {name: tag["value"] for name, tag in parsed["tags"].items()}
    policy: str = tags["p" if found["location"] == domain else "sp"]
    if tags["t"] == "y":  # checkdmarc reports the tag and leaves the step down to its reader
        policy = {"reject": "quarantine", "quarantine": "none"}.get(policy, policy)
    return "none-policy" if policy == "none" else policy


def at_domain(text: str | list[str]) -> Zone:
    return {**HOSTS, "_dmarc.d.example TXT": text} if text else HOSTS


def test_checkdmarc_says_the_same_but_where_the_rfc_decides() -> None:
    assert len(CASES) >= 50
    differing = {str(t) for t, _ in CASES if verdict(judged(at_domain(t))) != oracle_verdict(at_domain(t))}
    assert differing == set(DIFFERS)


@pytest.mark.parametrize(("domain", "zone", "expected"), WALKS)
def test_checkdmarc_walks_the_same_way(domain: str, zone: Zone, expected: tuple[str, str, str]) -> None:
    zone = {**zone, f"{domain} A": "192.0.2.1"}  # checkdmarc asks first whether the domain exists
    assert verdict(judged(zone, domain)) == oracle_verdict(zone, domain)


TAGS = [
    "p=none", "p=quarantine", "p=reject", "sp=none", "sp=reject", "sp=quarantine", "np=reject", "t=y", "t=n", "pct=10",
    "adkim=s", "aspf=r", "adkim=z", "fo=1", "psd=n", "ri=3600", "rf=afrf", "x=y", "rua=mailto:a@d.example",
    "rua=mailto:a@d.example, mailto:b@reports.example", "rua=https://d.example/r", "ruf=mailto:a@d.example", "words",
]  # fmt: skip


def test_checkdmarc_says_the_same_of_generated_records() -> None:
    dice = random.Random(9989)
    seen = set()
    for _ in range(120):
        between = dice.choice([";", "; ", " ; "])
        text = between.join(["v=DMARC1", *dice.choices(TAGS, k=dice.randint(0, 5))]) + dice.choice(["", ";"])
        if (
            text.count("x=y") > 1
        ):  # RFC 6376 section 3.2: a name twice spoils the list; checkdmarc lets unknown ones
            continue
        mine = verdict(judged(at_domain(text)))
        seen.add(mine)
        assert mine == oracle_verdict(at_domain(text)), text
    assert seen >= {"none-policy", "quarantine", "reject", "broken"}
