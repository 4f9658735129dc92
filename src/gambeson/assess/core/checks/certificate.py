"""Whether a door's certificate is one that programs accept, and for how long (RFC 5280, RFC 9525)."""

from __future__ import annotations

from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.tls import TlsFacts, Trust
from gambeson.assess.core.tls_doors import between_servers, evidence, with_tls
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.model.finding import Evidence

DAY = 86400.0
SOON = 21 * DAY  # what a person needs to renew by hand
_SHARE = 3  # certificates of a few days renew themselves, and are late in their last third only
_SHOWN = 4  # names in a sentence
_REASONS = {
    Trust.SELF_SIGNED: "it is signed by itself",
    Trust.UNKNOWN_ISSUER: "its authority is not a known one",
    Trust.INCOMPLETE: "a certificate between is missing",
    Trust.EXPIRED: "it is out of date",
    Trust.NOT_YET_VALID: "its time has not begun",
    Trust.INVALID: "it is not valid",
}


def run(facts: Facts) -> Iterator[Outcome]:
    """For each door what is wrong, the trust and the name apart; or that all is well."""
    guesses = {host.name for host in facts.hosts if set(host.roles) == {"guess"}}
    for door, tls in with_tls(facts):
        if tls.unknown is not None:
            yield Outcome("unknown", door.place, unknown=tls.unknown)
            continue
        if not tls.chain or tls.trust is Trust.UNKNOWN:
            detail = tls.trust_detail or "no certificate was seen"
            yield Outcome("unknown", door.place, unknown=Unknown(Cause.MALFORMED, detail))
            continue
        codes = list(_codes(facts, door, tls, guessed=door.host in guesses))
        for code in codes or ["good"]:
            yield Outcome(code, door.place, _values(facts, door, tls), _seen(facts, door, tls))


def _codes(facts: Facts, door: DoorFacts, tls: TlsFacts, *, guessed: bool) -> Iterator[str]:
    certificate = tls.chain[0]
    servers = between_servers(door)
    # Without a name no program accepts it; that is said once, as what it is.
    nameless = bool(certificate.subject) and (certificate.from_common_name or not certificate.names)
    if tls.trust is Trust.TRUSTED:
        life = certificate.not_after - certificate.not_before
        if certificate.not_after - facts.at < min(SOON, life / _SHARE):
            yield "ends-soon"
    elif servers:
        yield "untrusted-between-servers"
    elif not (nameless and tls.trust is Trust.INVALID):
        yield tls.trust.value
    if tls.name_matches is False and certificate.subject:
        if servers:
            yield "name-between-servers"
        elif nameless:
            yield "no-names"
        else:
            # Of a guessed name perhaps nobody knows but we.
            yield "name-of-guess" if guessed else "wrong-name"


def _values(facts: Facts, door: DoorFacts, tls: TlsFacts) -> dict[str, str]:
    certificate = tls.chain[0]
    names = ", ".join(certificate.names[:_SHOWN]) or "no host"
    if len(certificate.names) > _SHOWN:
        names += f" and {len(certificate.names) - _SHOWN} more"
    return {
        "host": door.host,
        "names": names,
        "reason": tls.trust_detail or _REASONS.get(tls.trust, ""),
        "days": str(max(0, int((certificate.not_after - facts.at) // DAY))),
    }


def _seen(facts: Facts, door: DoorFacts, tls: TlsFacts) -> tuple[Evidence, ...]:
    certificate = tls.chain[0]
    excerpt = f"subject {certificate.subject}, issuer {certificate.issuer}, {tls.trust.value}"
    return evidence(facts, door, f"{excerpt}, SHA-256 {certificate.sha256}")
