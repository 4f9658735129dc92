"""SND-002: the DKIM keys that can be found from outside are strong and in use. None found says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.dkim import Key, report
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Confidence, Evidence

WEAK, SHORT = 1024, 2048  # bits: RFC 8301 section 3.2 refuses less than the first and wants the second


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each key; one for the domain where none was found."""
    dkim = report(facts.domain, facts.answers, facts.dkim_selectors)
    if dkim.wildcard:
        proof = (Evidence("dns", f"*._domainkey.{facts.domain} TXT", excerpt=dkim.wildcard),)
        yield Outcome("wildcard", facts.domain, evidence=proof)
    for key in dkim.keys:
        name = f"{key.selector}._domainkey.{facts.domain}"
        values = {"selector": key.selector, "name": name, "problem": key.error}
        if key.key is not None:
            values |= {"bits": str(key.key.bits), "kind": key.key.kind}
        yield Outcome(_code(key), name, values, (Evidence("dns", f"{name} TXT", excerpt=key.text),))
    for selector, alias in dkim.dangling:
        name = f"{selector}._domainkey.{facts.domain}"
        proof = (Evidence("dns", f"{name} CNAME", excerpt=alias),)
        yield Outcome("dangling", name, {"selector": selector, "name": name, "alias": alias}, proof)
    if not dkim.usable:
        yield _nothing(facts, dkim.asked, dkim.unknowns)


def _code(key: Key) -> str:
    if key.key is None:
        return "broken"
    if key.key.revoked:
        return "revoked"
    if key.key.kind not in ("rsa", "ed25519"):
        return "strange"
    if key.key.kind == "rsa" and (key.key.bits < WEAK or key.key.exponent < 3):
        return "weak"
    if key.key.hashes and "sha256" not in key.key.hashes:
        return "sha1"
    if key.key.kind == "rsa" and key.key.bits < SHORT:
        return "short"
    return "testing" if key.key.testing else "ok"


def _nothing(facts: Facts, asked: int, unknowns: tuple[tuple[str, Unknown], ...]) -> Outcome:
    if not asked:
        return Outcome(
            "unknown", facts.domain, unknown=Unknown(Cause.NOT_ASKED, "no names of keys were tried")
        )
    if unknowns and len(unknowns) == asked:  # the name servers are away: the cause says more
        return Outcome("unknown", facts.domain, unknown=unknowns[0][1])
    unanswered = f" ({len(unknowns)} of them gave no answer)" if unknowns else ""
    values = {"asked": f"{asked} usual names{unanswered}"}
    return Outcome("not-found", facts.domain, values, confidence=Confidence.LOW)
