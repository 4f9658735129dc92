"""A domain as many are: Exchange two years behind, doors with a password alone, names half kept. And one with nothing.

For the tests of what people are shown; every line comes from the real checks.
"""

from __future__ import annotations

from dataclasses import replace

from assess.dns_zone import SERVFAIL, Records, Zone
from gambeson.assess.core.discovery import hosts
from gambeson.assess.core.dns import DnsAnswer, Question
from gambeson.assess.core.doors import PORTS, DoorFacts, Offer, PortState, Protocol, StartTls
from gambeson.assess.core.evaluate import evaluate, wanted
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.fingerprints import observe
from gambeson.assess.core.report import Report, report
from gambeson.assess.core.tls import Certificate, TlsFacts, TlsVersion, Trust, Weakness
from gambeson.assess.core.web import Page
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.reference import all_asks, reference

AT = 1_795_000_000.0  # 2026-11-18
DAY = 86400.0
HOST, ADDRESS = "mail.example.org", "192.88.99.7"
NAMES: Records = {
    "example.org MX": ["10 mail.example.org"],
    "example.org NS": ["ns1.example.net", "ns2.example.net"],
    "example.org TXT": ["v=spf1 mx include:_spf.example.net ?all"],
    "_spf.example.net TXT": ["v=spf1 ip4:203.0.113.0/28 -all"],
    "example.org SOA": ["ns1.example.net hostmaster.example.org 1 2 3 4 5"],
    "example.org A": [ADDRESS],
    "mail.example.org A": [ADDRESS],
    "autodiscover.example.org A": [ADDRESS],
    "ns1.example.net A": ["192.31.196.1"],
    "ns2.example.net A": ["192.52.193.1"],
    "_dmarc.example.org TXT": ["v=DMARC1; p=none"],
    "selector1._domainkey.example.org TXT": SERVFAIL,
    "7.99.88.192.in-addr.arpa PTR": ["dsl-192-88-99-7.example.net"],
    "dsl-192-88-99-7.example.net A": [ADDRESS],
}
_CERTIFICATE = Certificate(
    "CN=mail.example.org",
    "CN=Authority",
    (HOST, "autodiscover.example.org"),
    AT - 80 * DAY,
    AT + 9 * DAY,
    "RSA",
    2048,
    "sha256",
    "ab" * 32,
    "cd" * 32,
)
_OLD = TlsFacts(
    versions=tuple((version, version is not TlsVersion.SSL3) for version in list(TlsVersion)[1:]),
    weak=(Weakness.TRIPLE_DES, Weakness.STATIC_RSA),
    chosen="TLS_AES_256_GCM_SHA384",
    chain=(_CERTIFICATE,),
    trust=Trust.TRUSTED,
    name_matches=True,
)
_PASSWORD = Offer(("AUTH NTLM LOGIN PLAIN",), ("NTLM", "LOGIN", "PLAIN"), True)
_OFFERS = {
    Protocol.SMTP: Offer(("STARTTLS", "SIZE"), (), None),
    Protocol.SUBMISSION: Offer(("AUTH LOGIN PLAIN",), ("LOGIN", "PLAIN"), None),
    Protocol.IMAPS: _PASSWORD,
    Protocol.IMAP: _PASSWORD,
    Protocol.POP3S: Offer(("USER",), (), True),
}
_BUILD = "15.1.2507.35"
_BASIC = ("/ews/", "/microsoft-server-activesync", "/mapi/", "/powershell")
_FORM = b'<form action="auth.owa"><input name="password" type="password"></form>'
_HEADERS = (("server", "Microsoft-IIS/10.0"), ("x-owa-version", _BUILD), ("x-feserver", "MAIL01"))


def _door(protocol: Protocol) -> DoorFacts:
    offer = _OFFERS[protocol]
    implicit = protocol in (Protocol.IMAPS, Protocol.POP3S)
    return DoorFacts(
        HOST,
        ADDRESS,
        PORTS[protocol],
        protocol,
        PortState.OPEN,
        banner="220 MAIL01.corp.local Microsoft ESMTP MAIL Service ready"
        if protocol is Protocol.SMTP
        else "",
        plain=None if implicit else offer,
        secured=offer,
        starttls=StartTls.IMPLICIT if implicit else StartTls.OFFERED,
        tls=_OLD,
        injection=None if implicit else False,
    )


def _pages() -> tuple[Page, ...]:
    found = []
    for ask in all_asks():
        url, body = f"https://{HOST}{ask.path}", b""
        status, schemes = 404, tuple[str, ...]()
        if ask.path.lower().startswith(_BASIC):
            status, schemes = 401, ("basic", "ntlm")
        elif ask.path.startswith(("/owa", "/ecp")):
            status, body = 200, _FORM
        found.append(
            Page(ask.purpose, url, ADDRESS, "GET", status, _HEADERS, body, schemes=schemes, trusted=True)
        )
    return tuple(found)


def weak(probed: bool = True) -> Report:
    """The answer for the weak domain."""
    doors = tuple(_door(protocol) for protocol in _OFFERS) if probed else ()
    web = DoorFacts(HOST, ADDRESS, 443, Protocol.HTTPS, PortState.OPEN, starttls=StartTls.IMPLICIT, tls=_OLD)
    pages = _pages() if probed else ()
    return judged(
        NAMES, Facts("example.org", AT, 7.4, probed, doors=(*doors, web) if probed else (), pages=pages)
    )


def judged(names: Records, facts: Facts) -> Report:
    """``facts`` with the answers that hosts and checks want of ``names``, and what the checks say."""
    zone, tables = Zone(names), reference()
    answers: dict[Question, DnsAnswer] = {}
    found = zone.settle(lambda answers: hosts(facts.domain, (), answers))
    facts = replace(
        facts,
        answers=answers,
        hosts=found,
        software=observe(facts.doors, facts.pages, tables.fingerprints),
        reference=tables,
        dkim_selectors=("selector1", "selector2"),
        resolver="192.0.2.53",
    )
    for _ in range(40):
        missing = wanted(facts, all_checks()) - answers.keys()
        if not missing:
            break
        answers.update((question, _said(zone, question)) for question in missing)
    return report(facts, evaluate(facts, all_checks()))


def _said(zone: Zone, question: Question) -> DnsAnswer:
    """A name server that is asked itself speaks for its zone."""
    return replace(zone.answer(question), authoritative=bool(question.server))
