"""DMARC records by hand, each at ``_dmarc.d.example``: the policy that holds, or why none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assess.dns_zone import Zone as Names
from gambeson.assess.core.sender import dmarc
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.dmarc import DmarcReport

Zone = Mapping[str, Sequence[str] | str]

HOSTS: Zone = {
    "d.example TXT": "v=spf1 -all",
    "d.example MX": "10 mx1.d.example",
    "mx1.d.example A": "192.0.2.11",
    "reports.example MX": "10 mx.reports.example",
    "mx.reports.example A": "192.0.2.21",
    "d.example._report._dmarc.reports.example TXT": "v=DMARC1",
    "silent.example MX": "10 mx.reports.example",
    "star.example MX": "10 mx.reports.example",
    "d.example._report._dmarc.star.example TXT": ["v=DMARC1;", "unrelated"],
}

#: record or records at _dmarc.d.example; our verdict: none, several, broken, unknown, or the policy (empty where
#: receivers take none from it)
CASES: list[tuple[str | list[str], str]] = [
    ([], "none"),
    ("hello", "none"),
    ("v=spf1 -all", "none"),
    ("v=DMARC1", "none-policy"),
    ("v=DMARC1;", "none-policy"),
    ("v=DMARC1; p=none", "none-policy"),
    ("v=DMARC1; p=quarantine", "quarantine"),
    ("v=DMARC1; p=reject", "reject"),
    ("v=DMARC1;p=reject", "reject"),
    ("v=DMARC1 ; p = reject ;", "reject"),
    ("v = DMARC1; p=reject", "reject"),
    ("V=DMARC1; P=REJECT", "reject"),
    ("v=dmarc1; p=reject", "none"),
    ("v=DMARC2; p=reject", "none"),
    (" v=DMARC1; p=reject", "none"),
    ("p=reject; v=DMARC1", "none"),
    ("v=DMARC1 p=reject", "none"),
    ("v=DMARC1; p=reject;;", "broken"),
    ("v=DMARC1; p=reject; nonsense", "broken"),
    ("v=DMARC1; p=reject; p=none", "broken"),
    ("v=DMARC1, p=reject", "none"),
    ("v=DMARC1; p:reject", "broken"),
    ("v=DMARC1; rua=mailto:a@d.example; p=reject", "reject"),
    ("v=DMARC1; rua=mailto:a@d.example", "none-policy"),
    ("v=DMARC1; p=monitor", ""),
    ("v=DMARC1; p=monitor; rua=mailto:a@d.example", "none-policy"),
    ("v=DMARC1; p=", ""),
    ("v=DMARC1; p=reject; sp=none", "reject"),
    ("v=DMARC1; p=reject; sp=quarantine", "reject"),
    ("v=DMARC1; p=reject; sp=sometimes", ""),
    ("v=DMARC1; p=reject; sp=sometimes; rua=mailto:a@d.example", "none-policy"),
    ("v=DMARC1; p=reject; np=reject", "reject"),
    ("v=DMARC1; p=reject; t=y", "quarantine"),
    ("v=DMARC1; p=quarantine; t=y", "none-policy"),
    ("v=DMARC1; p=reject; t=n", "reject"),
    ("v=DMARC1; p=reject; t=maybe", "reject"),
    ("v=DMARC1; p=reject; pct=50", "reject"),
    ("v=DMARC1; p=reject; pct=0", "reject"),
    ("v=DMARC1; p=reject; pct=101", "reject"),
    ("v=DMARC1; p=reject; pct=half", "reject"),
    ("v=DMARC1; p=reject; adkim=s; aspf=s", "reject"),
    ("v=DMARC1; p=reject; adkim=x", "reject"),
    ("v=DMARC1; p=reject; psd=n", "reject"),
    ("v=DMARC1; p=reject; fo=1:d:s", "reject"),
    ("v=DMARC1; p=reject; ri=86400; rf=afrf", "reject"),
    ("v=DMARC1; p=reject; shoe=size", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@d.example,mailto:b@d.example", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@d.example!10m", "reject"),
    ("v=DMARC1; p=reject; rua=a@d.example", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:", "reject"),
    ("v=DMARC1; p=reject; rua=https://d.example/dmarc", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@sub.d.example", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@reports.example", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@star.example", "reject"),
    ("v=DMARC1; p=reject; rua=mailto:a@silent.example", "reject"),
    ("v=DMARC1; p=reject; ruf=mailto:a@d.example", "reject"),
    (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "several"),
    (["v=DMARC1; p=reject", "hello"], "reject"),
    ("SERVFAIL", "unknown"),
]

#: domain, its zone, and: our verdict, where the record stands, the organisational domain (RFC 9989 section 4.10)
WALKS: list[tuple[str, Zone, tuple[str, str, str]]] = [
    ("a.b.example", {"_dmarc.b.example TXT": "v=DMARC1; p=reject"}, ("reject", "b.example", "b.example")),
    (
        "a.b.example",
        {"_dmarc.b.example TXT": "v=DMARC1; p=reject; sp=none"},
        ("none", "b.example", "b.example"),
    ),
    (
        "a.b.example",
        {"_dmarc.a.b.example TXT": "v=DMARC1; p=none", "_dmarc.b.example TXT": "v=DMARC1; p=reject"},
        ("none", "a.b.example", "b.example"),
    ),
    (
        "a.b.c.example",
        {"_dmarc.b.c.example TXT": "v=DMARC1; p=none", "_dmarc.c.example TXT": "v=DMARC1; p=reject"},
        ("reject", "c.example", "c.example"),
    ),
    (
        "a.b.c.example",
        {
            "_dmarc.b.c.example TXT": "v=DMARC1; p=quarantine; psd=n",
            "_dmarc.c.example TXT": "v=DMARC1; p=reject",
        },
        ("quarantine", "b.c.example", "b.c.example"),
    ),
    (
        "a.b.bank",
        {"_dmarc.bank TXT": "v=DMARC1; p=reject; sp=quarantine; psd=y"},
        ("quarantine", "bank", "b.bank"),
    ),
    (
        "a.b.bank",
        {"_dmarc.bank TXT": "v=DMARC1; p=reject; psd=y", "_dmarc.b.bank TXT": "v=DMARC1; p=none"},
        ("none", "b.bank", "b.bank"),
    ),
    (
        "1.2.3.4.5.6.7.8.9.deep.example",
        {
            "_dmarc.6.7.8.9.deep.example TXT": "v=DMARC1; p=none",
            "_dmarc.deep.example TXT": "v=DMARC1; p=reject",
        },
        ("reject", "deep.example", "deep.example"),
    ),
    (
        "1.2.3.4.5.6.7.8.9.deep.example",
        {"_dmarc.4.5.6.7.8.9.deep.example TXT": "v=DMARC1; p=reject"},
        ("nothing", "", "1.2.3.4.5.6.7.8.9.deep.example"),
    ),
    ("x.nothing.example", {"nothing.example A": "192.0.2.1"}, ("nothing", "", "x.nothing.example")),
]


def judged(records: Zone, domain: str = "d.example") -> DmarcReport:
    return Names(records).settle(lambda answers: dmarc.report(domain, answers))


def verdict(report: DmarcReport) -> str:
    if report.found is Found.NOTHING:
        return "none"
    if report.found is not Found.ONE:
        return report.found.value
    return "none-policy" if report.policy == "none" else report.policy
