"""The way that mail for a domain takes (RFC 5321 section 5.1): which hosts, in which order, or that there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .addresses import Addresses, address, addresses
from .dns import Answers, DnsState, Question
from .sender.ask import NEVER_SAID, every, exchangers
from .unknown import Unknown

MAX_EXCHANGERS = 16  # hosts that are looked at; a domain with more has a provider behind them


class Way(StrEnum):
    """How mail is led."""

    MX = "mx"
    IMPLICIT = "implicit"  # no MX record: the domain's own address (RFC 5321 section 5.1)
    NULL = "null"  # it says that it takes no mail (RFC 7505)
    NONE = "none"  # neither MX nor address
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Route:
    """``exchangers`` are the hosts, best first. ``literals`` are MX records with an address where a name must be;
    ``null_beside`` says that a null MX stands beside others, ``more`` that some were left out."""

    way: Way
    exchangers: tuple[Addresses, ...] = ()
    records: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    null_beside: bool = False
    more: bool = False
    secure: bool = False
    unknown: Unknown | None = None


def route(domain: str, answers: Answers) -> Route:
    """The way of mail for ``domain``. Raises WantedError."""
    (answer,) = every(answers, Question(domain, "MX"))
    if answer.state is DnsState.UNKNOWN:
        return Route(Way.UNKNOWN, unknown=answer.unknown or NEVER_SAID)
    secure = answer.security == "secure"
    if answer.state is not DnsState.RECORDS:
        if answer.state is DnsState.NO_NAME:
            return Route(Way.NONE, secure=secure)
        own = addresses(answers, [domain])[domain]
        if own.lost is not None:
            return Route(Way.UNKNOWN, unknown=own.lost)
        return Route(Way.IMPLICIT if own.found else Way.NONE, (own,) if own.found else (), secure=secure)
    names = exchangers(answer)
    literals = tuple(name for name in names if address(name))
    names = tuple(name for name in names if name not in literals)
    null = any(record.split(" ", 1)[-1].strip() == "." for record in answer.records)
    if null and not names and not literals:
        return Route(Way.NULL, records=answer.records, secure=secure)
    found = addresses(answers, names[:MAX_EXCHANGERS])
    return Route(
        Way.MX,
        tuple(found.values()),
        answer.records,
        literals,
        null_beside=null,
        more=len(names) > MAX_EXCHANGERS,
        secure=secure,
    )
