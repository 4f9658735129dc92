"""The answer as one JSON document (docs/schemas/look.json): everything that was judged, and the facts behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .check import Light, Outcome
from .doors import DoorFacts, NtlmFacts, Offer
from .evaluate import Line
from .facts import Facts, Host
from .report import Report
from .software import Observation
from .tls import Certificate, TlsFacts
from .unknown import Unknown
from .web import Page


def document(report: Report) -> dict[str, Any]:
    """The document. It holds no page bodies and no certificates whole, only what was read from them."""
    facts = report.facts
    return {
        "domain": facts.domain,
        "at": _time(facts.at),
        "took": round(facts.took, 2),
        "probed": facts.probed,
        "resolver": facts.resolver,
        "sentences": list(report.sentences),
        "counts": {light.value: report.count(light) for light in Light if light is not Light.NOTHING},
        "worst": report.worst.word,
        "lines": [_line(line) for line in report.lines],
        "missing": list(report.missing),
        "tables": {"exchange": facts.reference.exchange.as_of if facts.reference.exchange else None},
        "facts": _facts(facts),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "check": line.check.id,
        "name": line.check.name,
        "title": line.check.title,
        "area": line.check.area,
        "code": line.code,
        "light": line.light.value,
        "severity": line.severity.word,
        "sentence": line.sentence,
        "step": line.step,
        "assets": list(line.assets),
        "references": list(line.check.references),
        "outcomes": [_outcome(outcome) for outcome in line.outcomes],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "asset": outcome.asset,
        "confidence": outcome.confidence.value,
        "unknown": _unknown(outcome.unknown),
        "evidence": [
            {"source": e.source, "locator": e.locator, "excerpt": e.excerpt} for e in outcome.evidence
        ],
    }


def _facts(facts: Facts) -> dict[str, Any]:
    return {
        "names": [
            {
                "name": answer.question.name,
                "type": answer.question.type,
                "server": answer.question.server,
                "state": answer.state.value,
                "records": list(answer.records),
                "ttl": answer.ttl,
                "security": answer.security.value,
                "aliases": list(answer.aliases),
                "unknown": _unknown(answer.unknown),
            }
            for _, answer in sorted(facts.answers.items())
        ],
        "hosts": [_host(host) for host in facts.hosts],
        "doors": [_door(door) for door in facts.doors],
        "pages": [_page(page) for page in facts.pages],
        "software": [_software(seen) for seen in facts.software],
    }


def _host(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "roles": list(host.roles),
        "addresses": list(host.addresses),
        "left_out": [{"address": a, "unknown": _unknown(u)} for a, u in host.left_out],
        "unknown": _unknown(host.unknown),
    }


def _door(door: DoorFacts) -> dict[str, Any]:
    return {
        "host": door.host,
        "address": door.address,
        "port": door.port,
        "protocol": door.protocol.value,
        "state": door.state.value,
        "unknown": _unknown(door.unknown),
        "banner": door.banner,
        "starttls": door.starttls.value,
        "plain": _offer(door.plain),
        "secured": _offer(door.secured),
        "tls": _tls(door.tls),
        "ntlm": _ntlm(door.ntlm),
        "identity": dict(door.identity),
        "injection": door.injection,
        "notes": list(door.notes),
    }


def _offer(offer: Offer | None) -> dict[str, Any] | None:
    if offer is None:
        return None
    return {
        "capabilities": list(offer.capabilities),
        "mechanisms": list(offer.mechanisms),
        "password_command": offer.password_command,
        "bare_password": offer.bare_password,
    }


def _tls(tls: TlsFacts | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    return {
        "versions": {
            version.value: taken if isinstance(taken, bool) else None for version, taken in tls.versions
        },
        "weak": [weakness.value for weakness in tls.weak],
        "untried": [{"weakness": w.value, "unknown": _unknown(u)} for w, u in tls.untried],
        "chosen": tls.chosen,
        "trust": tls.trust.value,
        "trust_detail": tls.trust_detail,
        "name_matches": tls.name_matches,
        "chain": [_certificate(certificate) for certificate in tls.chain],
        "unknown": _unknown(tls.unknown),
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_before": _time(certificate.not_before),
        "not_after": _time(certificate.not_after),
        "key": certificate.key,
        "bits": certificate.bits,
        "signature_hash": certificate.signature_hash,
        "sha256": certificate.sha256,
        "spki_sha256": certificate.spki_sha256,
    }


def _ntlm(ntlm: NtlmFacts | None) -> dict[str, str] | None:
    if ntlm is None:
        return None
    return {
        "windows": ntlm.windows,
        "netbios_domain": ntlm.netbios_domain,
        "netbios_computer": ntlm.netbios_computer,
        "dns_domain": ntlm.dns_domain,
        "dns_computer": ntlm.dns_computer,
    }


def _page(page: Page) -> dict[str, Any]:
    return {
        "purpose": page.purpose,
        "url": page.url,
        "address": page.address,
        "method": page.method,
        "status": page.status,
        "schemes": list(page.schemes),
        "ntlm": _ntlm(page.ntlm),
        "trusted": page.trusted,
        "unknown": _unknown(page.unknown),
    }


def _software(seen: Observation) -> dict[str, Any]:
    return {
        "component": seen.component,
        "host": seen.host,
        "low": seen.low,
        "high": seen.high,
        "exact": seen.exact,
        "method": seen.method,
        "confidence": seen.confidence.value,
        "distribution": seen.distribution,
        "evidence": seen.evidence,
    }


def _unknown(unknown: Unknown | None) -> dict[str, str] | None:
    return None if unknown is None else {"cause": unknown.cause.value, "detail": unknown.detail}


def _time(at: float) -> str | None:
    """RFC 3339 in UTC; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None
