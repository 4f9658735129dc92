"""Which DMARC policy holds for a domain, where it stands, and whether its reports arrive.

The domain's own record counts, else that of its organisational domain, else that of its public suffix; which names
those are is found by the walk up the tree (RFC 9989 section 4.10), not by a list of suffixes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gambeson.assess.core.dns import Answers, DnsState, Question, known
from gambeson.assess.core.unknown import Unknown
from gambeson.wire import dmarc

from .ask import NEVER_SAID, Found, Single, every, exchangers, host_name, single

MAX_DESTINATIONS = 6
_WALK = 8  # RFC 9989 section 4.10: at most eight questions


@dataclass(frozen=True, slots=True)
class Tree:
    """The walk up from a domain: each name with what is at ``_dmarc`` below it, up to where the walk ends."""

    steps: tuple[tuple[str, Single, dmarc.DmarcRecord | None], ...]

    @property
    def unknown(self) -> Unknown | None:
        """Why some step above the first is not known."""
        return next((s.unknown for _, s, _ in self.steps[1:] if s.found is Found.UNKNOWN), None)

    @property
    def organisation(self) -> str:
        """The organisational domain (RFC 9989 section 4.10.2)."""
        start = self.steps[0][0]
        found = [(name, record) for name, _, record in self.steps if record is not None]
        if not found:
            return start
        top, record = found[-1]
        if record.psd == "y" and top != start:
            labels = start.split(".")
            return ".".join(labels[-(len(top.split(".")) + 1) :])
        return top

    def at(self, name: str) -> dmarc.DmarcRecord | None:
        """The record of ``name``, where the walk met one."""
        return next((record for step, _, record in self.steps if step == name), None)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where reports go. ``permitted``: it says that it takes them (RFC 9990 section 4), or is the owner's own; None:
    not known. ``dead``: its domain takes no mail at all."""

    address: str
    domain: str
    permitted: bool | None = True
    dead: bool = False
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class DmarcReport:
    """``found`` is what counts for the domain, ``at`` the name that has it (the domain itself, or one above it).
    ``policy``, ``subdomains`` and ``nonexistent`` are what receivers do with forged mail (``none``, ``quarantine``,
    ``reject``; empty: nothing at all). ``misplaced`` is a record that stands at the domain, not at ``_dmarc``."""

    domain: str
    found: Found
    at: str = ""
    organisation: str = ""
    text: str = ""
    texts: tuple[str, ...] = ()
    record: dmarc.DmarcRecord = field(default_factory=dmarc.DmarcRecord)
    policy: str = ""
    subdomains: str = ""
    nonexistent: str = ""
    error: str = ""
    misplaced: str = ""
    destinations: tuple[Destination, ...] = ()
    unknown: Unknown | None = None

    @property
    def inherited(self) -> bool:
        """Whether it is the record of a name above."""
        return bool(self.at) and self.at != self.domain

    @property
    def enforced(self) -> bool:
        """Whether forged mail of the domain and its subdomains is kept from people, all of it."""
        strong = ("quarantine", "reject")
        return self.policy in strong and self.subdomains in strong and self.record.percent == 100


def names(domain: str) -> tuple[str, ...]:
    """The names of the walk, from ``domain`` up (RFC 9989 section 4.10)."""
    labels = domain.split(".")
    above = range(1 if len(labels) < _WALK else len(labels) - _WALK + 1, len(labels))
    return (domain, *(".".join(labels[start:]) for start in above))


def walk(domain: str, answers: Answers) -> Tree:
    """The walk up from ``domain``. Raises WantedError with all its questions at once."""
    steps: list[tuple[str, Single, dmarc.DmarcRecord | None]] = []
    path = names(domain)
    replies = every(answers, *(Question(f"_dmarc.{name}", "TXT") for name in path))
    for name, answer in zip(path, replies, strict=True):
        found = single(answer, dmarc.is_dmarc)
        record = None
        if found.found is Found.ONE:
            try:
                record = dmarc.parse(found.text)
            except dmarc.DmarcError:
                record = None  # said by the report where it is the domain's own; above, it is no record
        steps.append((name, found, record))
        if record is not None and record.psd != "u":
            break
    return Tree(tuple(steps))


