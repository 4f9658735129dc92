"""checkdmarc is asked what our reading of SPF is asked: every difference has its reason here, or fails."""

from __future__ import annotations

import random

import pytest

from assess.core.sender.spf_cases import CASES, ENDS, HOSTS, TERMS, at_domain, judged, verdict
from assess.dns_zone import Zone

utils = pytest.importorskip("checkdmarc.utils")
oracle = pytest.importorskip("checkdmarc.spf")

#: Where checkdmarc judges otherwise, and what decides it.
DIFFERS = {
    "V=SPF1 -ALL": "RFC 5234 section 2.3: strings of a grammar know no case, so V=SPF1 is a version",
    "v=spf1 a:localhost -all": "RFC 7208 section 12: domain-end has a dot before its last label, or is a macro",
    "v=spf1 a:foo.123 -all": "RFC 7208 section 12: the last label (toplabel) is not all digits",
    "v=spf1 foo=%{z} -all": "RFC 7208 section 12: an unknown modifier's value is a macro-string; z is no macro",
    "v=spf1 a\tmx -all": "RFC 7208 section 12: only spaces stand between terms",
    "v=spf1 \u00fcall": "RFC 7208 section 4.6: it has the version section, so its mistake is a permerror",
    "v=spf1 -all ip4:nonsense": "RFC 7208 section 4.6: a syntax error anywhere in the record is a permerror",
    "v=spf1 exists:%{d}%% -all": "RFC 7208 section 7: d can be expanded, so the name is known and does not exist",
    "v=spf1 include:%{d2}.good.example ~all": "RFC 7208 sections 7 and 5.2: the name is known and has no record",
    "v=spf1 mx:no1.example exists:no2.example a:no3.example -all": "RFC 7208 section 4.6.4: exists may be void too",
    "v=spf1 mx:null.example -all": "RFC 7208 section 4.6.4: a null MX is an answer, so it is not void",
    "v=spf1 include:servfail.example -all": "RFC 7208 section 5.2: a look-up that failed is a temperror",
    "v=spf1 a:servfail.example -all": "RFC 7208 section 5: a look-up that failed is a temperror",
    "v=spf1 mx:servfail.example -all": "RFC 7208 section 5: a look-up that failed is a temperror",
    "SERVFAIL": "RFC 7208 section 4.4: a look-up that failed is a temperror",
}


def oracle_verdict(text: str | list[str]) -> tuple[str, int, int]:
    """checkdmarc's verdict, its look-ups and its void look-ups."""
    utils.DNS_CACHE.clear()
    with Zone({**HOSTS, **at_domain(text)}).served() as resolver:
        try:
            record = oracle.query_spf_record("d.example", resolver=resolver)["record"]
        except oracle.MultipleSPFRTXTRecords:
            return "several", 0, 0
        except oracle.SPFRecordNotFound:
            return "none", 0, 0
        try:
            parsed = oracle.parse_spf_record(record, "d.example", resolver=resolver)
        except oracle.SPFTooManyVoidDNSLookups:
            return "voids", 0, 0
        except oracle.SPFError:
            return "permerror", 0, 0
        assert "error" not in parsed
        return "ok", parsed["dns_lookups"], parsed["void_dns_lookups"]


def ours(text: str | list[str]) -> tuple[str, int, int]:
    report = judged(at_domain(text))
    word = verdict(report)
    return (word, report.lookups, len(report.voids)) if word == "ok" else (word, 0, 0)


def test_checkdmarc_says_the_same_but_where_the_rfc_decides() -> None:
    assert len(CASES) >= 100
    differing = {str(text) for text, _ in CASES if ours(text) != oracle_verdict(text)}
    assert differing == set(DIFFERS)


def generated(count: int, seed: int) -> list[str]:
    dice = random.Random(seed)
    return [
        " ".join(["v=spf1", *dice.choices(TERMS, k=dice.randint(0, 7)), dice.choice(ENDS)]).strip()
        for _ in range(count)
    ]


def test_checkdmarc_says_the_same_of_generated_records() -> None:
    seen = set()
    for text in generated(150, seed=7208):
        mine, theirs = ours(text), oracle_verdict(text)
        seen.add(mine[0])
        # Of several mistakes the order of finding is free: both are a permerror to a receiver.
        if {mine[0], theirs[0]} <= {"permerror", "voids"} or (theirs[0] == "none" and mine[0] == "permerror"):
            continue
        assert mine == theirs, text
    assert seen >= {"ok", "permerror"}
