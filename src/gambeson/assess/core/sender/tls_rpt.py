"""Whether a domain hears of mail that could not reach it encrypted (RFC 8460)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gambeson.assess.core.dns import Answers, known
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import tls_rpt

from .ask import Found, single


@dataclass(frozen=True, slots=True)
class TlsRptReport:
    """``found`` is the record at ``_smtp._tls``; ``error`` why it is broken."""

    domain: str
    found: Found
    text: str = ""
    record: tls_rpt.TlsRpt = field(default_factory=tls_rpt.TlsRpt)
    error: str = ""
    unknown: Unknown | None = None


def report(domain: str, answers: Answers) -> TlsRptReport:
    """The report for ``domain``. Raises WantedError while the answer is missing."""
    found = single(known(answers, f"_smtp._tls.{domain}", "TXT"), tls_rpt.is_record)
    if found.found is not Found.ONE:
        return TlsRptReport(domain, found.found, unknown=found.unknown)
    try:
        return TlsRptReport(domain, Found.ONE, found.text, tls_rpt.parse(found.text))
    except tls_rpt.TlsRptError as error:
        return TlsRptReport(domain, Found.BROKEN, found.text, error=str(error))
