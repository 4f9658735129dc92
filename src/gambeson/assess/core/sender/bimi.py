"""Whether mailboxes may show a domain's logo. Optional; what counts is that DMARC stands behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gambeson.assess.core.dns import Answers, Question
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import bimi

from .ask import Found, every, single


@dataclass(frozen=True, slots=True)
class BimiReport:
    """``found`` is the record at ``default._bimi``; ``error`` why it is broken."""

    domain: str
    found: Found
    text: str = ""
    record: bimi.BimiRecord = field(default_factory=bimi.BimiRecord)
    error: str = ""
    unknown: Unknown | None = None


def report(domain: str, answers: Answers) -> BimiReport:
    """The report for ``domain``. Raises WantedError while the answer is missing."""
    [answer] = every(answers, Question(f"default._bimi.{domain}", "TXT"))
    found = single(answer, bimi.is_record)
    if found.found is not Found.ONE:
        return BimiReport(domain, found.found, unknown=found.unknown)
    try:
        return BimiReport(domain, Found.ONE, found.text, bimi.parse(found.text))
    except bimi.BimiError as error:
        return BimiReport(domain, Found.BROKEN, found.text, error=str(error))