def report(domain: str, answers: Answers) -> DmarcReport:
    """The report for ``domain``. Raises WantedError while answers are missing."""
    tree = walk(domain, answers)
    _, own, record = tree.steps[0]
    organisation = tree.organisation
    if own.found is Found.UNKNOWN:
        return DmarcReport(domain, Found.UNKNOWN, unknown=own.unknown)
    if own.found is Found.SEVERAL:
        return DmarcReport(domain, Found.SEVERAL, domain, organisation, texts=own.texts)
    if own.found is Found.ONE and record is None:
        return DmarcReport(
            domain, Found.BROKEN, domain, organisation, own.text, own.texts, error=_error(own.text)
        )
    at = domain
    if record is None:
        if tree.unknown is not None:
            return DmarcReport(domain, Found.UNKNOWN, unknown=tree.unknown)
        at = organisation
        record = tree.at(at)
        if record is None:  # the suffix's own record is the last that counts
            at = tree.steps[-1][0]
            record = tree.at(at) if (tree.at(at) or dmarc.DmarcRecord()).psd == "y" else None
        if record is None:
            return _missing(domain, organisation, answers)
    text = next(found.text for name, found, _ in tree.steps if name == at)
    below = record.effective("sp")
    return DmarcReport(
        domain,
        Found.ONE,
        at,
        organisation,
        text,
        (text,),
        record,
        policy=record.effective("p") if at == domain else below,
        subdomains=below,
        nonexistent=record.effective("np"),
        destinations=_destinations(at, tree, record, answers),
    )


def _error(text: str) -> str:
    try:
        dmarc.parse(text)
    except dmarc.DmarcError as error:
        return str(error)
    return ""


def _missing(domain: str, organisation: str, answers: Answers) -> DmarcReport:
    apex = known(answers, domain, "TXT")
    misplaced = next((text for text in apex.records if dmarc.is_dmarc(text)), "")
    return DmarcReport(domain, Found.NOTHING, "", organisation, misplaced=misplaced)


def _destinations(
    at: str, tree: Tree, record: dmarc.DmarcRecord, answers: Answers
) -> tuple[Destination, ...]:
    """Where aggregate reports go, each domain asked once."""
    organisation = tree.organisation
    found: dict[str, str] = {}
    for uri in record.aggregate:
        if uri.domain and host_name(uri.domain) and len(found) < MAX_DESTINATIONS:
            found.setdefault(uri.domain, uri.address)
    questions = [Question(domain, "MX") for domain in found]
    for domain in found:
        if not _inside(domain, organisation) and (consent := _consent(at, domain)):
            questions.append(Question(consent, "TXT"))
    every(answers, *questions)
    return tuple(_destination(at, tree, domain, found[domain], answers) for domain in found)


def _destination(at: str, tree: Tree, domain: str, address: str, answers: Answers) -> Destination:
    mx = known(answers, domain, "MX")
    dead = mx.state is DnsState.NO_NAME or (mx.state is DnsState.RECORDS and not exchangers(mx))
    if dead or _own(domain, tree.organisation, answers):
        return Destination(address, domain, True, dead)
    name = _consent(at, domain)
    consent = single(known(answers, name, "TXT"), dmarc.is_dmarc) if name else Single(Found.NOTHING)
    if consent.found is Found.UNKNOWN:
        return Destination(address, domain, None, unknown=consent.unknown or NEVER_SAID)
    if consent.found is Found.NOTHING and tree.unknown is not None and _inside(at, domain):
        # It is above the name that has the record, and whether it is the organisation was not told.
        return Destination(address, domain, None, unknown=tree.unknown)
    return Destination(address, domain, consent.found is not Found.NOTHING)


def _own(domain: str, organisation: str, answers: Answers) -> bool:
    """Whether ``domain`` has the same organisational domain: only then it need not consent (RFC 9990 section 4)."""
    if not _inside(domain, organisation):
        return False
    return domain == organisation or walk(domain, answers).organisation == organisation


def _consent(at: str, domain: str) -> str:
    """Where ``domain`` says that it takes reports about ``at``; empty where that is longer than a name may be."""
    return host_name(f"{at}._report._dmarc.{domain}")


def _inside(name: str, organisation: str) -> bool:
    return name == organisation or name.endswith("." + organisation)
