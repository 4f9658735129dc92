"""What addresses a name has, as far as the domain name system said."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .dns import Answers, DnsState, Question, Security
from .sender.ask import NEVER_SAID, every
from .unknown import Unknown

FAMILIES = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of ``name``: ``found`` in the order of the families, normalised. ``missing``: the name does not exist at all.
    ``unknown`` has the families that were not answered; ``aliases`` is the chain of CNAMEs; ``secure`` says whether all
    of it is proven by DNSSEC."""

    name: str
    found: tuple[str, ...] = ()
    missing: bool = False
    aliases: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Unknown], ...] = ()
    secure: bool = False

    @property
    def lost(self) -> Unknown | None:
        """Why it cannot be said whether there are any; None where there are, or where there are none."""
        return self.unknown[0][1] if self.unknown and not self.found else None


def addresses(answers: Answers, names: Iterable[str]) -> dict[str, Addresses]:
    """The addresses of ``names``. Raises WantedError with every question that is missing."""
    wanted = tuple(dict.fromkeys(names))
    every(answers, *(Question(name, family) for name in wanted for family in FAMILIES))
    return {name: _of(answers, name) for name in wanted}


def _of(answers: Answers, name: str) -> Addresses:
    found: dict[str, None] = {}
    unknown: list[tuple[str, Unknown]] = []
    aliases: tuple[str, ...] = ()
    missing, secure = False, True
    for family in FAMILIES:
        answer = answers[Question(name, family)]
        aliases = answer.aliases or aliases
        if answer.state is DnsState.UNKNOWN:
            unknown.append((family, answer.unknown or NEVER_SAID))
            continue
        secure &= answer.security is Security.SECURE
        missing |= answer.state is DnsState.NO_NAME
        if answer.state is DnsState.RECORDS:
            found.update((text, None) for record in answer.records if (text := address(record)))
    if missing:
        unknown.clear()  # a name that does not exist has nothing of any family
    return Addresses(
        name, tuple(found), missing and not found, aliases, tuple(unknown), secure and not unknown
    )


def address(text: str) -> str:
    """``text`` as an address in its usual form; empty where it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def public(text: str, lab: bool = False) -> bool:
    """Whether an address is one that the whole internet can use. In a laboratory (``Facts.private``) loopback is the
    internet."""
    found = ipaddress.ip_address(text)
    return (found.is_global and not found.is_multicast) or (lab and found.is_loopback)


def network(text: str) -> str:
    """The network that an address is counted to: /24, with IPv6 /48."""
    found = ipaddress.ip_address(text)
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def reverse(text: str) -> str:
    """The name under which an address says its own (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    return ipaddress.ip_address(text).reverse_pointer
