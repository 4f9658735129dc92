"""MTA-STS of a domain: the record, the policy as it was fetched, and whether the two and the MX hosts agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gambeson.assess.core.addresses import address
from gambeson.assess.core.dns import Answers, Question
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page
from gambeson.wire import mta_sts

from .ask import NEVER_SAID, Found, every, exchangers, single

PURPOSE = "mta-sts"  # of the page in data/pages


@dataclass(frozen=True, slots=True)
class StsReport:
    """``found`` is the record at ``_mta-sts``; ``error`` why it is broken. ``policy`` is None where there is none that
    a sender would use: ``fault`` says why, ``unknown`` that it is not known. ``uncovered`` are the MX hosts that
    the policy does not allow, so that no mail may go to them. ``hosts`` are all MX hosts; None: not known."""

    domain: str
    found: Found
    text: str = ""
    error: str = ""
    policy: mta_sts.StsPolicy | None = None
    fault: str = ""
    uncovered: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = ()
    unknown: Unknown | None = None


def report(domain: str, answers: Answers, pages: Iterable[Page], *, probed: bool) -> StsReport:
    """The report for ``domain``. Raises WantedError while answers are missing."""
    record, mx = every(answers, Question(f"_mta-sts.{domain}", "TXT"), Question(domain, "MX"))
    hosts = None if mx.unknown is not None else exchangers(mx)
    found = single(record, mta_sts.is_record)
    if found.found is not Found.ONE:
        return StsReport(domain, found.found, hosts=hosts, unknown=found.unknown or mx.unknown)
    try:
        mta_sts.parse_record(found.text)
    except mta_sts.MtaStsError as error:
        return StsReport(domain, Found.BROKEN, found.text, str(error), hosts=hosts)
    policy, fault, unknown = _policy(_best(domain, pages), probed)
    names = [host for host in hosts or () if not address(host)]  # an address is no mail host at all
    uncovered = tuple(host for host in names if policy and policy.mode != "none" and not policy.allows(host))
    return StsReport(
        domain, Found.ONE, found.text, "", policy, fault, uncovered, hosts, unknown or mx.unknown
    )


def _best(domain: str, pages: Iterable[Page]) -> Page | None:
    """The page that a sender would see: of several addresses, the first that answered."""
    prefix = f"https://mta-sts.{domain}"
    mine = [
        p for p in pages if p.purpose == PURPOSE and p.url.lower().startswith((prefix + "/", prefix + ":"))
    ]
    answered = [page for page in mine if page.status]
    return next(iter(answered or mine), None)


def _policy(
    page: Page | None, probed: bool
) -> tuple[mta_sts.StsPolicy | None, str, Unknown | None]:  # one of the three
    if page is None:
        cause = "the policy was not fetched" if probed else "without probing, the policy is not fetched"
        return None, "", Unknown(Cause.NOT_ASKED, cause)
    if not page.status:
        return None, "", page.unknown or NEVER_SAID
    if page.trusted is False:
        return None, "its certificate is not trusted", None
    if page.status != 200:  # RFC 8461 section 3.3: a redirect is not followed
        return None, f"the server answers {page.status} instead of 200", None
    if page.cut:
        return None, "it does not end", None
    try:
        return mta_sts.parse_policy(page.body), "", None
    except mta_sts.MtaStsError as error:
        return None, str(error), None
